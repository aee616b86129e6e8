//! The containers that the command made, so that none of them outlives it.

use std::sync::Arc;

use anyhow::{Context, Result};

use crate::container::{NewContainer, Runtime};

/// Containers that were made and not removed yet.
pub struct Made {
    runtime: Arc<dyn Runtime>,
    /// What begins the names of all of them.
    prefix: String,
    names: Vec<String>,
}

impl Made {
    /// None so far.
    ///
    /// # Errors
    /// The kernel gives no random name.
    pub fn none(runtime: Arc<dyn Runtime>) -> Result<Self> {
        let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid");
        let uuid = uuid.context("cannot make a name for containers")?;
        let prefix = format!("slim-agent-{}", uuid.get(..8).unwrap_or_default());
        Ok(Self { runtime, prefix, names: Vec::new() })
    }

    /// Makes a container; its name. This must not be given up half way: the engine may already have made it.
    ///
    /// # Errors
    /// The engine refuses.
    pub async fn create(&mut self, role: &str, new: NewContainer) -> Result<String> {
        let name = format!("{}-{role}", self.prefix);
        self.runtime.create(&NewContainer { name: name.clone(), ..new }).await?;
        self.names.push(name.clone());
        Ok(name)
    }

    /// Removes all of them, whatever they do. What cannot be removed is warned of.
    pub async fn remove(&mut self) {
        for name in self.names.drain(..) {
            if let Err(error) = self.runtime.remove(&name).await {
                tracing::warn!("{error:#}; remove it with: docker rm -f -v {name}");
            }
        }
    }

    /// Leaves all of them as they are; their names.
    pub fn keep(&mut self) -> Vec<String> {
        std::mem::take(&mut self.names)
    }
}
