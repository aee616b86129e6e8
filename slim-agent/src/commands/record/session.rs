//! One recording from its first scope to its manifest.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use nix::time::{ClockId, clock_gettime};
use slim_common::scope::{Scope, flags};
use tokio::time::{MissedTickBehavior, interval};

use super::facts::{self, Facts};
use super::progress::{Progress, Status};
use super::target::Target;
use crate::container::{Container, State, cgroup};
use crate::decode::phase_of;
use crate::manifest::fold::Fold;
use crate::manifest::{Manifest, Origin, PathBytes, Recording};
use crate::probe::{ABIS, Probe, Tally};
use crate::resolve::root::LiveRoot;
use crate::resolve::{Resolver, snapshot};

/// A recording uses one set of programs for itself, so its slot is always this one.
const SLOT: u32 = 0;
/// Between two looks at the totals.
const TICK: Duration = Duration::from_millis(500);
/// Rounds of snapshots until nothing new turns up.
const SNAPSHOTS: usize = 5;

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
}

impl Session {
    /// A recording of `target` with nothing in scope yet.
    ///
    /// # Errors
    /// The clock or the random numbers of the kernel cannot be read.
    pub fn begin(probe: Probe, target: Target) -> Result<Self> {
        let (image, known) = match &target {
            Target::Container { container, .. } => (Some(container.image.clone()), mounts_of(container)),
            Target::Cgroup { .. } => (None, Vec::new()),
        };
        let now = clock_gettime(ClockId::CLOCK_BOOTTIME).context("cannot read the clock")?;
        let start_ns = now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64;
        let fold = Fold::new(Manifest::new(image), recording_id()?, start_ns);
        let facts = Facts::new(Resolver::new(known), fold);
        let progress = Progress::begin();
        let started = SystemTime::now();
        Ok(Self { probe, target, facts, progress, started, startup_observed: false, cgroup: None })
    }

    /// Brings the target into scope and, if it does not run, to life.
    ///
    /// # Errors
    /// The kernel or the runtime refuses.
    pub async fn start(&mut self, restart: bool) -> Result<()> {
        let state = match &self.target {
            Target::Cgroup { dir, .. } => return self.enter_cgroup(&dir.clone()),
            Target::Container { container, .. } => container.state,
        };
        if state == State::Running && !restart {
            return self.attach_to_running();
        }
        self.start_container(state == State::Running).await
    }

