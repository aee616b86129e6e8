//! The throughput of an nginx, recorded and not.

use anyhow::Result;
use serde_json::{Value, json};

use super::Bench;
use crate::docker::Container;
use crate::images;
use crate::load::median;
use crate::table::{Table, percent};
use crate::throughput::{self, Rates};

/// Runs the rounds on one container, which runs throughout.
pub fn measure(bench: &Bench) -> Result<Rates> {
    images::build("nginx")?;
    let server = Container::create(&images::tag("nginx"), "bench", &[])?;
    server.start()?;
    throughput::measure(&bench.agent, &server, &bench.output, bench.rounds, bench.seconds)
}

/// For machines.
pub fn json(rates: &Rates) -> Value {
    json!({
        "unrecorded_requests_per_s": rates.unrecorded,
        "empty_requests_per_s": rates.empty,
        "recorded_requests_per_s": rates.recorded,
        "median_unrecorded": median(&rates.unrecorded),
        "median_recorded": median(&rates.recorded),
        "median_ratio": rates.ratio(),
        "median_ratio_empty": rates.floor(),
    })
}

/// For people.
pub fn print(rates: &Rates) {
    let mut table = Table::new(&["nginx", "unrecorded", "empty programs", "", "recorded", ""]);
    table.row([
        format!("requests/s, median of {}", rates.recorded.len()),
        format!("{:.0}", median(&rates.unrecorded)),
        format!("{:.0}", median(&rates.empty)),
        percent(rates.floor()),
        format!("{:.0}", median(&rates.recorded)),
        percent(rates.ratio()),
    ]);
    table.print();
}
