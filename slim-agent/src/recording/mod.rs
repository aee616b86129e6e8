//! One recording as the kernel side's records tell of it: whom it is about, what was seen so far, and how it is closed.
//! Whoever holds the [`Probe`] decides when records are taken, and for how many recordings at once.

mod closing;
pub mod facts;
mod past;
mod subject;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use slim_common::scope::{Scope, flags};

pub use closing::Account;
pub use facts::{Facts, Reading, Used};
pub use past::{Next, Past};
pub use subject::Subject;

use crate::container::{Container, cgroup};
use crate::manifest::fold::{Fold, Room};
use crate::manifest::{ImageRef, Manifest, Recording, RecordingId};
use crate::probe::{Limits, Probe, boottime_ns};
use crate::resolve::Resolver;
use crate::resolve::root::LiveRoot;
use crate::resolve::snapshot::Lineage;

/// A recording that runs in one slot of the kernel side.
pub struct Recorder {
    slot: u32,
    subject: Subject,
    /// What was seen so far.
    pub facts: Facts,
    began: Began,
    startup_observed: bool,
    /// The cgroup, once it is known.
    cgroup: Option<PathBuf>,
    /// Bits of [`flags`] that every scope of this recording has.
    scope_flags: u32,
}

/// When a recording began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Began {
    /// By the wall clock, which may be set meanwhile.
    pub wall: SystemTime,
    /// CLOCK_BOOTTIME, nanoseconds.
    pub boot_ns: u64,
}

impl Began {
    /// Now.
    ///
    /// # Errors
    /// The kernel does not tell the time.
    pub fn now() -> Result<Self> {
        Ok(Self { wall: SystemTime::now(), boot_ns: boottime_ns()? })
    }

    /// The moment of CLOCK_BOOTTIME `boot_ns`.
    ///
    /// # Errors
    /// The kernel does not tell the time.
    pub fn at(boot_ns: u64) -> Result<Self> {
        let ago = Duration::from_nanos(boottime_ns()?.saturating_sub(boot_ns));
        Ok(Self { wall: SystemTime::now().checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH), boot_ns })
    }

    /// How long ago that was.
    ///
    /// # Errors
    /// The kernel does not tell the time.
    pub fn elapsed(&self) -> Result<Duration> {
        Ok(Duration::from_nanos(boottime_ns()?.saturating_sub(self.boot_ns)))
    }

    /// How far the wall clock was set since: the difference between what it says went by, and what did, at a moment by
    /// both clocks.
    pub fn set_by(&self, now: Self) -> Duration {
        let passed = Duration::from_nanos(now.boot_ns.saturating_sub(self.boot_ns));
        let expected = self.wall.checked_add(passed).unwrap_or(self.wall);
        now.wall.duration_since(expected).unwrap_or_else(|back| back.duration())
    }

    fn unix_seconds(&self) -> u64 {
        self.wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
    }
}

impl Recorder {
    /// A recording with nothing in scope yet; `reading` says what it is about.
    ///
    /// # Errors
    /// The clock or the random numbers of the kernel cannot be read, or it has no such slot.
    pub fn begin(
        probe: &mut Probe,
        slot: u32,
        subject: Subject,
        reading: Box<dyn Reading>,
        ignore_exec: bool,
        limits: &Limits,
    ) -> Result<Self> {
        if let Some(container) = subject.container() {
            probe.set_healthcheck(slot, &container.healthcheck)?;
        }
        let began = Began::now()?;
        let manifest = Manifest::new(subject.container().map(|container| container.image.clone()));
        let fold = Fold::new(manifest, new_id()?, began.boot_ns, began.unix_seconds(), room(limits));
        let facts = Facts::new(reading, Resolver::new(subject.origins()), fold);
        let scope_flags = if ignore_exec { flags::IGNORE_EXEC } else { 0 };
        Ok(Self { slot, subject, facts, began, startup_observed: false, cgroup: None, scope_flags })
    }

