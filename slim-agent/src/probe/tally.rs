//! Totals that the kernel side keeps: outcomes of calls, losses, and the system calls used.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use aya::maps::PerCpuArray;
use slim_common::counters::{Counters, hook, overflow};
use slim_common::limits::{ABIS, CAPABILITIES, PHASES, SYSCALLS};
use slim_common::record::Key;

use super::maps::Maps;

/// A system call that was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenCall {
    /// See `slim_common::scope::phase`.
    pub phase: u8,
    /// Index into the host's ABIs.
    pub abi: usize,
    /// Its number there.
    pub nr: u32,
    /// Whether this is about calls that were refused (EPERM, ENOSYS) while a seccomp filter was on.
    pub refused: bool,
}

/// A capability that the kernel asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenCapability {
    /// See `slim_common::scope::phase`.
    pub phase: u8,
    /// Its number (include/uapi/linux/capability.h).
    pub number: u32,
    /// Whether this is about processes that did not have it.
    pub refused: bool,
}

/// Outcomes of everything that the hooks looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Per counting hook, summed over the CPUs.
    pub hooks: BTreeMap<&'static str, Counters>,
    /// Accesses that were never delivered.
    pub lost: u64,
    /// Times that a table was full, by `slim_common::counters::overflow`.
    pub overflows: [u64; overflow::COUNT as usize],
    /// Runs of a program that the kernel left out because the program was running on that CPU already.
    pub missed: u64,
}

/// Names of the counting hooks, by their index.
const HOOKS: [(&str, u32); hook::COUNT as usize] = [
    ("sys_exit", hook::CALL),
    ("sched_process_exec", hook::EXEC),
    ("vfs_open", hook::OPEN),
    ("security_inode_follow_link", hook::LINK),
    ("filename_lookup", hook::LOOKUP),
    ("iterate_dir", hook::LIST),
    ("__sys_connect_file", hook::CONNECT),
    ("security_socket_sendmsg", hook::SEND),
    ("security_path_unlink", hook::UNLINK),
    ("security_path_rmdir", hook::RMDIR),
    ("security_path_mkdir", hook::MKDIR),
    ("security_path_symlink", hook::SYMLINK),
    ("security_path_link", hook::HARD_LINK),
    ("security_path_rename", hook::RENAME),
    ("cap_capable", hook::CAPABILITY),
];

/// Outcomes per hook, summed over the CPUs.
fn hooks(maps: &Maps) -> Result<BTreeMap<&'static str, Counters>> {
    let counters: PerCpuArray<_, Counters> = PerCpuArray::try_from(maps.get("COUNTERS")?)?;
    let total = |index: u32| -> Result<Counters> {
        let values = counters.get(&index, 0).context("cannot read the counters")?;
        Ok(values.iter().fold(Counters::default(), sum))
    };
    HOOKS.into_iter().map(|(name, index)| Ok((name, total(index)?))).collect()
}

/// Records that may have been put into the backlog so far: it takes those with an outcome of their own, too.
pub(super) fn deferred(maps: &Maps) -> Result<u64> {
    let of = |counters: &Counters| counters.deferred + counters.seen_full + counters.truncated;
    Ok(hooks(maps)?.values().map(of).sum())
}

impl Tally {
    /// Reads the maps; `missed` are the runs of programs that the kernel left out.
    pub(super) fn read(maps: &Maps, missed: u64) -> Result<Self> {
        let hooks = hooks(maps)?;
        let lost = maps.hash::<Key, u8>("LOST")?;
        let tables = maps.array::<u64>("OVERFLOWS")?;
        let mut overflows = [0; overflow::COUNT as usize];
        for (table, count) in (0..).zip(&mut overflows) {
            *count = tables.get(&table, 0).context("cannot read the overflows")?;
        }
        let forgotten: u64 = hooks.values().map(|counters| counters.forgotten).sum();
        Ok(Self {
            lost: forgotten + lost.keys().filter(Result::is_ok).count() as u64,
            overflows,
            missed,
            hooks,
        })
    }

    /// The counters as the manifest shows them: hook -> outcome -> number.
    pub fn counters(&self) -> BTreeMap<String, BTreeMap<String, u64>> {
        let base = ["sys_exit", "sched_process_exec"];
        // A tier that is not attached has nothing to count.
        let counting = self.hooks.iter().filter(|(name, counters)| counters.hits > 0 || base.contains(name));
        counting.map(|(name, counters)| ((*name).to_owned(), outcomes(counters))).collect()
    }

