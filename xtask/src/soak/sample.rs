//! What the daemon takes at one moment, and over a span of time.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use anyhow::{Context, Result};

use super::daemon::Daemon;
use super::slope::{Slope, slope};

/// Groups of samples that a slope goes through.
const GROUPS: usize = 16;

/// One moment.
pub struct Sample {
    at: Instant,
    /// Resident memory: VmRSS of /proc/PID/status, KiB.
    pub resident: u64,
    /// Of it, what is the daemon's own and no file's: RssAnon, KiB.
    pub anonymous: u64,
    /// The largest that it ever was: VmHWM, KiB.
    pub peak: u64,
    /// Pages of kernel maps that it has mapped, which are no memory besides the maps': KiB. The ring's are mapped twice.
    pub mapped: u64,
    /// Shared pages counted in part: Pss of /proc/PID/smaps_rollup, KiB.
    pub proportional: u64,
    /// What /metrics tells: name and labels -> value.
    metrics: BTreeMap<String, f64>,
}

impl Sample {
    /// Takes one.
    ///
    /// # Errors
    /// The daemon has ended, or does not answer.
    pub fn take(daemon: &Daemon) -> Result<Self> {
        let (status, rollup) = (daemon.proc("status")?, daemon.proc("smaps_rollup")?);
        let mappings = daemon.proc("smaps")?;
        Ok(Self {
            at: Instant::now(),
            resident: kib(&status, "VmRSS:")?,
            anonymous: kib(&status, "RssAnon:")?,
            peak: kib(&status, "VmHWM:")?,
            mapped: of_maps(&mappings),
            proportional: kib(&rollup, "Pss:")?,
            metrics: metrics(&daemon.ask("/metrics")?),
        })
    }

    fn metric(&self, name: &str) -> f64 {
        self.metrics.get(name).copied().unwrap_or_default()
    }

    /// The metrics of a family: labels -> value.
    fn family<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.metrics.iter().filter_map(move |(full, value)| Some((full.strip_prefix(name)?, *value)))
    }

    fn of_profile(&self, name: &str, profile: &str) -> u64 {
        let label = format!("profile=\"{profile}\"");
        self.family(name).filter(|(labels, _)| labels.contains(&label)).map(|(_, value)| value as u64).sum()
    }

    /// Containers being recorded for a profile.
    pub fn active(&self, profile: &str) -> u64 {
        self.of_profile("slim_agent_profile_active_recordings{", profile)
    }

    /// Recordings that a profile has.
    pub fn recordings(&self, profile: &str) -> u64 {
        self.of_profile("slim_agent_profile_recordings{", profile)
    }

    /// Bytes of kernel memory of the maps, by map.
    pub fn maps(&self) -> BTreeMap<String, u64> {
        let name = |labels: &str| labels.trim_start_matches("map=\"").trim_end_matches("\"}").to_owned();
        self.family("slim_agent_kernel_map_bytes{").map(|(map, bytes)| (name(map), bytes as u64)).collect()
    }

    /// Their sum.
    pub fn map_bytes(&self) -> u64 {
        self.maps().values().sum()
    }

    /// What was lost, by reason; what is not lost is left out.
    pub fn losses(&self) -> BTreeMap<String, u64> {
        let name = |labels: &str| labels.trim_start_matches("reason=\"").trim_end_matches("\"}").to_owned();
        let lost = self.family("slim_agent_losses_total{").filter(|(_, count)| *count > 0.0);
        lost.map(|(reason, count)| (name(reason), count as u64)).collect()
    }

    /// Slots in use.
    pub fn slots(&self) -> u64 {
        self.metric("slim_agent_slots{state=\"used\"}") as u64
    }

    /// Age of the oldest checkpoint, seconds.
    pub fn checkpoint_age(&self) -> f64 {
        self.metric("slim_agent_checkpoint_age_seconds")
    }

    /// Processor time so far, seconds.
    pub fn cpu(&self) -> f64 {
        self.metric("slim_agent_cpu_seconds_total")
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "resident {} KiB ({} anonymous, {} proportional, {} at most), maps {} KiB, {:.2} s of CPU, {} slots, \
             checkpoint {:.0} s old, lost {:?}",
            self.resident,
            self.anonymous,
            self.proportional,
            self.peak,
            self.map_bytes() / 1024,
            self.cpu(),
            self.slots(),
            self.checkpoint_age(),
            self.losses(),
        )
    }
}

