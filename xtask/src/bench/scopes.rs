//! Nanoseconds per system call in one of many recorded cgroups, against the only one: how many are traced must not
//! matter to what is traced.

use anyhow::Result;
use serde_json::{Value, json};

use super::Bench;
use super::micro::{Program, Sample};
use crate::load::median;
use crate::table::Table;

/// The samples of both settings, one of each per round.
pub struct Scopes {
    cgroups: usize,
    one: Vec<Sample>,
    many: Vec<Sample>,
}

/// Runs the rounds, both settings once in each.
pub fn measure(bench: &Bench, cgroups: usize) -> Result<Scopes> {
    let program = Program::build(bench)?;
    let mut scopes = Scopes { cgroups, one: Vec::new(), many: Vec::new() };
    for _ in 0..bench.rounds {
        scopes.one.push(program.in_one_of(bench, 1)?);
        scopes.many.push(program.in_one_of(bench, cgroups)?);
    }
    Ok(scopes)
}

impl Scopes {
    /// A call's median when there is one cgroup, and when there are many.
    fn medians(&self, call: &str) -> (f64, f64) {
        let of = |samples: &[Sample]| {
            median(&samples.iter().filter_map(|sample| sample.get(call).copied()).collect::<Vec<_>>())
        };
        (of(&self.one), of(&self.many))
    }

    fn calls(&self) -> impl Iterator<Item = &str> {
        self.one.first().into_iter().flat_map(|sample| sample.keys().map(String::as_str))
    }

    /// For machines: for each call its nanoseconds in both settings and their ratio.
    pub fn json(&self) -> Value {
        self.calls()
            .map(|call| {
                let (one, many) = self.medians(call);
                (call.to_owned(), json!({ "one": one, "many": many, "ratio": many / one }))
            })
            .collect()
    }

    /// For people.
    pub fn print(&self) {
        let many = format!("{} cgroups", self.cgroups);
        let mut table = Table::new(&["ns per call", "1 cgroup", &many, "ratio"]);
        for call in self.calls() {
            let (one, many) = self.medians(call);
            let cells = [format!("{one:.0}"), format!("{many:.0}"), format!("{:.2}", many / one)];
            table.row(std::iter::once(call.to_owned()).chain(cells));
        }
        table.print();
    }
}
