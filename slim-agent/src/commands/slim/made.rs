//! The containers that the command made, so that none of them outlives it.

use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use crate::container::{NewContainer, Runtime};

/// Containers that were made.
pub struct Made {
    runtime: Arc<dyn Runtime>,
    /// What begins the names of all of them.
    prefix: String,
    /// Whether they are left when they are not needed any more.
    keep: bool,
    /// Those that are still needed.
    running: Vec<String>,
    kept: Vec<String>,
    /// Those that are being removed or stopped.
    ending: JoinSet<()>,
}

impl Made {
    /// None so far.
    ///
    /// # Errors
    /// The kernel gives no random name.
    pub fn none(runtime: Arc<dyn Runtime>, keep: bool) -> Result<Self> {
        let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid");
        let uuid = uuid.context("cannot make a name for containers")?;
        let prefix = format!("slim-agent-{}", uuid.get(..8).unwrap_or_default());
        Ok(Self { runtime, prefix, keep, running: Vec::new(), kept: Vec::new(), ending: JoinSet::new() })
    }

    /// Makes a container; its name. This must not be given up half way: the engine may already have made it.
    ///
    /// # Errors
    /// The engine refuses.
    pub async fn create(&mut self, role: &str, new: NewContainer) -> Result<String> {
        let name = format!("{}-{role}", self.prefix);
        self.runtime.create(&NewContainer { name: name.clone(), ..new }).await?;
        self.running.push(name.clone());
        Ok(name)
    }

    /// Begins to remove all of them, whatever they do, or to stop them if they are to be kept.
    pub fn release(&mut self) {
        for name in self.running.drain(..) {
            if self.keep {
                self.kept.push(name.clone());
            }
            let (runtime, keep) = (self.runtime.clone(), self.keep);
            self.ending.spawn(async move {
                let ended = if keep { runtime.stop(&name).await } else { runtime.remove(&name).await };
                if let Err(error) = ended {
                    tracing::warn!("{error:#}; remove it with: docker rm -f -v {name}");
                }
            });
        }
    }

    /// Releases all of them, and waits until that is done: what they held, such as a port of the host, is free then.
    pub async fn end(&mut self) {
        self.release();
        while self.ending.join_next().await.is_some() {}
    }

    /// The names of those that are left on purpose.
    pub fn kept(&self) -> &[String] {
        &self.kept
    }
}
