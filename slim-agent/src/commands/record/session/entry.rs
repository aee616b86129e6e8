//! How a recording begins: the target comes into scope and, if it does not run, to life.

use anyhow::{Context, Result};

use super::super::target::Target;
use super::Session;
use crate::container::State;
use crate::recording::{Next, Past};

impl Session {
    /// Brings the target into scope and, if it does not run, to life.
    ///
    /// # Errors
    /// The kernel or the runtime refuses.
    pub async fn start(&mut self, restart: bool) -> Result<()> {
        let past = match &self.target {
            Target::Cgroup { dir, .. } => self.recorder.enter_cgroup(&mut self.probe, dir)?,
            Target::Container { container, .. } if container.state == State::Running && !restart => {
                let pid = container.pid.context("the runtime names no process of the container")?;
                self.recorder.attach(&mut self.probe, pid)?
            }
            Target::Container { container, .. } => {
                let runs = container.state == State::Running;
                return self.start_container(runs).await;
            }
        };
        self.take_past(past).await
    }

    async fn start_container(&mut self, restart: bool) -> Result<()> {
        let Target::Container { runtime, container } = &self.target else { return Ok(()) };
        let (runtime, id) = (runtime.clone(), container.id.clone());
        self.recorder.await_start(&mut self.probe, &id)?;
        let start = async { if restart { runtime.restart(&id).await } else { runtime.start(&id).await } };
        self.drive(start).await??;
        match self.drive(runtime.inspect(&id)).await? {
            Ok(now) => self.recorder.take_note_of(now),
            Err(error) => {
                tracing::warn!("cannot ask for the container that was started: {error:#}; recording goes on");
                self.recorder.look_without_runtime(&id);
            }
        }
        Ok(())
    }

    /// Takes the past of what is in scope now.
    async fn take_past(&mut self, mut past: Past) -> Result<()> {
        loop {
            let looked = past.look(&mut self.probe, &mut self.recorder)?;
            self.take()?;
            match past.after(looked, &mut self.recorder) {
                Next::Again => tokio::task::yield_now().await,
                Next::Settled | Next::GiveUp => return Ok(()),
            }
        }
    }
}