    /// Whether every call is accounted for; see `slim_common::counters`.
    pub fn adds_up(&self) -> bool {
        self.hooks.values().all(|counters| {
            let delivered = counters.sent + counters.deferred + counters.seen_full + counters.truncated;
            let lost = counters.ring_full + counters.unreadable;
            counters.hits == counters.filtered + counters.duplicate + delivered + lost
        })
    }

    /// What could not be recovered, by reason.
    pub fn losses(&self) -> BTreeMap<&'static str, u64> {
        let [scopes, tasks, calls, slots] = self.overflows;
        [
            (NOT_DELIVERED, self.lost),
            ("scopes_full", scopes),
            ("tasks_full", tasks),
            ("call_out_of_range", calls),
            ("slots_full", slots),
            ("seen_full", self.total(|counters| counters.seen_full)),
            ("missed_runs", self.missed),
            (TRUNCATED, self.total(|counters| counters.truncated)),
            ("unreadable", self.total(|counters| counters.unreadable)),
        ]
        .into()
    }

    /// What could not be recovered, a sentence each.
    pub fn shortcomings(&self) -> BTreeSet<String> {
        let mut found = sentences(self.losses());
        if !self.adds_up() {
            found.insert("the counters of the hooks do not add up".into());
        }
        found
    }

    /// Sum of one outcome over the hooks.
    pub fn total(&self, outcome: impl Fn(&Counters) -> u64) -> u64 {
        self.hooks.values().map(outcome).sum()
    }
}

/// Accesses that were never delivered, as [`Tally::losses`] names them.
pub const NOT_DELIVERED: &str = "not_delivered";
/// Paths that were too long to follow.
pub const TRUNCATED: &str = "truncated";

/// A sentence for each reason that something was lost for. Reasons that say nothing about a recording have none.
pub fn sentences<'a>(losses: impl IntoIterator<Item = (&'a str, u64)>) -> BTreeSet<String> {
    let sentence = |(reason, count): (&str, u64)| {
        let what = match reason {
            NOT_DELIVERED => {
                "accesses were not delivered: ring buffer and backlog were full (--limit ring=, backlog=)"
            }
            "scopes_full" => "cgroups were not traced: the table of cgroups was full (--limit scopes=)",
            "tasks_full" => {
                "processes were not told from the application: their table was full (--limit tasks=)"
            }
            "call_out_of_range" => "system calls had numbers beyond what this version can note",
            "seen_full" => "accesses were more than can be told apart, though delivered (--limit seen=)",
            "missed_runs" => "runs of a hook were left out by the kernel",
            TRUNCATED => "paths were too long to follow",
            "unreadable" => "names could not be read from the process",
            _ => return None,
        };
        (count > 0).then(|| format!("{count} {what}"))
    };
    losses.into_iter().filter_map(sentence).collect()
}

