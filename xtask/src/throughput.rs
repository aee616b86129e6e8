//! What recording costs a web server in throughput.

use std::path::Path;

use anyhow::Result;

use crate::docker::Container;
use crate::load::{median, rate, wrk};
use crate::process;
use crate::recording::{record, run_attached};

/// Requests per second of each round.
pub struct Rates {
    /// Without a recording.
    pub unrecorded: Vec<f64>,
    /// With programs that do nothing on the same hooks: the floor.
    pub empty: Vec<f64>,
    /// With a recording.
    pub recorded: Vec<f64>,
}

impl Rates {
    /// What a recording leaves of the throughput.
    pub fn ratio(&self) -> f64 {
        ratio(&self.recorded, &self.unrecorded)
    }

    /// What programs that do nothing leave of it.
    pub fn floor(&self) -> f64 {
        ratio(&self.empty, &self.unrecorded)
    }
}

/// The median of the rounds' own ratios: what a round's runs share drops out.
fn ratio(these: &[f64], those: &[f64]) -> f64 {
    median(&these.iter().zip(those).map(|(this, that)| this / that).collect::<Vec<_>>())
}

/// Puts load on a running container in turns, recorded and not. Files go below `output`.
pub fn measure(
    agent: &Path,
    server: &Container,
    output: &Path,
    rounds: usize,
    seconds: u32,
) -> Result<Rates> {
    let url = format!("http://{}/", server.ip()?);
    let report = output.join("wrk.txt");
    let manifest = output.join("throughput.manifest.json");
    let load = || wrk(&url, seconds, &report);
    let unrecorded = || {
        process::run(&mut load())?;
        rate(&report)
    };
    let recorded = |options: &[&str]| {
        let target = [&[server.name()], options].concat();
        run_attached(&mut record(agent, &target, &manifest, &load()))?;
        rate(&report)
    };
    // A first run that does not count fills the caches of the server.
    unrecorded()?;
    let mut rates = Rates { unrecorded: Vec::new(), empty: Vec::new(), recorded: Vec::new() };
    for round in 0..rounds {
        // Each comes first as often as the others, lest a drift of the machine favour one.
        for turn in 0..3 {
            match (round + turn) % 3 {
                0 => rates.unrecorded.push(unrecorded()?),
                1 => rates.empty.push(recorded(&["--empty-programs"])?),
                _ => rates.recorded.push(recorded(&[])?),
            }
        }
    }
    Ok(rates)
}
