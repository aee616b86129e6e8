//! One recording from its first scope to its manifest: what it is, and how it goes on while others wait.

mod checkpoint;
mod entry;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use tokio::time::{MissedTickBehavior, interval};

pub use checkpoint::Checkpoint;

use super::progress::{Progress, Status};
use super::target::Target;
use crate::container::{Container, cgroup};
use crate::manifest::{ImageRef, Manifest};
use crate::probe::{Limits, Probe, Tally};
use crate::recording::{Account, Reading, Recorder};

/// A recording uses one set of programs for itself, so its slot is always this one.
const SLOT: u32 = 0;
/// Between two looks at the totals.
const TICK: Duration = Duration::from_millis(500);

/// A recording that runs.
pub struct Session {
    probe: Probe,
    target: Target,
    recorder: Recorder,
    progress: Progress,
    /// What is left should the agent be killed, from when the target runs.
    checkpoint: Option<Checkpoint>,
}

impl Session {
    /// A recording of `target` with nothing in scope yet; `reading` says what it is about.
    ///
    /// # Errors
    /// The clock or the random numbers of the kernel cannot be read.
    pub fn begin(
        mut probe: Probe,
        target: Target,
        reading: Box<dyn Reading>,
        ignore_exec: bool,
        limits: &Limits,
    ) -> Result<Self> {
        let recorder = Recorder::begin(&mut probe, SLOT, target.subject(), reading, ignore_exec, limits)?;
        Ok(Self { probe, target, recorder, progress: Progress::begin(), checkpoint: None })
    }

    /// Says which image the manifest is about, where it is not the container's own.
    pub fn is_about(&mut self, image: ImageRef) {
        self.recorder.is_about(image);
    }

    /// The variables that COMMAND gets.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        self.container().map(super::target::environment).unwrap_or_default()
    }

    /// The container, as the runtime told of it last.
    pub fn container(&self) -> Option<&Container> {
        self.recorder.subject().container()
    }

    /// Resolves when the target does not run any more. Independent of the session, so that both can be polled.
    pub fn stopped(&self) -> impl Future<Output = ()> + use<> {
        let wait = match &self.target {
            Target::Container { runtime, container } => Some((runtime.clone(), container.id.clone())),
            Target::Cgroup { .. } => None,
        };
        let cgroup = self.recorder.cgroup().map(Path::to_owned);
        async move {
            if let Some((runtime, id)) = wait {
                match runtime.wait_stopped(&id).await {
                    Ok(()) => return,
                    Err(error) => tracing::warn!("{error:#}; recording goes on until the cgroup is empty"),
                }
                until(|| cgroup.as_ref().is_none_or(|dir| cgroup::processes(dir).is_empty())).await;
            } else {
                until(|| cgroup.as_ref().is_none_or(|dir| !dir.exists())).await;
            }
        }
    }

    /// Takes records while `other` goes on.
    ///
    /// # Errors
    /// The ring buffer cannot be waited for.
    pub async fn drive<F: Future>(&mut self, other: F) -> Result<F::Output> {
        tokio::pin!(other);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                output = &mut other => return Ok(output),
                ready = self.probe.ready() => {
                    ready?;
                    self.take()?;
                }
                _ = ticks.tick() => {
                    // A record may have been put into the backlog while the ring was emptied.
                    self.take()?;
                    self.show()?;
                    self.save_checkpoint().await?;
                }
            }
        }
    }

    fn take(&mut self) -> Result<()> {
        let facts = &mut self.recorder.facts;
        facts.resolver.begin();
        let drained = self.probe.drain(|bytes| facts.take(bytes));
        facts.resolver.end();
        drained
    }

    fn show(&mut self) -> Result<()> {
        self.recorder.take_state(&self.probe)?;
        let facts = &self.recorder.facts;
        let totals = facts.fold.totals();
        let status = Status {
            observed: facts.reading.observed(),
            files: totals.files,
            execs: totals.execs,
            sockets: totals.sockets,
            syscalls: facts.fold.syscalls(),
            lost: self.probe.tally()?.lost,
            last_new: facts.last_new,
        };
        self.progress.show(&status);
        Ok(())
    }

    /// Ends the recording: takes what is left, and puts the manifest together.
    ///
    /// # Errors
    /// The kernel's totals cannot be read.
    pub fn finish(mut self) -> Result<(Manifest, Tally)> {
        self.progress.clear();
        self.take()?;
        self.recorder.take_blocked(&self.probe)?;
        self.probe.close_scopes()?;
        self.take()?;
        let tally = self.probe.tally()?;
        Ok((self.recorder.finish(&self.probe, Account::from(&tally))?, tally))
    }
}

async fn until(mut condition: impl FnMut() -> bool) {
    let mut ticks = interval(TICK);
    while !condition() {
        ticks.tick().await;
    }
}
