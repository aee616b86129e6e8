//! What the engine counts of its own work.

use std::fs;

use anyhow::Result;
use nix::unistd::{SysconfVar, sysconf};

use crate::daemon::active::Losses;
use crate::daemon::model::ProcessMeasures;
use crate::recording::Began;

/// Counters, and what they are told with.
#[derive(Debug)]
pub struct Meters {
    /// When the process was started.
    pub began: Began,
    /// Containers that came into scope, or ran already: recorded for a profile.
    pub recorded: u64,
    /// Wanted by no rule.
    pub unwanted: u64,
    /// Known to no engine.
    pub unknown: u64,
    /// Recordings that ended.
    pub ended: u64,
    /// Checkpoints written.
    pub checkpoints: u64,
    /// Checkpoints that the disk did not take.
    pub checkpoints_failed: u64,
    /// Times that programs of an earlier daemon were taken over.
    pub adoptions: u64,
    /// Why checkpoints are paused, if they are.
    pub disk: Option<String>,
    /// Why a manifest of a recording that ended is not stored.
    pub unsaved: Option<String>,
    /// Containers that found no slot, when what runs was looked at last.
    slots_full: u64,
}

impl Meters {
    /// Nothing counted yet.
    ///
    /// # Errors
    /// The kernel does not tell the time.
    pub fn begin() -> Result<Self> {
        let began = Began::now()?;
        Ok(Self {
            began,
            recorded: 0,
            unwanted: 0,
            unknown: 0,
            ended: 0,
            checkpoints: 0,
            checkpoints_failed: 0,
            adoptions: 0,
            disk: None,
            unsaved: None,
            slots_full: 0,
        })
    }

    /// Whether containers found no slot since this was asked last.
    pub fn slots_full_since_look(&mut self, losses: &Losses) -> bool {
        let full = losses.get("slots_full").copied().unwrap_or_default();
        std::mem::replace(&mut self.slots_full, full) < full
    }
}

/// What this process takes: proc_pid_stat(5), proc_pid_statm(5). What /proc does not tell is zero.
pub fn process() -> ProcessMeasures {
    let number = |variable| sysconf(variable).ok().flatten().map_or(0, |value| value as u64);
    let pages = fs::read_to_string("/proc/self/statm").ok();
    let resident = pages.and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok()).unwrap_or_default();
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is a name in brackets that may hold anything; user and system time are the 14th and 15th.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = fields.split(' ').skip(12).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    let open_files = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    ProcessMeasures {
        resident_bytes: resident * number(SysconfVar::PAGE_SIZE),
        cpu_seconds: ticks as f64 / number(SysconfVar::CLK_TCK).max(1) as f64,
        open_files: open_files as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_something() {
        let burn: u64 = (0..30_000_000_u64).fold(0, |sum, n| std::hint::black_box(sum ^ n));
        let taken = process();
        assert!(taken.resident_bytes > 1 << 20 && taken.open_files > 2, "{taken:?} {burn}");
    }

    #[test]
    fn each_container_without_a_slot_is_news_once() {
        let mut meters = Meters::begin().unwrap();
        let full = |count| Losses::from([("slots_full".to_owned(), count)]);
        assert!(!meters.slots_full_since_look(&full(0)));
        assert!(meters.slots_full_since_look(&full(2)) && !meters.slots_full_since_look(&full(2)));
    }
}
