//! The past of a target that runs already. Its processes fork, exit and hand files to each other while they are looked
//! at. The hooks are there before the first look, so what they tell is no news; the look is repeated until it finds
//! nothing else that is new.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::Session;
use crate::container::cgroup;
use crate::manifest::{PathBytes, Phase};
use crate::resolve::snapshot::{Frames, Lineage, Look, Process};

/// Looks in a row that find nothing new, when processes come and go too fast to look at each.
const QUIET: usize = 3;
/// When to give up.
const MAX_LOOKS: usize = 200;
/// The same, for containers with so many processes that a look takes long.
const MAX_TIME: Duration = Duration::from_secs(10);

/// What the looks have found so far.
#[derive(Debug)]
pub(super) struct Past {
    frames: Frames,
    lineage: Lineage,
    /// Processes looked at.
    seen: BTreeSet<Process>,
    /// Processes that the kernel side was told of.
    marked: BTreeSet<Process>,
    replaced: BTreeSet<PathBytes>,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Again,
    Settled,
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
    /// The past of a target; `pid` is a process with its mount tree.
    pub(super) fn new(pid: u32, lineage: Lineage) -> Self {
        Self {
            frames: Frames::of_container(pid),
            lineage,
            seen: BTreeSet::new(),
            marked: BTreeSet::new(),
            replaced: BTreeSet::new(),
        }
    }
}

impl Session {
    /// Tells the kernel side which processes of a cgroup are not the application.
    ///
    /// # Errors
    /// The kernel's table is full.
    pub(super) fn mark_outsiders(&mut self, dir: &Path, past: &mut Past) -> Result<()> {
        for process in cgroup::processes(dir).into_iter().filter_map(Process::of) {
            self.mark_outsider(process, past)?;
        }
        Ok(())
    }

    fn mark_outsider(&mut self, process: Process, past: &mut Past) -> Result<Phase> {
        let phase = past.lineage.phase_of(process.pid);
        if phase == Phase::Exec && past.marked.insert(process) {
            self.probe.mark_exec(process.pid, || process.lives())?;
        }
        Ok(phase)
    }

    /// Takes the past of the processes in a cgroup that is in scope.
    ///
    /// # Errors
    /// The kernel's table of processes is full.
    pub(super) async fn take_past(&mut self, dir: &Path, mut past: Past) -> Result<()> {
        let mut settling = Settling::default();
        let began = Instant::now();
        loop {
            let found = self.look(dir, &mut past)?;
            match settling.after(found) {
                Next::Settled => break,
                Next::Again if began.elapsed() < MAX_TIME => tokio::task::yield_now().await,
                Next::Again | Next::GiveUp => {
                    self.facts.shortcomings.insert(
                        "what the processes held when the recording began did not become certain: they changed faster \
                         than it could be looked at"
                            .into(),
                    );
                    break;
                }
            }
        }
        tracing::debug!("looked {} times at what {} processes hold", settling.looks, past.seen.len());
        warn_of_replaced(&past.replaced);
        Ok(())
    }

    fn look(&mut self, dir: &Path, past: &mut Past) -> Result<Found> {
        let mut processes = Vec::new();
        let mut missed = false;
        for pid in cgroup::processes(dir) {
            match Process::of(pid) {
                Some(process) => processes.push((process, self.mark_outsider(process, past)?)),
                None => missed = true,
            }
        }
        self.facts.resolver.begin();
        let mut look = Look::begin(&self.facts.resolver, &mut past.frames);
        let mut facts = Vec::new();
        for (process, phase) in processes {
            facts.extend(look.at(process.pid, phase));
            if process.lives() {
                past.seen.insert(process);
            } else {
                missed |= !past.seen.contains(&process);
            }
        }
        past.replaced.append(&mut look.replaced);
        self.facts.resolver.end();
        // What was opened since the hooks are there is in the ring by now.
        self.take()?;
        let new = facts.into_iter().fold(false, |new, fact| self.facts.take_held(fact) | new);
        Ok(Found { new, missed })
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
