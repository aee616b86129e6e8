//! How a recording begins: the target comes into scope and, if it does not run, to life.

use std::path::Path;

use anyhow::{Context, Result};
use slim_common::scope::{Scope, flags};

use super::super::target::Target;
use super::past::Past;
use super::{SLOT, Session};
use crate::container::{Container, State, cgroup};
use crate::resolve::root::LiveRoot;
use crate::resolve::snapshot::Lineage;

impl Session {
    /// Brings the target into scope and, if it does not run, to life.
    ///
    /// # Errors
    /// The kernel or the runtime refuses.
    pub async fn start(&mut self, restart: bool) -> Result<()> {
        let state = match &self.target {
            Target::Cgroup { dir, .. } => return self.enter_cgroup(&dir.clone()).await,
            Target::Container { container, .. } => container.state,
        };
        if state == State::Running && !restart {
            return self.attach_to_running().await;
        }
        self.start_container(state == State::Running).await
    }

    async fn start_container(&mut self, restart: bool) -> Result<()> {
        let Target::Container { runtime, container } = &self.target else { return Ok(()) };
        let (runtime, id) = (runtime.clone(), container.id.clone());
        let key = id.as_bytes().try_into().ok().with_context(|| format!("{id} is not a container id"))?;
        self.probe.watch(&key, Scope { slot: SLOT, flags: self.scope_flags })?;
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

    /// What the kernel side must know of the processes, it is told before they come into scope, and again for those
    /// that came meanwhile.
    async fn attach_to_running(&mut self) -> Result<()> {
        let Target::Container { container, .. } = &self.target else { return Ok(()) };
        let pid = container.pid.context("the runtime names no process of the container")?;
        let dir = cgroup::of_process(pid)?;
        self.facts.resolver.set_init(pid);
        self.probe.set_started(SLOT)?;
        let mut past = Past::new(pid, Lineage::of_container(pid));
        self.mark_outsiders(&dir, &mut past)?;
        self.enter_scope(&dir, 0)?;
        self.take_past(&dir, past).await
    }

    /// A cgroup with processes has a past; an empty one is observed from its first.
    async fn enter_cgroup(&mut self, dir: &Path) -> Result<()> {
        let member = cgroup::processes(dir).first().copied();
        let first = LiveRoot::process_of_host();
        let host = LiveRoot::of(first).and_then(|root| root.identity());
        let root = member.and_then(LiveRoot::of).and_then(|root| root.identity());
        let on_host = root.is_none() || root == host;
        let pid = if on_host { first } else { member.unwrap_or(first) };
        self.facts.resolver.set_init(pid);
        self.startup_observed = member.is_none();
        self.probe.set_started(SLOT)?;
        self.enter_scope(dir, if on_host { flags::HOST_ROOT } else { 0 })?;
        self.take_past(dir, Past::new(pid, Lineage::of_cgroup())).await
    }

    /// Parents first: a cgroup that is made meanwhile inherits the scope.
    fn enter_scope(&mut self, dir: &Path, flags: u32) -> Result<()> {
        for dir in cgroup::tree(dir) {
            match cgroup::id(&dir) {
                Ok(id) => self.probe.add_scope(id, Scope { slot: SLOT, flags: flags | self.scope_flags })?,
                Err(error) => tracing::debug!("{error:#}"),
            }
        }
        self.cgroup = Some(dir.to_owned());
        Ok(())
    }
}
