//! What runs already: containers that were there before the kernel programs, or that found no free slot.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Engine, losses_of};
use crate::container::{Container, Reached, Runtimes, State, cgroup};
use crate::daemon::active::Active;
use crate::daemon::model;
use crate::daemon::rules::ProfileName;
use crate::daemon::store::ProfileKey;
use crate::recording::{Next, Recorder, Subject, Used};

/// Between two attempts to reach container engines that did not answer.
const REFRESH_EVERY: Duration = Duration::from_secs(10);

impl Engine {
    /// Asks all container engines what runs; the answer is taken with a later tick.
    pub(super) fn look_around(&mut self) {
        let runtimes = self.runtimes.clone();
        self.look = Some(tokio::spawn(async move { runtimes.running().await }));
    }

    /// Takes what the engines said, and tries those again that did not answer.
    pub(super) async fn look_for_engines(&mut self) -> Result<()> {
        if let Some(look) = self.look.take_if(|look| look.is_finished()) {
            // What came into scope by itself is not to be recorded once more.
            self.find_newborn()?;
            for (_, container) in look.await.unwrap_or_default() {
                self.look_at(container)?;
            }
        }
        if let Some(refreshing) = self.refreshing.take_if(|job| job.is_finished())
            && refreshing.await.unwrap_or_default()
        {
            self.ask_at_once();
            self.look_around();
        }
        let full = self.meters.slots_full_since_look(&self.losses);
        if full && self.used.is_empty() {
            self.look_around();
        }
        if self.refreshing.is_none() && Instant::now() >= self.next_refresh {
            self.next_refresh = Instant::now() + REFRESH_EVERY;
            let runtimes = Arc::clone(&self.runtimes);
            self.refreshing = Some(tokio::spawn(async move {
                let before = runtimes.names();
                runtimes.refresh().await;
                // An engine that is there again may have started containers that nobody looked at.
                runtimes.names().iter().any(|name| !before.contains(name))
            }));
        }
        self.ask_for_orphans();
        Ok(())
    }

    /// Records a container that runs already, if that is wanted and not done yet.
    fn look_at(&mut self, container: Container) -> Result<()> {
        let known = self.active.values().any(|one| one.recorder.subject().id() == Some(&container.id));
        let Some(name) = self.wanted(&container).filter(|_| !known) else { return Ok(()) };
        if let Err(error) = self.attach(container, &name) {
            tracing::warn!("a running container is not recorded: {error:#}");
        }
        Ok(())
    }

    /// Begins to record a running container; the id of the recording.
    ///
    /// # Errors
    /// It does not run, no slot is free, or the kernel refuses.
    pub(super) fn attach(&mut self, container: Container, profile: &ProfileName) -> Result<String> {
        let pid = container.pid.filter(|_| container.state == State::Running);
        let pid = pid.with_context(|| format!("{} does not run", container.name))?;
        let cgroup = cgroup::id(&cgroup::around_process(pid, &container.id)?)?;
        let baseline = losses_of(&self.probe)?;
        let slot = self.probe.take_slot(&container.id, cgroup)?;
        let slot = slot.context("all slots are in use: raise slots in [limits] of the configuration")?;
        let key = ProfileKey::new(profile, &container.image);
        tracing::info!(
            "recording {} ({:.12}), which runs already, for the profile {}",
            container.name,
            container.id,
            profile.as_str()
        );
        let subject = Subject::Container(Box::new(container));
        let recorder =
            Recorder::begin(&mut self.probe, slot, subject, Box::new(Used), !self.config.exec, &self.limits)?;
        let id = recorder.facts.fold.id().to_owned();
        let (dir, marker) = (self.store.recording(&id), self.marker(&id));
        let mut one = Active::begin(recorder, Some(key), dir, marker, baseline);
        one.birth = self.probe.births()?.into_iter().find(|birth| birth.slot == slot);
        self.active.insert(slot, one);
        self.meters.recorded += 1;
        self.take_past(slot, pid)?;
        Ok(id)
    }

    /// Brings a running container into scope, and takes what its processes hold.
    fn take_past(&mut self, slot: u32, pid: u32) -> Result<()> {
        let Some(one) = self.active.get_mut(&slot) else { return Ok(()) };
        let mut past = one.recorder.attach(&mut self.probe, pid)?;
        loop {
            let Some(one) = self.active.get_mut(&slot) else { return Ok(()) };
            let looked = past.look(&mut self.probe, &mut one.recorder)?;
            self.take()?;
            let Some(one) = self.active.get_mut(&slot) else { return Ok(()) };
            match past.after(looked, &mut one.recorder) {
                Next::Again => {}
                Next::Settled | Next::GiveUp => break,
            }
        }
        // No journal has what processes hold.
        if let Some(one) = self.active.get_mut(&slot)
            && let Err(error) = one.save_at_once(&self.probe, &self.losses)
        {
            tracing::warn!("what a running container holds is in memory only: {error:#}");
        }
        Ok(())
    }
}

/// The container engines as the interface tells them.
pub(super) fn engines(runtimes: &Runtimes) -> Vec<model::Engine> {
    let of = |Reached { address, name, answers }| model::Engine {
        address,
        name,
        up: answers,
        error: (!answers).then(|| "it did not answer when it was asked last".to_owned()),
    };
    runtimes.reached().into_iter().map(of).collect()
}