    /// A recording of a container that came into scope by itself, at the beginning of `began`. Which container that is,
    /// is not known yet.
    ///
    /// # Errors
    /// The kernel has no random numbers.
    pub fn newborn(slot: u32, began: Began, limits: &Limits) -> Result<Self> {
        let fold =
            Fold::new(Manifest::new(None), new_id()?, began.boot_ns, began.unix_seconds(), room(limits));
        let subject = Subject::Untold { id: String::new(), before: None };
        Ok(Self {
            slot,
            facts: Facts::new(Box::new(Used), Resolver::new(subject.origins()), fold),
            subject,
            began,
            startup_observed: true,
            cgroup: None,
            scope_flags: 0,
        })
    }

    /// A recording of a container that another agent began, and that goes on with what a checkpoint of it holds.
    pub fn resume(slot: u32, saved: Saved, limits: &Limits) -> Self {
        let Saved { id, container, began, window, startup_observed, shortcomings, manifest } = saved;
        let before = manifest.recordings.get(&id).cloned().map(Box::new);
        let subject = Subject::Untold { id: container, before };
        let fold = Fold::resume(manifest, id, began.boot_ns, began.unix_seconds(), window, room(limits));
        let mut facts = Facts::new(Box::new(Used), Resolver::new(subject.origins()), fold);
        facts.shortcomings = shortcomings;
        Self { slot, facts, subject, began, startup_observed, cgroup: None, scope_flags: 0 }
    }

    /// Says which container it is that came into scope by itself.
    pub fn is_of(&mut self, container: &str) {
        if let Subject::Untold { id, .. } = &mut self.subject {
            container.clone_into(id);
        }
    }

    /// The slot.
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// What an earlier agent knew of the recording as a whole, with why it is not complete as far as that is known by now.
    pub fn before(&self) -> Option<Recording> {
        let Subject::Untold { before: Some(before), .. } = &self.subject else { return None };
        let mut recording = Recording::clone(before);
        recording.incomplete.extend(self.facts.shortcomings.iter().cloned());
        recording.complete = recording.incomplete.is_empty();
        Some(recording)
    }

    /// When it began.
    pub fn began(&self) -> Began {
        self.began
    }

    /// Whether it began before the container's first instruction.
    pub fn startup_observed(&self) -> bool {
        self.startup_observed
    }

    /// Says which image the manifest is about, where it is not the container's own.
    pub fn is_about(&mut self, image: ImageRef) {
        self.facts.fold.is_about(image);
    }

    /// Whom it is about.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The cgroup, once it is known.
    pub fn cgroup(&self) -> Option<&Path> {
        self.cgroup.as_deref()
    }

    /// Has the container watched for from its first instruction: it is started next.
    ///
    /// # Errors
    /// The kernel's table is full.
    pub fn await_start(&mut self, probe: &mut Probe, id: &str) -> Result<()> {
        let key = id.as_bytes().try_into().ok().with_context(|| format!("{id} is not a container id"))?;
        probe.watch(&key, Scope { slot: self.slot, flags: self.scope_flags })?;
        self.startup_observed = true;
        Ok(())
    }

    /// Takes note of what the runtime tells of a container that was started.
    pub fn take_note_of(&mut self, now: Container) {
        if let Some(pid) = now.pid {
            self.facts.resolver.set_init(pid);
            self.cgroup = cgroup::around_process(pid, &now.id).ok();
        }
        self.subject.take_note_of(now);
        self.facts.resolver.set_known(self.subject.origins());
    }

    /// A container may be removed, or the runtime gone, as soon as it was started. It is recorded all the same.
    pub fn look_without_runtime(&mut self, id: &str) {
        self.cgroup = cgroup::of_container(id);
        let members = self.cgroup.iter().flat_map(|dir| cgroup::processes(dir));
        if let Some(pid) = members.min() {
            self.facts.resolver.set_init(pid);
        }
    }

    /// Brings a running container into scope; its past is still to be taken. What the kernel side must know of the
    /// processes, it is told before they come into scope.
    ///
    /// # Errors
    /// The kernel's tables are full.
    pub fn attach(&mut self, probe: &mut Probe, pid: u32) -> Result<Past> {
        let dir = cgroup::around_process(pid, self.subject.id().unwrap_or_default())?;
        self.facts.resolver.set_init(pid);
        probe.set_started(self.slot)?;
        let mut past = Past::new(pid, &dir, Lineage::of_container(pid));
        past.mark_outsiders(probe)?;
        self.enter_scope(probe, &dir, 0)?;
        Ok(past)
    }