/// Samples that follow each other.
pub struct Span(Vec<Sample>);

impl From<Sample> for Span {
    fn from(first: Sample) -> Self {
        Self(vec![first])
    }
}

impl Span {
    /// Adds one.
    pub fn push(&mut self, sample: Sample) {
        self.0.push(sample);
    }

    /// The last one.
    pub fn last(&self) -> &Sample {
        &self.0[self.0.len() - 1]
    }

    /// How long it was, seconds.
    pub fn seconds(&self) -> f64 {
        self.last().at.duration_since(self.0[0].at).as_secs_f64()
    }

    /// The part of one core that the daemon had.
    pub fn cpu(&self) -> f64 {
        (self.last().cpu() - self.0[0].cpu()) / self.seconds()
    }

    /// The oldest that the oldest checkpoint ever was, seconds.
    pub fn checkpoint_age(&self) -> f64 {
        self.0.iter().map(Sample::checkpoint_age).fold(0.0, f64::max)
    }

    /// The most resident memory in any sample, KiB.
    pub fn most(&self) -> u64 {
        self.0.iter().map(|sample| sample.resident).max().unwrap_or_default()
    }

    /// The same without the pages of kernel maps.
    pub fn most_of_its_own(&self) -> u64 {
        self.0.iter().map(|sample| sample.resident.saturating_sub(sample.mapped)).max().unwrap_or_default()
    }
}

/// How fast memory grows over spans that follow each other, KiB a minute.
pub fn growth(spans: &[&Span], memory: fn(&Sample) -> u64) -> Option<Slope> {
    let samples: Vec<&Sample> = spans.iter().flat_map(|span| &span.0).collect();
    let first = samples.first()?.at;
    let point =
        |sample: &&Sample| (sample.at.duration_since(first).as_secs_f64() / 60.0, memory(sample) as f64);
    slope(&samples.iter().map(point).collect::<Vec<_>>(), GROUPS)
}

fn kib(text: &str, field: &str) -> Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.with_context(|| format!("the kernel does not tell {field}"))
}

/// Resident memory of mapped kernel maps, in what /proc/PID/smaps tells: KiB.
fn of_maps(smaps: &str) -> u64 {
    let mut is_map = false;
    let mut sum = 0;
    for line in smaps.lines() {
        match line.split_once(':') {
            Some(("Rss", _)) if is_map => sum += kib(line, "Rss:").unwrap_or_default(),
            // The head of a mapping: addresses, rights, offset, device (with a colon) and the file's name.
            Some((field, _)) if field.contains(' ') => is_map = line.ends_with("anon_inode:bpf-map"),
            _ => {}
        }
    }
    sum
}

fn metrics(text: &str) -> BTreeMap<String, f64> {
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_in_what_the_kernel_and_the_daemon_tell() {
        assert_eq!(kib("VmHWM:\t  900 kB\nVmRSS:\t  812 kB\n", "VmRSS:").unwrap(), 812);
        assert!(kib("VmRSS:\tx\n", "VmRSS:").is_err());
        let smaps = "55-56 r--s 00001000 00:0f 1036 anon_inode:bpf-map\nSize: 8 kB\nRss:   4 kB\n\
                     57-58 r-xp 00000000 fe:00 12 /bin/x\nRss:   9 kB\n";
        assert_eq!(of_maps(smaps), 4);
        let found = metrics("# HELP a b\n# TYPE a gauge\na{b=\"c d\"} 1.5\ne 2\n");
        assert_eq!(found, BTreeMap::from([("a{b=\"c d\"}".to_owned(), 1.5), ("e".to_owned(), 2.0)]));
    }
}