    /// The variables that COMMAND gets.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        self.target.environment()
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
                    self.take();
                }
                _ = ticks.tick() => self.show()?,
            }
        }
    }

    /// Ends the recording: takes what is left, and puts the manifest together.
    ///
    /// # Errors
    /// The kernel's totals cannot be read.
    pub fn finish(mut self) -> Result<(Manifest, Tally)> {
        self.progress.clear();
        self.take();
        self.facts.take_blocked(self.cgroup.as_deref());
        self.probe.close_scopes()?;
        self.take();
        let tally = self.probe.tally()?;
        self.fold_syscalls()?;
        let recording = self.recording(&tally)?;
        Ok((self.facts.fold.finish(recording), tally))
    }

    fn take(&mut self) {
        let facts = &mut self.facts;
        facts.resolver.begin();
        self.probe.drain(|bytes| facts.take(bytes));
        facts.resolver.end();
    }

    fn show(&mut self) -> Result<()> {
        let totals = self.facts.fold.totals();
        let status = Status {
            files: totals.files,
            execs: totals.execs,
            sockets: totals.sockets,
            syscalls: self
                .probe
                .syscalls(SLOT)?
                .iter()
                .map(|call| (call.abi, call.nr))
                .collect::<BTreeSet<_>>()
                .len(),
            lost: self.probe.tally()?.lost,
            last_new: self.facts.last_new,
        };
        self.progress.show(&status);
        Ok(())
    }

    async fn start_container(&mut self, restart: bool) -> Result<()> {
        let Target::Container { runtime, container } = &self.target else { return Ok(()) };
        let (runtime, id) = (runtime.clone(), container.id.clone());
        let key = id.as_bytes().try_into().ok().with_context(|| format!("{id} is not a container id"))?;
        self.probe.watch(&key, Scope { slot: SLOT, flags: 0 })?;
        self.startup_observed = true;
        let start = async { if restart { runtime.restart(&id).await } else { runtime.start(&id).await } };
        self.drive(start).await??;
        match self.drive(runtime.inspect(&id)).await? {
            Ok(now) => self.take_note_of(now),
            Err(error) => self.look_without_runtime(&id, &error),
        }
        Ok(())
    }

    fn take_note_of(&mut self, now: Container) {
        if let Some(pid) = now.pid {
            self.facts.resolver.set_init(pid);
            self.cgroup = cgroup::of_process(pid).ok();
        }
        if let Target::Container { container, .. } = &mut self.target {
            **container = now;
        }
    }

    /// A container may be removed, or the runtime gone, as soon as it was started. It is recorded all the same.
    fn look_without_runtime(&mut self, id: &str, error: &anyhow::Error) {
        tracing::warn!("cannot ask for the container that was started: {error:#}; recording goes on");
        self.cgroup = cgroup::of_container(id);
        let members = self.cgroup.iter().flat_map(|dir| cgroup::processes(dir));
        if let Some(pid) = members.min() {
            self.facts.resolver.set_init(pid);
        }
    }

    fn attach_to_running(&mut self) -> Result<()> {
        let Target::Container { container, .. } = &self.target else { return Ok(()) };
        let pid = container.pid.context("the runtime names no process of the container")?;
        let dir = cgroup::of_process(pid)?;
        self.facts.resolver.set_init(pid);
        self.probe.set_started(SLOT)?;
        self.enter_scope(&dir, 0)?;
        self.snapshot(&dir);
        Ok(())
    }

    /// A cgroup with processes has a past; an empty one is observed from its first.
    fn enter_cgroup(&mut self, dir: &Path) -> Result<()> {
        let member = cgroup::processes(dir).first().copied();
        let host = LiveRoot::of(1).and_then(|root| root.identity());
        let root = member.and_then(LiveRoot::of).and_then(|root| root.identity());
        let on_host = root.is_none() || root == host;
        self.facts.resolver.set_init(if on_host { 1 } else { member.unwrap_or(1) });
        self.startup_observed = member.is_none();
        self.probe.set_started(SLOT)?;
        self.enter_scope(dir, if on_host { flags::HOST_ROOT } else { 0 })?;
        self.snapshot(dir);
        Ok(())
    }

    /// Parents first: a cgroup that is made meanwhile inherits the scope.
    fn enter_scope(&mut self, dir: &Path, flags: u32) -> Result<()> {
        for dir in cgroup::tree(dir) {
            match cgroup::id(&dir) {
                Ok(id) => self.probe.add_scope(id, Scope { slot: SLOT, flags })?,
                Err(error) => tracing::debug!("{error:#}"),
            }
        }
        self.cgroup = Some(dir.to_owned());
        Ok(())
    }

    /// The past of the processes, as /proc tells it; again until no process is new, since they fork meanwhile.
    fn snapshot(&mut self, dir: &Path) {
        let mut looked_at = BTreeSet::new();
        for _ in 0..SNAPSHOTS {
            let fresh: Vec<u32> =
                cgroup::processes(dir).into_iter().filter(|pid| looked_at.insert(*pid)).collect();
            if fresh.is_empty() {
                break;
            }
            self.facts.resolver.begin();
            fresh.into_iter().for_each(|pid| self.facts.take_held(snapshot::of_process(pid)));
            self.facts.resolver.end();
        }
    }

    fn fold_syscalls(&mut self) -> Result<()> {
        for call in self.probe.syscalls(SLOT)? {
            let Some(abi) = ABIS.get(call.abi) else { continue };
            let name = facts::call_name(*abi, call.nr);
            self.facts.fold.syscall(abi.as_str(), name, phase_of(call.phase)?, call.refused);
        }
        Ok(())
    }

    fn recording(&self, tally: &Tally) -> Result<Recording> {
        let incomplete = self.shortcomings(tally)?;
        let container = match &self.target {
            Target::Container { container, .. } => Some(container),
            Target::Cgroup { .. } => None,
        };
        Ok(Recording {
            container_id: container.map(|container| container.id.clone()),
            container_name: self.target.name().to_owned(),
            started: humantime::format_rfc3339_seconds(self.started).to_string(),
            duration_ms: self.progress.elapsed().as_millis() as u64,
            kernel: kernel()?,
            runtime: container.map(|container| container.runtime.clone()),
            seccomp: container.map_or_else(|| "none".to_owned(), |container| container.seccomp.clone()),
            mounts: container.map(|container| container.mounts.clone()).unwrap_or_default(),
            startup_observed: self.startup_observed,
            complete: incomplete.is_empty(),
            incomplete,
            hooks: self.probe.hooks().clone(),
            counters: tally.counters(),
        })
    }

    /// Why the manifest may not hold everything, a sentence each.
    fn shortcomings(&self, tally: &Tally) -> Result<BTreeSet<String>> {
        let mut found = tally.shortcomings();
        if self.facts.undecodable > 0 {
            found.insert(format!("{} records could not be read", self.facts.undecodable));
        }
        if ["io_uring_setup", "io_uring_enter"].iter().any(|name| self.facts.fold.has_syscall(name)) {
            found.insert(
                "io_uring was used: files opened and sockets connected through it are not seen".into(),
            );
        }
        if self.startup_observed && self.cgroup_watched() && self.probe.slot(SLOT)?.started == 0 {
            found.insert(
                "the container's first program was not seen: its cgroup did not come into scope".into(),
            );
        }
        Ok(found)
    }

    fn cgroup_watched(&self) -> bool {
        matches!(self.target, Target::Container { .. })
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

fn kernel() -> Result<String> {
    let names = nix::sys::utsname::uname().context("cannot ask for the kernel's version")?;
    Ok(format!("{} {}", names.release().to_string_lossy(), names.machine().to_string_lossy()))
}
