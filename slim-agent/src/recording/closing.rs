//! What is known of a recording as a whole, and why it may not be complete.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};

use super::Recorder;
use crate::manifest::{Manifest, Recording};
use crate::probe::{Probe, Tally, support};

/// The variable that says which node the agent is on, where the host's name does not.
const NODE: &str = "SLIM_NODE";

/// What the kernel side says of a recording: its part in the counters, and what was lost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Kernel hook -> outcome -> number of events; empty where programs serve many recordings at once.
    pub counters: BTreeMap<String, BTreeMap<String, u64>>,
    /// Why the recording is not complete, a sentence each.
    pub incomplete: BTreeSet<String>,
}

impl From<&Tally> for Account {
    fn from(tally: &Tally) -> Self {
        Self { counters: tally.counters(), incomplete: tally.shortcomings() }
    }
}

impl Recorder {
    /// The manifest, once nothing is in scope any more and every record was taken.
    ///
    /// # Errors
    /// The kernel's state cannot be read.
    pub fn finish(mut self, probe: &Probe, account: Account) -> Result<Manifest> {
        // First the calls: some of them say that the recording is not complete.
        self.take_state(probe)?;
        let recording = self.recording(probe, account)?;
        Ok(self.facts.fold.finish(recording))
    }

    /// What is known of the recording as a whole so far.
    ///
    /// # Errors
    /// The kernel's state cannot be read.
    pub fn recording(&self, probe: &Probe, account: Account) -> Result<Recording> {
        let Account { counters, incomplete } = account;
        let incomplete = self.shortcomings(probe, incomplete)?;
        Ok(Recording {
            observed: self.facts.reading.observed(),
            container_id: self.subject.id().map(str::to_owned),
            container_name: self.subject.name().to_owned(),
            node: Some(node()?),
            started: humantime::format_rfc3339_seconds(self.began.wall).to_string(),
            duration_ms: self.began.elapsed()?.as_millis() as u64,
            windows: self.facts.fold.window(),
            kernel: kernel()?,
            runtime: self.subject.runtime().map(str::to_owned),
            seccomp: self.subject.seccomp().to_owned(),
            mounts: self.subject.mounts(),
            startup_observed: self.startup_observed,
            complete: incomplete.is_empty(),
            incomplete,
            hooks: probe.hooks().clone(),
            counters,
        })
    }

    /// Why the manifest may not hold everything, a sentence each.
    fn shortcomings(&self, probe: &Probe, mut found: BTreeSet<String>) -> Result<BTreeSet<String>> {
        found.extend(self.facts.shortcomings.iter().cloned());
        found.extend(self.facts.reading.shortcomings());
        let refused = self.facts.fold.refused();
        if refused > 0 {
            found.insert(format!(
                "{refused} uses of new names were left out: the agent holds no more (--limit paths=, sockets=)"
            ));
        }
        if self.facts.undecodable > 0 {
            found.insert(format!("{} records could not be read", self.facts.undecodable));
        }
        if ["io_uring_setup", "io_uring_enter"].iter().any(|name| self.facts.fold.has_syscall(name)) {
            found.insert(io_uring(probe)?);
        }
        let is_container = self.subject.id().is_some();
        if self.startup_observed && is_container && probe.slot(self.slot).is_ok_and(|slot| slot.started == 0)
        {
            found.insert(
                "the container's first program was not seen: its cgroup did not come into scope".into(),
            );
        }
        Ok(found)
    }
}

/// What io_uring may have hidden. Its workers are threads of the process, and so in its cgroup, since 5.12.
fn io_uring(probe: &Probe) -> Result<String> {
    let seen = probe.has_second_tier() && support::kernel_version()? >= (5, 12);
    let sentence = if seen {
        "io_uring was used: sockets bound through it and what it failed at are not seen"
    } else {
        "io_uring was used: files opened and sockets connected through it are not seen"
    };
    Ok(sentence.to_owned())
}

/// The node's name. In a pod the host's name is the pod's, so the DaemonSet says which node it is on.
fn node() -> Result<String> {
    if let Some(node) = std::env::var(NODE).ok().filter(|node| !node.is_empty()) {
        return Ok(node);
    }
    let names = nix::sys::utsname::uname().context("cannot ask for the name of this host")?;
    Ok(names.nodename().to_string_lossy().into_owned())
}

fn kernel() -> Result<String> {
    let names = nix::sys::utsname::uname().context("cannot ask for the kernel's version")?;
    Ok(format!("{} {}", names.release().to_string_lossy(), names.machine().to_string_lossy()))
}
