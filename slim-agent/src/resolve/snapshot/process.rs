//! Processes as /proc/PID/stat tells them apart (proc_pid_stat(5)), and whether they belong to the application.

use std::fs;

use super::entries;
use crate::manifest::Phase;

/// PF_EXITING (include/linux/sched.h): the task is on its way out.
const EXITING: u32 = 4;
/// Ancestors that are followed; pid namespaces nest 32 deep, processes seldom deeper.
const GENERATIONS: usize = 4096;
/// How often a chain is followed again whose process was given another parent meanwhile.
const ATTEMPTS: usize = 5;

/// One process: its id may be used again, but not with the same start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Process {
    /// Its id in the agent's pid namespace.
    pub pid: u32,
    /// When it was started, in clock ticks since boot.
    start: u64,
}

/// What is needed of a stat file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: u32,
    flags: u32,
    start: u64,
}

impl Process {
    /// The process that has this id now.
    pub fn of(pid: u32) -> Option<Self> {
        stat(&format!("/proc/{pid}/stat")).map(|stat| Self { pid, start: stat.start })
    }

    /// Whether it runs and will be seen to exit. Its first thread may have ended before the others.
    pub fn lives(self) -> bool {
        let threads = entries(format!("/proc/{}/task", self.pid).as_ref());
        let mut threads = threads.filter_map(|thread| stat(&thread.join("stat").to_string_lossy()));
        Self::of(self.pid) == Some(self) && threads.any(|thread| thread.flags & EXITING == 0)
    }
}

/// Which processes are the application: those that descend from the container's first process. What was put in later
/// has other ancestors, since its first parent is not in the container.
#[derive(Debug, Clone, Copy)]
pub struct Lineage {
    first: Option<u32>,
}

impl Lineage {
    /// Of a container by its first process. Where that is not the first of its pid namespace (`--pid host`, `--pid
    /// container:X`), a process whose parent exits is given a parent outside, so that ancestors tell nothing: all
    /// counts as the application there, because too much kept beats something cut.
    pub fn of_container(first: u32) -> Self {
        let status = fs::read(format!("/proc/{first}/status")).unwrap_or_default();
        Self { first: is_first_of_namespace(&status).then_some(first) }
    }

    /// Of a cgroup without a container: all is the application.
    pub fn of_cgroup() -> Self {
        Self { first: None }
    }

    /// The phase of a process that runs.
    pub fn phase_of(self, pid: u32) -> Phase {
        let parent = |pid: u32| stat(&format!("/proc/{pid}/stat")).map(|stat| stat.parent);
        let Some(first) = self.first else { return Phase::App };
        let descends = (0..ATTEMPTS).find_map(|_| descends(pid, first, parent));
        if descends == Some(false) { Phase::Exec } else { Phase::App }
    }
}

/// Whether `first` is `pid` or an ancestor; `None` when the chain broke off because a process in it exited.
fn descends(pid: u32, first: u32, parent: impl Fn(u32) -> Option<u32>) -> Option<bool> {
    let mut at = pid;
    for _ in 0..GENERATIONS {
        if at == first {
            return Some(true);
        }
        // 0 is the parent of the first process, and stands for one outside of the agent's own pid namespace.
        if at <= 1 {
            return Some(false);
        }
        at = parent(at)?;
    }
    None
}

/// Whether the innermost of a process's ids (proc_pid_status(5)) is 1.
fn is_first_of_namespace(status: &[u8]) -> bool {
    let mut lines = status.split(|&b| b == b'\n');
    let ids = lines.find_map(|line| line.strip_prefix(b"NSpid:"));
    ids.and_then(|ids| ids.rsplit(u8::is_ascii_whitespace).next()) == Some(b"1")
}

fn stat(path: &str) -> Option<Stat> {
    parse_stat(&fs::read(path).ok()?)
}

/// The name of the program stands in parentheses, and may hold some itself.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let behind = text.iter().rposition(|&b| b == b')')? + 1;
    let fields: Vec<&str> = std::str::from_utf8(&text[behind..]).ok()?.split_ascii_whitespace().collect();
    // The third field of the file is the first one here.
    let field = |number: usize| fields.get(number - 3);
    Some(Stat {
        parent: field(4)?.parse().ok()?,
        flags: field(9)?.parse().ok()?,
        start: field(22)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let text = b"42 (a) R 7 (b\n) S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 9";
        assert_eq!(parse_stat(text), Some(Stat { parent: 7, flags: 4_194_560, start: 4711 }));
    }

    #[test]
    fn this_process_lives_and_one_that_was_reaped_does_not() {
        let own = Process::of(std::process::id()).unwrap();
        assert!(own.lives());
        assert!(!Process { start: own.start + 1, ..own }.lives());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let process = Process::of(child.id()).unwrap();
        child.wait().unwrap();
        assert!(!process.lives());
    }

    #[test]
    fn a_child_descends_from_its_parent_and_not_the_other_way_round() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let (own, other) = (std::process::id(), child.id());
        let phase = |first, pid| Lineage { first: Some(first) }.phase_of(pid);
        let found = (phase(own, other), phase(other, own), phase(own, own));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found, (Phase::App, Phase::Exec, Phase::App));
    }

    #[test]
    fn ancestors_decide_unless_the_chain_breaks_off() {
        let parents = HashMap::from([(30, 20), (20, 10), (10, 5), (5, 1), (40, 5), (50, 49)]);
        let descends = |pid| descends(pid, 10, |pid| parents.get(&pid).copied());
        assert_eq!(descends(30), Some(true));
        assert_eq!(descends(10), Some(true));
        assert_eq!(descends(40), Some(false));
        assert_eq!(descends(50), None);
    }

    #[test]
    fn the_innermost_id_tells_the_first_of_a_namespace() {
        assert!(is_first_of_namespace(b"Name:\tx\nNSpid:\t4711\t1\nNSsid:\t0\n"));
        assert!(!is_first_of_namespace(b"NSpid:\t4711\t11\n"));
        assert!(!is_first_of_namespace(b"NSpid:\t4711\n"));
        assert!(!is_first_of_namespace(b""));
    }

    proptest! {
        #[test]
        fn no_text_panics(text: Vec<u8>, parents: HashMap<u8, u8>) {
            let _ = (parse_stat(&text), is_first_of_namespace(&text));
            let parent = |pid: u32| parents.get(&u8::try_from(pid).ok()?).map(|&parent| parent.into());
            let _ = descends(7, 3, parent);
        }
    }
}
