//! The throughput of an nginx, recorded and not.

use anyhow::Result;
use serde_json::{Value, json};

use super::Bench;
use crate::docker::Container;
use crate::load::{median, rate, wrk};
use crate::recording::{record, run_attached};
use crate::table::{Table, percent};
use crate::{images, process};

/// Requests per second of each round.
pub struct Rates {
    unrecorded: Vec<f64>,
    recorded: Vec<f64>,
}

/// Runs the rounds on one container, which runs throughout.
pub fn measure(bench: &Bench) -> Result<Rates> {
    images::build("nginx")?;
    let server = Container::create(&images::tag("nginx"), "bench", &[])?;
    server.start()?;
    let url = format!("http://{}/", server.ip()?);
    let report = bench.output.join("wrk.txt");
    let manifest = bench.output.join("nginx.manifest.json");

    let unrecorded = || {
        process::run(&mut wrk(&url, bench.seconds, &report))?;
        rate(&report)
    };
    let recorded = || {
        let load = wrk(&url, bench.seconds, &report);
        run_attached(&mut record(&bench.agent, &[server.name()], &manifest, &load))?;
        rate(&report)
    };
    // A first run that does not count fills the caches of the server.
    unrecorded()?;
    let mut rates = Rates { unrecorded: Vec::new(), recorded: Vec::new() };
    for round in 0..bench.rounds {
        // Each comes first as often as second, lest a drift of the machine favour one.
        if round % 2 == 0 {
            rates.unrecorded.push(unrecorded()?);
            rates.recorded.push(recorded()?);
        } else {
            rates.recorded.push(recorded()?);
            rates.unrecorded.push(unrecorded()?);
        }
    }
    Ok(rates)
}

impl Rates {
    /// The median of the rounds' own ratios: what a round's two runs share drops out.
    fn ratio(&self) -> f64 {
        let pairs = self.recorded.iter().zip(&self.unrecorded);
        median(&pairs.map(|(recorded, unrecorded)| recorded / unrecorded).collect::<Vec<_>>())
    }

    /// For machines.
    pub fn json(&self) -> Value {
        json!({
            "unrecorded_requests_per_s": self.unrecorded,
            "recorded_requests_per_s": self.recorded,
            "median_unrecorded": median(&self.unrecorded),
            "median_recorded": median(&self.recorded),
            "median_ratio": self.ratio(),
        })
    }

    /// For people.
    pub fn print(&self) {
        let mut table = Table::new(&["nginx", "unrecorded", "recorded", "ratio", ""]);
        table.row([
            format!("requests/s, median of {}", self.recorded.len()),
            format!("{:.0}", median(&self.unrecorded)),
            format!("{:.0}", median(&self.recorded)),
            format!("{:.3}", self.ratio()),
            percent(1.0, self.ratio()),
        ]);
        table.print();
    }
}
