//! The past of a target that runs already. Its processes fork, exit and hand files to each other while they are looked
//! at. The hooks are there before the first look, so what they tell is no news; the look is repeated until it finds
//! nothing else that is new.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::Recorder;
use crate::container::cgroup;
use crate::manifest::{PathBytes, Phase};
use crate::probe::Probe;
use crate::resolve::Fact;
use crate::resolve::snapshot::{Frames, Lineage, Look, Process};

/// Looks in a row that find nothing new, when processes come and go too fast to look at each.
const QUIET: usize = 3;
/// When to give up.
const MAX_LOOKS: usize = 200;
/// The same, for containers with so many processes that a look takes long.
const MAX_TIME: Duration = Duration::from_secs(10);

/// What the looks have found so far.
#[derive(Debug)]
pub struct Past {
    dir: PathBuf,
    frames: Frames,
    lineage: Lineage,
    /// Processes looked at.
    seen: BTreeSet<Process>,
    /// Processes that the kernel side was told of.
    marked: BTreeSet<Process>,
    replaced: BTreeSet<PathBytes>,
    settling: Settling,
    began: Instant,
}

/// What the processes held at one look.
#[derive(Debug)]
pub struct Looked {
    facts: Vec<Fact>,
    missed: bool,
}

/// How one look went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    /// It found something that neither an earlier look nor a hook had told.
    new: bool,
    /// A process was gone before anybody looked at it.
    missed: bool,
}

/// When to stop looking.
#[derive(Debug, Default)]
struct Settling {
    looks: usize,
    quiet: usize,
}

/// What comes after a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another look.
    Again,
    /// Nothing: the past is known.
    Settled,
    /// Nothing: it will not become certain, and the recording says so.
    GiveUp,
}

impl Settling {
    /// A process that is gone may have handed on what it held: to one that the next look will see.
    fn after(&mut self, found: Found) -> Next {
        self.looks += 1;
        self.quiet = if found.new { 0 } else { self.quiet + 1 };
        match found {
            Found { new: false, missed: false } => Next::Settled,
            _ if self.quiet >= QUIET => Next::Settled,
            _ if self.looks >= MAX_LOOKS => Next::GiveUp,
            _ => Next::Again,
        }
    }
}

impl Past {
    /// The past of what is in the cgroup `dir`; `pid` is a process with its mount tree.
    pub(super) fn new(pid: u32, dir: &Path, lineage: Lineage) -> Self {
        Self {
            dir: dir.to_owned(),
            frames: Frames::of_container(pid),
            lineage,
            seen: BTreeSet::new(),
            marked: BTreeSet::new(),
            replaced: BTreeSet::new(),
            settling: Settling::default(),
            began: Instant::now(),
        }
    }

    /// Tells the kernel side which processes are not the application.
    ///
    /// # Errors
    /// The kernel's table is full.
    pub(super) fn mark_outsiders(&mut self, probe: &mut Probe) -> Result<()> {
        for process in cgroup::processes(&self.dir).into_iter().filter_map(Process::of) {
            self.mark_outsider(process, probe)?;
        }
        Ok(())
    }

    fn mark_outsider(&mut self, process: Process, probe: &mut Probe) -> Result<Phase> {
        let phase = self.lineage.phase_of(process.pid);
        if phase == Phase::Exec && self.marked.insert(process) {
            probe.mark_exec(process.pid, || process.lives())?;
        }
        Ok(phase)
    }

    /// Looks at all processes. The records that are waiting then must be taken before [`Self::after`]: what was opened
    /// since the hooks are there is told by them.
    ///
    /// # Errors
    /// The kernel's table of processes is full.
    pub fn look(&mut self, probe: &mut Probe, recorder: &mut Recorder) -> Result<Looked> {
        let mut processes = Vec::new();
        let mut missed = false;
        for pid in cgroup::processes(&self.dir) {
            match Process::of(pid) {
                Some(process) => processes.push((process, self.mark_outsider(process, probe)?)),
                None => missed = true,
            }
        }
        recorder.facts.resolver.begin();
        let mut look = Look::begin(&recorder.facts.resolver, &mut self.frames);
        let mut facts = Vec::new();
        for (process, phase) in processes {
            facts.extend(look.at(process.pid, phase));
            if process.lives() {
                self.seen.insert(process);
            } else {
                missed |= !self.seen.contains(&process);
            }
        }
        self.replaced.append(&mut look.replaced);
        recorder.facts.resolver.end();
        Ok(Looked { facts, missed })
    }

    /// Takes what a look has found, and says what comes next.
    pub fn after(&mut self, looked: Looked, recorder: &mut Recorder) -> Next {
        let new = looked.facts.into_iter().fold(false, |new, fact| recorder.facts.take_held(fact) | new);
        let next = match self.settling.after(Found { new, missed: looked.missed }) {
            Next::Again if self.began.elapsed() >= MAX_TIME => Next::GiveUp,
            next => next,
        };
        if next == Next::Again {
            return next;
        }
        if next == Next::GiveUp {
            recorder.facts.shortcomings.insert(
                "what the processes held when the recording began did not become certain: they changed faster than it \
                 could be looked at"
                    .into(),
            );
        }
        tracing::debug!("looked {} times at what {} processes hold", self.settling.looks, self.seen.len());
        warn_of_replaced(&self.replaced);
        next
    }
}

fn warn_of_replaced(replaced: &BTreeSet<PathBytes>) {
    if let Some(path) = replaced.first() {
        tracing::warn!(
            "{} files that processes hold have been replaced since, such as {path}: recorded by their names, so that an \
             export takes what the image has there",
            replaced.len()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Found = Found { new: true, missed: false };
    const QUIET_LOOK: Found = Found { new: false, missed: false };
    const MISSED: Found = Found { new: false, missed: true };

    fn next(found: &[Found]) -> Vec<Next> {
        let mut settling = Settling::default();
        found.iter().map(|found| settling.after(*found)).collect()
    }

    #[test]
    fn one_look_without_news_settles_it() {
        assert_eq!(next(&[NEW, NEW, QUIET_LOOK]), [Next::Again, Next::Again, Next::Settled]);
    }

    #[test]
    fn a_process_that_nobody_looked_at_asks_for_more_looks() {
        assert_eq!(next(&[NEW, MISSED, MISSED, MISSED])[1..], [Next::Again, Next::Again, Next::Settled]);
        assert_eq!(next(&[MISSED, MISSED, NEW, MISSED]), [Next::Again; 4]);
    }

    #[test]
    fn endless_news_are_given_up() {
        assert_eq!(next(&[NEW; MAX_LOOKS]).last(), Some(&Next::GiveUp));
    }
}
