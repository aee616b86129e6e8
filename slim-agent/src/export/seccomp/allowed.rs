//! The calls that a profile allows, and the reasons for which calls are added to them.

use std::collections::BTreeSet;

use super::{Reasons, libc, passes_engine, relatives, runtime};
use crate::syscall_table::{self, Abi};

/// The calls that are allowed so far.
pub(super) struct Allowed<'a> {
    pub(super) abis: &'a BTreeSet<Abi>,
    pub(super) reasons: Reasons,
    /// What was observed of programs in the container.
    pub(super) made: BTreeSet<String>,
}

impl<'a> Allowed<'a> {
    pub(super) fn new(abis: &'a BTreeSet<Abi>) -> Self {
        Self { abis, reasons: Reasons::new(), made: BTreeSet::new() }
    }

    /// Allows `name` where one of the profile's ABIs has it, unless the engine denies it.
    pub(super) fn add(&mut self, name: &str, reason: &str) {
        let exists = self.abis.iter().any(|&abi| syscall_table::number(abi, name).is_some());
        if exists && passes_engine(name) {
            self.insert(name, reason);
        }
    }

    pub(super) fn insert(&mut self, name: &str, reason: &str) {
        self.reasons.entry(name.to_owned()).or_default().insert(reason.to_owned());
    }

    /// Which call that does what `name` does was observed of a program.
    fn made_any(&self, name: &'static str) -> Option<&'static str> {
        libc::family(name).find(|name| self.made.contains(*name))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.reasons.contains_key(name)
    }

    /// What programs call soon after what was observed of them; not what they call after that.
    pub(super) fn add_relatives(&mut self) {
        for row in relatives::RELATIVES {
            let made = row.of.iter().find_map(|call| self.made_any(call));
            let Some(made) = made else { continue };
            let reason = format!("relative of {made}: {}", row.why);
            for call in row.calls {
                // What does the same as an observed call is its variant.
                if self.made_any(call).is_none() {
                    libc::family(call).for_each(|name| self.add(name, &reason));
                }
            }
        }
    }

    /// What runtimes call after they installed the filter.
    pub(super) fn add_runtime(&mut self) {
        let lists = [
            (runtime::RUNC, format!("{} makes it after the filter is on", runtime::RUNC_VERSION)),
            (runtime::CRUN, format!("{} makes it after the filter is on", runtime::CRUN_VERSION)),
            (&runtime::GO, "runc's Go scheduler and collector, at any moment".to_owned()),
            (&runtime::NEWER, "later runc or crun make it after the filter is on".to_owned()),
        ];
        for (names, reason) in lists {
            names.iter().for_each(|name| self.add(name, &format!("runtime: {reason}")));
        }
    }

    /// What no recording can see.
    pub(super) fn add_unseen(&mut self) {
        for (name, why) in libc::UNSEEN {
            self.add(name, &format!("unseen: {why}"));
        }
        for name in libc::THREAD_POINTER {
            self.add(name, "unseen: every program's start");
        }
    }

    /// What libc may call instead. Families do not overlap, so one pass is enough.
    pub(super) fn add_variants(&mut self) {
        for (via, calls) in libc::MULTIPLEXED.iter().filter(|(via, _)| self.has(via)).collect::<Vec<_>>() {
            calls
                .iter()
                .for_each(|name| self.add(name, &format!("variant: newer libc makes it instead of {via}")));
        }
        for family in libc::FAMILIES {
            let Some(member) = family.iter().find(|name| self.has(name)) else { continue };
            for name in family.iter().filter(|name| *name != member) {
                if !self.has(name) {
                    self.add(name, &format!("variant: another libc or kernel version makes it for {member}"));
                }
            }
        }
    }
}
