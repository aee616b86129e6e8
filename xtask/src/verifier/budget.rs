//! The budget, `xtask/verifier-budget.json`: kernel -> program -> instructions.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::json;

use super::Measured;
use crate::cargo::root;

/// What is allowed.
pub struct Budget(Measured);

impl Budget {
    /// The committed one.
    pub fn read() -> Result<Self> {
        let path = path();
        let bytes = fs::read(&path).with_context(|| {
            format!("cannot read {}: `cargo xtask verifier --update` makes it", path.display())
        })?;
        let value: serde_json::Value = serde_json::from_slice(&bytes).context("the budget is not JSON")?;
        let of_kernel = |programs: &serde_json::Value| -> Option<BTreeMap<String, u64>> {
            programs.as_object()?.iter().map(|(name, limit)| Some((name.clone(), limit.as_u64()?))).collect()
        };
        let kernels = value.as_object().context("the budget is not an object")?;
        let budget: Option<Measured> =
            kernels.iter().map(|(kernel, programs)| Some((kernel.clone(), of_kernel(programs)?))).collect();
        budget.map(Self).context("the budget must be kernel -> program -> instructions")
    }

    /// What is measured, and a tenth more.
    pub fn of(measured: &Measured) -> Self {
        let more = |programs: &BTreeMap<String, u64>| {
            programs.iter().map(|(name, count)| (name.clone(), round_up(*count))).collect()
        };
        Self(measured.iter().map(|(kernel, programs)| (kernel.clone(), more(programs))).collect())
    }

    /// Makes it the committed one.
    pub fn write(&self) -> Result<()> {
        let path = path();
        let text = format!("{:#}\n", json!(self.0));
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        println!("written: {}", path.display());
        Ok(())
    }

    /// How much a program may take on a kernel; on one that the budget does not know, as much as on the worst.
    pub fn limit(&self, kernel: &str, program: &str) -> Option<u64> {
        match self.0.get(kernel) {
            Some(programs) => programs.get(program).copied(),
            None => self.0.values().filter_map(|programs| programs.get(program)).max().copied(),
        }
    }

    /// A sentence for each program that takes more.
    pub fn exceeded(&self, measured: &Measured) -> Vec<String> {
        let mut over = Vec::new();
        for (kernel, programs) in measured {
            for (name, &count) in programs {
                match self.limit(kernel, name) {
                    Some(limit) if count <= limit => (),
                    Some(limit) => over.push(format!("{name} under Linux {kernel}: {count}, budget {limit}")),
                    None => over.push(format!("{name} under Linux {kernel}: {count}, without a budget")),
                }
            }
        }
        over
    }

    /// A sentence for each program that a measured kernel was to load and did not: a whole tier may be refused
    /// without an error.
    pub fn absent(&self, measured: &Measured) -> Vec<String> {
        let mut absent = Vec::new();
        for (kernel, programs) in measured {
            let budgeted = self.0.get(kernel).into_iter().flat_map(BTreeMap::keys);
            let missing = budgeted.filter(|name| !programs.contains_key(*name));
            absent.extend(missing.map(|name| format!("{name} under Linux {kernel}")));
        }
        absent
    }
}

fn round_up(count: u64) -> u64 {
    (count + count / 10).div_ceil(100) * 100
}

fn path() -> PathBuf {
    root().join("xtask/verifier-budget.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(kernel: &str, program: &str, count: u64) -> Measured {
        BTreeMap::from([(kernel.to_owned(), BTreeMap::from([(program.to_owned(), count)]))])
    }

    #[test]
    fn a_budget_has_room_for_a_tenth_more_and_no_growth_beyond() {
        let budget = Budget::of(&measured("6.1", "open", 10_000));
        assert_eq!(budget.limit("6.1", "open"), Some(11_000));
        assert_eq!(budget.exceeded(&measured("6.1", "open", 11_000)), [""; 0]);
        assert_eq!(budget.exceeded(&measured("6.1", "open", 11_001)).len(), 1);
    }

    #[test]
    fn a_program_that_a_kernel_no_longer_loads_is_named() {
        let budget = Budget::of(&measured("6.1", "open", 10_000));
        assert_eq!(budget.absent(&measured("6.1", "other", 1)), ["open under Linux 6.1"]);
        assert_eq!(budget.absent(&measured("6.1", "open", 1)), [""; 0]);
        assert_eq!(budget.absent(&measured("6.19", "other", 1)), [""; 0]);
    }

    #[test]
    fn a_program_without_a_budget_exceeds_it_and_an_unknown_kernel_has_the_largest() {
        let budget = Budget::of(&measured("6.1", "open", 10_000));
        assert_eq!(budget.exceeded(&measured("6.1", "new", 1)), ["new under Linux 6.1: 1, without a budget"]);
        assert_eq!(budget.exceeded(&measured("6.19", "open", 11_000)), [""; 0]);
        assert_eq!(budget.exceeded(&measured("6.19", "open", 11_001)).len(), 1);
    }
}
