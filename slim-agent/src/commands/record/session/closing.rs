//! How a recording ends: what is left is taken, and the manifest is put together with what is known of the whole.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

use super::super::target::Target;
use super::{SLOT, Session};
use crate::manifest::{Manifest, Recording};
use crate::probe::{Tally, support};

impl Session {
    /// Ends the recording: takes what is left, and puts the manifest together.
    ///
    /// # Errors
    /// The kernel's totals cannot be read.
    pub fn finish(mut self) -> Result<(Manifest, Tally)> {
        self.progress.clear();
        self.take()?;
        self.facts.take_blocked(self.cgroup.as_deref(), &self.probe)?;
        self.probe.close_scopes()?;
        self.take()?;
        let tally = self.probe.tally()?;
        // First the calls: some of them say that the recording is not complete.
        self.take_state()?;
        let recording = self.recording(&tally)?;
        Ok((self.facts.fold.finish(recording), tally))
    }

    pub(super) fn recording(&self, tally: &Tally) -> Result<Recording> {
        let incomplete = self.shortcomings(tally)?;
        let container = self.container();
        Ok(Recording {
            observed: self.facts.reading.observed(),
            container_id: container.map(|container| container.id.clone()),
            container_name: self.target.name().to_owned(),
            node: Some(node()?),
            started: humantime::format_rfc3339_seconds(self.started).to_string(),
            duration_ms: self.progress.elapsed().as_millis() as u64,
            windows: 0,
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
            found.insert(self.io_uring()?);
        }
        if self.startup_observed && self.cgroup_watched() && self.probe.slot(SLOT)?.started == 0 {
            found.insert(
                "the container's first program was not seen: its cgroup did not come into scope".into(),
            );
        }
        Ok(found)
    }

    /// What io_uring may have hidden. Its workers are threads of the process, and so in its cgroup, since 5.12.
    fn io_uring(&self) -> Result<String> {
        let seen = self.probe.has_second_tier() && support::kernel_version()? >= (5, 12);
        let sentence = if seen {
            "io_uring was used: sockets bound through it and what it failed at are not seen"
        } else {
            "io_uring was used: files opened and sockets connected through it are not seen"
        };
        Ok(sentence.to_owned())
    }

    fn cgroup_watched(&self) -> bool {
        matches!(self.target, Target::Container { .. })
    }
}

fn node() -> Result<String> {
    let names = nix::sys::utsname::uname().context("cannot ask for the name of this host")?;
    Ok(names.nodename().to_string_lossy().into_owned())
}

fn kernel() -> Result<String> {
    let names = nix::sys::utsname::uname().context("cannot ask for the kernel's version")?;
    Ok(format!("{} {}", names.release().to_string_lossy(), names.machine().to_string_lossy()))
}
