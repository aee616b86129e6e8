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
    /// With one.
    pub recorded: Vec<f64>,
}

impl Rates {
    /// The median of the rounds' own ratios: what a round's two runs share drops out.
    pub fn ratio(&self) -> f64 {
        let pairs = self.recorded.iter().zip(&self.unrecorded);
        median(&pairs.map(|(recorded, unrecorded)| recorded / unrecorded).collect::<Vec<_>>())
    }
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
    let recorded = || {
        run_attached(&mut record(agent, &[server.name()], &manifest, &load()))?;
        rate(&report)
    };
    // A first run that does not count fills the caches of the server.
    unrecorded()?;
    let mut rates = Rates { unrecorded: Vec::new(), recorded: Vec::new() };
    for round in 0..rounds {
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
