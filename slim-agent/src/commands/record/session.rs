//! One recording from its first scope to its manifest: what it is, and how it goes on while others wait.

mod checkpoint;
mod closing;
mod entry;
mod past;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use tokio::time::{MissedTickBehavior, interval};

use slim_common::scope::flags;

pub use checkpoint::Checkpoint;

use super::facts::{Facts, Reading, boottime_ns};
use super::progress::{Progress, Status};
use super::target::Target;
use crate::container::{Container, cgroup};
use crate::manifest::fold::{Fold, Room};
use crate::manifest::{ImageRef, Manifest, Origin, PathBytes};
use crate::probe::{Limits, Probe};
use crate::resolve::Resolver;

/// A recording uses one set of programs for itself, so its slot is always this one.
const SLOT: u32 = 0;
/// Between two looks at the totals.
const TICK: Duration = Duration::from_millis(500);

/// A recording that runs.
pub struct Session {
    probe: Probe,
    target: Target,
    facts: Facts,
    progress: Progress,
    started: SystemTime,
    startup_observed: bool,
    /// The cgroup, once it is known.
    cgroup: Option<PathBuf>,
    /// Bits of [`slim_common::scope::flags`] that every scope of this recording has.
    scope_flags: u32,
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
        if let Target::Container { container, .. } = &target {
            probe.set_healthcheck(SLOT, &container.healthcheck)?;
        }
        let (image, known) = match &target {
            Target::Container { container, .. } => (Some(container.image.clone()), mounts_of(container)),
            Target::Cgroup { .. } => (None, Vec::new()),
        };
        let (start_ns, started) = (boottime_ns()?, SystemTime::now());
        let started_unix = started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let room = Room { paths: limits.paths as usize, sockets: limits.sockets as usize };
        let fold = Fold::new(Manifest::new(image), recording_id()?, start_ns, started_unix, room);
        let facts = Facts::new(reading, Resolver::new(known), fold);
        let progress = Progress::begin();
        let scope_flags = if ignore_exec { flags::IGNORE_EXEC } else { 0 };
        Ok(Self {
            probe,
            target,
            facts,
            progress,
            started,
            startup_observed: false,
            cgroup: None,
            scope_flags,
            checkpoint: None,
        })
    }

    /// Says which image the manifest is about, where it is not the container's own.
    pub fn is_about(&mut self, image: ImageRef) {
        self.facts.fold.is_about(image);
    }

    /// The variables that COMMAND gets.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        self.target.environment()
    }

    /// The container, as the runtime told of it last.
    pub fn container(&self) -> Option<&Container> {
        match &self.target {
            Target::Container { container, .. } => Some(container),
            Target::Cgroup { .. } => None,
        }
    }

    /// Resolves when the target does not run any more. Independent of the session, so that both can be polled.
    pub fn stopped(&self) -> impl Future<Output = ()> + use<> {
        let wait = match &self.target {
            Target::Container { runtime, container } => Some((runtime.clone(), container.id.clone())),
            Target::Cgroup { .. } => None,
        };
        let cgroup = self.cgroup.clone();
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
        let facts = &mut self.facts;
        facts.resolver.begin();
        let drained = self.probe.drain(|bytes| facts.take(bytes));
        facts.resolver.end();
        drained
    }

    /// Takes what the kernel side keeps as state: system calls and capabilities so far.
    fn take_state(&mut self) -> Result<()> {
        self.facts.take_calls(self.probe.syscalls(SLOT)?)?;
        self.facts.take_capabilities(self.probe.capabilities(SLOT)?)
    }

    fn show(&mut self) -> Result<()> {
        self.take_state()?;
        let fold = &self.facts.fold;
        let totals = fold.totals();
        let status = Status {
            observed: self.facts.reading.observed(),
            files: totals.files,
            execs: totals.execs,
            sockets: totals.sockets,
            syscalls: fold.syscalls(),
            lost: self.probe.tally()?.lost,
            last_new: self.facts.last_new,
        };
        self.progress.show(&status);
        Ok(())
    }
}

/// Mounts that the runtime knows of, for when no process of the container can be asked.
fn mounts_of(container: &Container) -> Vec<(PathBytes, Origin)> {
    let origin = |kind: &str| if kind == "tmpfs" { Origin::Tmpfs } else { Origin::Volume };
    container.mounts.iter().map(|(point, kind)| (point.clone(), origin(kind))).collect()
}

async fn until(mut condition: impl FnMut() -> bool) {
    let mut ticks = interval(TICK);
    while !condition() {
        ticks.tick().await;
    }
}

fn recording_id() -> Result<String> {
    let uuid =
        std::fs::read_to_string("/proc/sys/kernel/random/uuid").context("cannot make a recording id")?;
    Ok(uuid.chars().filter(char::is_ascii_hexdigit).take(16).collect())
}
