//! What came of it, for people and for machines, with a verdict on each goal.

use serde_json::{Value, json};

use super::sample::{Sample, Span, growth};
use super::slope::Slope;
use crate::style::{bold, good};
use crate::table::Table;

/// The part of a core that the daemon may have once everything has been seen.
const MOST_CPU: f64 = 0.01;
/// Growth that is none, KiB a minute: what an allocator's pages make of a few hundred samples.
const FLAT: f64 = 16.0;
/// Bytes that many watched containers may take, in the agent and in the kernel's maps.
const MOST_BYTES: u64 = 64_000_000;

/// All of it.
pub struct Report {
    /// Before there was anything to record.
    pub alone: Sample,
    /// The load.
    pub soaked: Option<Soaked>,
    /// Many at once.
    pub watched: Option<Watched>,
    /// At the end.
    pub last: Sample,
}

/// The load, by its parts.
pub struct Soaked {
    /// Until everything was seen.
    pub warm: Span,
    /// With churn.
    pub busy: Span,
    /// Without.
    pub calm: Span,
    /// What came and went.
    pub churned: Churned,
    /// Requests that were answered.
    pub requests: u64,
}

/// Containers that came and went.
pub struct Churned {
    /// How many there were.
    pub came: u64,
    /// How many recordings there are of them.
    pub recorded: u64,
}

/// Many at once.
pub struct Watched {
    /// How many.
    pub count: usize,
    /// While they did nothing.
    pub idle: Span,
}

/// Whether a goal was reached.
struct Verdict {
    reached: bool,
    text: String,
}

impl Report {
    /// The goals that were missed.
    pub fn missed(&self) -> Vec<String> {
        self.verdicts().into_iter().filter(|verdict| !verdict.reached).map(|verdict| verdict.text).collect()
    }

    fn verdicts(&self) -> Vec<Verdict> {
        let losses = self.last.losses();
        let mut verdicts = vec![Verdict { reached: losses.is_empty(), text: format!("no loss: {losses:?}") }];
        verdicts.extend(self.soaked.iter().flat_map(Soaked::verdicts));
        verdicts.extend(self.watched.iter().map(Watched::verdict));
        verdicts
    }

    /// For people.
    pub fn print(&self) {
        let mut table =
            Table::new(&["", "minutes", "CPU", "resident", "anonymous", "maps", "checkpoint at most"]);
        table.row([
            "alone".to_owned(),
            String::new(),
            String::new(),
            format!("{} KiB", self.alone.resident),
            format!("{} KiB", self.alone.anonymous),
            format!("{} KiB", self.alone.map_bytes() / 1024),
        ]);
        let soaked = self.soaked.iter().flat_map(Soaked::spans);
        let watched = self.watched.iter().map(|watched| ("many at once", &watched.idle));
        for (name, span) in soaked.chain(watched) {
            let last = span.last();
            table.row([
                name.to_owned(),
                format!("{:.1}", span.seconds() / 60.0),
                format!("{:.2} %", span.cpu() * 100.0),
                format!("{} KiB", last.resident),
                format!("{} KiB", last.anonymous),
                format!("{} KiB", last.map_bytes() / 1024),
                format!("{:.0} s old", span.checkpoint_age()),
            ]);
        }
        table.print();
        for Verdict { reached, text } in self.verdicts() {
            println!("  {} {text}", if reached { good("reached") } else { bold("MISSED ") });
        }
    }

    /// For machines.
    pub fn json(&self) -> Value {
        let verdict = |one: Verdict| json!({ "reached": one.reached, "text": one.text });
        json!({
            "alone": { "resident_kib": self.alone.resident, "anonymous_kib": self.alone.anonymous },
            "soaked": self.soaked.as_ref().map(Soaked::json),
            "watched": self.watched.as_ref().map(|one| json!({ "count": one.count, "idle": json_of(&one.idle) })),
            "peak_resident_kib": self.last.peak,
            "losses": self.last.losses(),
            "verdicts": self.verdicts().into_iter().map(verdict).collect::<Vec<_>>(),
        })
    }
}

impl Soaked {
    fn spans(&self) -> [(&'static str, &Span); 3] {
        [("until all was seen", &self.warm), ("with churn", &self.busy), ("without churn", &self.calm)]
    }

    fn growth(&self, memory: fn(&Sample) -> u64) -> Option<Slope> {
        growth(&[&self.busy, &self.calm], memory)
    }

    fn verdicts(&self) -> Vec<Verdict> {
        let cpu = self.calm.cpu();
        let flat = match self.growth(|sample| sample.resident) {
            None => Verdict { reached: false, text: "flat memory: too few samples to tell".into() },
            Some(Slope { per_time, margin }) => Verdict {
                // Or growth that cannot be told from none.
                reached: per_time <= FLAT.max(margin),
                text: format!(
                    "flat memory: {per_time:+.1} ± {margin:.1} KiB a minute (up to {FLAT:.0} pass)"
                ),
            },
        };
        let Churned { came, recorded } = self.churned;
        vec![
            flat,
            Verdict {
                reached: cpu < MOST_CPU,
                text: format!(
                    "CPU once all was seen: {:.2} % of a core (below {:.0} %)",
                    cpu * 100.0,
                    MOST_CPU * 100.0
                ),
            },
            Verdict {
                reached: recorded == came,
                text: format!("containers that came and went: {came}, recorded: {recorded}"),
            },
        ]
    }

    fn json(&self) -> Value {
        let growth = |memory| {
            self.growth(memory).map(|slope| json!({ "per_minute": slope.per_time, "margin": slope.margin }))
        };
        json!({
            "until_all_was_seen": json_of(&self.warm),
            "with_churn": json_of(&self.busy),
            "without_churn": json_of(&self.calm),
            "growth_kib": {
                "resident": growth(|sample| sample.resident),
                "anonymous": growth(|sample| sample.anonymous),
                "proportional": growth(|sample| sample.proportional),
                "maps": growth(|sample| sample.map_bytes() / 1024),
            },
            "churned": self.churned.came,
            "churned_recorded": self.churned.recorded,
            "requests": self.requests,
        })
    }
}

impl Watched {
    fn verdict(&self) -> Verdict {
        let last = self.idle.last();
        let (agent, maps) = (self.idle.most_of_its_own() * 1024, last.map_bytes());
        let mb = |bytes: u64| bytes as f64 / 1e6;
        let text = format!(
            "{} containers at once: {:.1} MB of the agent (with mapped maps {:.1} MB) and {:.1} MB of maps are {:.1} MB \
             (below {:.0} MB)",
            self.count,
            mb(agent),
            mb(self.idle.most() * 1024),
            mb(maps),
            mb(agent + maps),
            mb(MOST_BYTES)
        );
        Verdict { reached: agent + maps < MOST_BYTES, text }
    }
}

fn json_of(span: &Span) -> Value {
    let last = span.last();
    json!({
        "seconds": span.seconds(),
        "cpu_share": span.cpu(),
        "resident_kib": last.resident,
        "most_resident_kib": span.most(),
        "most_without_maps_kib": span.most_of_its_own(),
        "anonymous_kib": last.anonymous,
        "proportional_kib": last.proportional,
        "map_bytes": last.maps(),
        "slots": last.slots(),
        "oldest_checkpoint_s": span.checkpoint_age(),
    })
}