    /// Brings a cgroup into scope. One with processes has a past; an empty one is observed from its first.
    ///
    /// # Errors
    /// The kernel's tables are full.
    pub fn enter_cgroup(&mut self, probe: &mut Probe, dir: &Path) -> Result<Past> {
        let member = cgroup::processes(dir).first().copied();
        let first = LiveRoot::process_of_host();
        let host = LiveRoot::of(first).and_then(|root| root.identity());
        let root = member.and_then(LiveRoot::of).and_then(|root| root.identity());
        let on_host = root.is_none() || root == host;
        let pid = if on_host { first } else { member.unwrap_or(first) };
        self.facts.resolver.set_init(pid);
        self.startup_observed = member.is_none();
        probe.set_started(self.slot)?;
        self.enter_scope(probe, dir, if on_host { flags::HOST_ROOT } else { 0 })?;
        Ok(Past::new(pid, dir, Lineage::of_cgroup()))
    }

    /// Parents first: a cgroup that is made meanwhile inherits the scope.
    fn enter_scope(&mut self, probe: &mut Probe, dir: &Path, flags: u32) -> Result<()> {
        for dir in cgroup::tree(dir) {
            match cgroup::id(&dir) {
                Ok(id) => probe.add_scope(id, Scope { slot: self.slot, flags: flags | self.scope_flags })?,
                Err(error) => tracing::debug!("{error:#}"),
            }
        }
        self.cgroup = Some(dir.to_owned());
        Ok(())
    }

    /// Takes what the kernel side keeps as state: system calls and capabilities so far.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn take_state(&mut self, probe: &Probe) -> Result<()> {
        self.facts.take_calls(probe.syscalls(self.slot)?)?;
        self.facts.take_capabilities(probe.capabilities(self.slot)?)
    }
}

/// What is known of a recording that another agent began.
pub struct Saved {
    /// Its id.
    pub id: RecordingId,
    /// Full id of the container.
    pub container: String,
    /// When it began.
    pub began: Began,
    /// The hour that it was, 0 for the first.
    pub window: u32,
    /// Whether it began before the container's first instruction.
    pub startup_observed: bool,
    /// Why it is not complete, as far as the user side knows: a sentence each.
    pub shortcomings: BTreeSet<String>,
    /// What it has seen.
    pub manifest: Manifest,
}

fn room(limits: &Limits) -> Room {
    Room { paths: limits.paths as usize, sockets: limits.sockets as usize }
}

fn new_id() -> Result<String> {
    let uuid =
        std::fs::read_to_string("/proc/sys/kernel/random/uuid").context("cannot make a recording id")?;
    Ok(uuid.chars().filter(char::is_ascii_hexdigit).take(16).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_told_from_time_that_goes_by() {
        let began =
            Began { wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000), boot_ns: 7_000_000_000 };
        let after = |wall: u64, boot: u64| Began {
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(wall),
            boot_ns: boot * 1_000_000_000,
        };
        assert_eq!(began.set_by(after(1_000_005, 12)), Duration::ZERO);
        assert_eq!(began.set_by(after(1_003_605, 12)), Duration::from_secs(3600));
        assert_eq!(began.set_by(after(5, 12)), Duration::from_secs(1_000_000));
        // Whatever the wall clock says, what counts hours and ages is the other one.
        assert!(began.set_by(Began { wall: SystemTime::UNIX_EPOCH, boot_ns: 0 }) > Duration::ZERO);
    }

    #[test]
    fn a_moment_in_the_past_is_where_the_wall_clock_puts_it_now() {
        let now = Began::now().unwrap();
        let before = Began::at(now.boot_ns.saturating_sub(5_000_000_000)).unwrap();
        assert!(before.set_by(now) < Duration::from_secs(1), "{before:?} {now:?}");
        assert!(before.elapsed().unwrap() >= Duration::from_secs(5));
    }
}