fn outcomes(counters: &Counters) -> BTreeMap<String, u64> {
    let Counters {
        hits,
        filtered,
        duplicate,
        sent,
        deferred,
        ring_full,
        seen_full,
        truncated,
        unreadable,
        forgotten: _,
    } = *counters;
    let named = [
        ("hits", hits),
        ("filtered", filtered),
        ("duplicate", duplicate),
        ("sent", sent),
        ("deferred", deferred),
        ("ring_full", ring_full),
        ("seen_full", seen_full),
        ("truncated", truncated),
        ("unreadable", unreadable),
    ];
    named.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn sum(total: Counters, one: &Counters) -> Counters {
    Counters {
        hits: total.hits + one.hits,
        filtered: total.filtered + one.filtered,
        duplicate: total.duplicate + one.duplicate,
        sent: total.sent + one.sent,
        deferred: total.deferred + one.deferred,
        ring_full: total.ring_full + one.ring_full,
        seen_full: total.seen_full + one.seen_full,
        truncated: total.truncated + one.truncated,
        unreadable: total.unreadable + one.unreadable,
        forgotten: total.forgotten + one.forgotten,
    }
}

/// Where bytes are set. Hardly any are, so that many are looked at at once.
fn set(bytes: &[u8]) -> impl Iterator<Item = usize> {
    const MANY: usize = 256;
    let used = (0..).step_by(MANY).zip(bytes.chunks(MANY)).filter(|(_, many)| ![0; MANY].starts_with(many));
    used.flat_map(|(first, many)| (first..).zip(many).filter(|(_, byte)| **byte != 0).map(|(index, _)| index))
}

/// The set bytes of one slot's map of capabilities.
pub(super) fn seen_capabilities(bytes: &[u8]) -> Vec<SeenCapability> {
    set(bytes)
        .map(|index| SeenCapability {
            refused: index / CAPABILITIES / PHASES != 0,
            phase: (index / CAPABILITIES % PHASES) as u8,
            number: (index % CAPABILITIES) as u32,
        })
        .collect()
}

/// The set bytes of one slot's map.
pub(super) fn seen_calls(bytes: &[u8]) -> Vec<SeenCall> {
    set(bytes)
        .map(|index| SeenCall {
            refused: index / SYSCALLS / ABIS / PHASES != 0,
            phase: (index / SYSCALLS / ABIS % PHASES) as u8,
            abi: index / SYSCALLS % ABIS,
            nr: (index % SYSCALLS) as u32,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use slim_common::limits::{CAPABILITY_BYTES, SYSCALL_BYTES};

    /// But for containers that found no slot: that is no loss of a recording that there is.
    ///
    /// Including what no test can provoke: a run of a hook that the kernel left out.
    #[test]
    fn every_loss_has_its_sentence() {
        let whole = Tally { hooks: [("sys_exit", Counters::default())].into(), ..Tally::default() };
        assert_eq!(whole.shortcomings(), BTreeSet::new());
        let with = |counters| Tally { hooks: [("sys_exit", counters)].into(), ..Tally::default() };
        let cases = [
            (Tally { lost: 1, ..whole.clone() }, "not delivered"),
            (Tally { missed: 2, ..whole.clone() }, "left out by the kernel"),
            (Tally { overflows: [1, 0, 0, 0], ..whole.clone() }, "cgroups were not traced"),
            (Tally { overflows: [0, 1, 0, 0], ..whole.clone() }, "processes were not told"),
            (Tally { overflows: [0, 0, 1, 0], ..whole.clone() }, "numbers beyond"),
            (with(Counters { hits: 1, seen_full: 1, ..Counters::default() }), "more than can be told apart"),
            (with(Counters { hits: 1, truncated: 1, ..Counters::default() }), "too long"),
            (with(Counters { hits: 1, unreadable: 1, ..Counters::default() }), "could not be read"),
            (with(Counters { hits: 1, ..Counters::default() }), "do not add up"),
        ];
        for (tally, words) in cases {
            let said = tally.shortcomings();
            assert!(said.len() == 1 && said.iter().all(|reason| reason.contains(words)), "{words}: {said:?}");
        }
    }

    #[test]
    fn a_full_ring_whose_accesses_were_recovered_is_no_shortcoming() {
        let counters = Counters { hits: 9, sent: 3, deferred: 4, ring_full: 2, ..Counters::default() };
        let tally = Tally { hooks: [("sys_exit", counters)].into(), ..Tally::default() };
        assert_eq!(tally.shortcomings(), BTreeSet::new());
    }

    #[test]
    fn a_byte_is_a_capability() {
        let mut bytes = vec![0; CAPABILITY_BYTES];
        bytes[3 * CAPABILITIES + 21] = 1;
        bytes[PHASES * CAPABILITIES + 7] = 1;
        let granted = SeenCapability { phase: 3, number: 21, refused: false };
        let refused = SeenCapability { phase: 0, number: 7, refused: true };
        assert_eq!(seen_capabilities(&bytes), [granted, refused]);
    }

    #[test]
    fn a_byte_is_a_call() {
        let mut bytes = vec![0; SYSCALL_BYTES];
        bytes[(3 * ABIS + 1) * SYSCALLS + 42] = 1;
        bytes[PHASES * ABIS * SYSCALLS + 7] = 1;
        let carried_out = SeenCall { phase: 3, abi: 1, nr: 42, refused: false };
        let refused = SeenCall { phase: 0, abi: 0, nr: 7, refused: true };
        assert_eq!(seen_calls(&bytes), [carried_out, refused]);
    }
}
