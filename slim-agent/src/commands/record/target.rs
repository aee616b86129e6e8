//! What is to be recorded: a container of a runtime, or a bare cgroup.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};

use super::Args;
use crate::commands::runtime::RuntimeArgs;
use crate::container::{Container, Runtime, State, cgroup};
use crate::recording::Subject;

/// What is to be recorded.
pub enum Target {
    /// A container, and the runtime that has it.
    Container {
        /// The runtime.
        runtime: Arc<dyn Runtime>,
        /// What it told last.
        container: Box<Container>,
    },
    /// A cgroup directory, in its canonical form.
    Cgroup {
        /// The directory.
        dir: PathBuf,
        /// The same as text.
        key: String,
    },
}

impl Target {
    /// Finds what the command line names.
    ///
    /// # Errors
    /// No engine answers, there is no such container or cgroup, or its state does not allow recording.
    pub async fn find(args: &Args) -> Result<Self> {
        if let Some(path) = &args.cgroup {
            let dir = cgroup::validate(path)?;
            let key = dir.display().to_string();
            return Ok(Self::Cgroup { dir, key });
        }
        Self::container(args.container.as_deref().unwrap_or_default(), &args.runtime).await
    }

    /// Finds a container by name or id.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub async fn container(name: &str, runtime: &RuntimeArgs) -> Result<Self> {
        let (runtime, container) = runtime.container(name).await?;
        match container.state {
            State::Startable | State::Running => {
                Ok(Self::Container { runtime, container: Box::new(container) })
            }
            State::Other(what) => {
                bail!("container {name} is {what}: it can be recorded when it runs or is stopped")
            }
        }
    }

    /// What the lock and the messages call it.
    pub fn key(&self) -> &str {
        match self {
            Self::Container { container, .. } => &container.id,
            Self::Cgroup { key, .. } => key,
        }
    }

    /// Name of a container, or path of a cgroup.
    pub fn name(&self) -> &str {
        match self {
            Self::Container { container, .. } => &container.name,
            Self::Cgroup { key, .. } => key,
        }
    }

    /// Where the manifest goes when nothing else is said.
    pub fn default_output(&self) -> PathBuf {
        let name = match self {
            Self::Container { container, .. } => container.name.clone(),
            Self::Cgroup { dir, .. } => dir
                .file_name()
                .map_or_else(|| "cgroup".to_owned(), |name| name.to_string_lossy().into_owned()),
        };
        PathBuf::from(format!("{name}.manifest.json"))
    }

    /// Whom a recording of it is about.
    pub fn subject(&self) -> Subject {
        match self {
            Self::Container { container, .. } => Subject::Container(container.clone()),
            Self::Cgroup { key, .. } => Subject::Cgroup(key.clone()),
        }
    }

    /// The variables that COMMAND gets.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Container { container, .. } => environment(container),
            Self::Cgroup { .. } => Vec::new(),
        }
    }
}

/// The variables that a COMMAND for this container gets.
pub fn environment(container: &Container) -> Vec<(&'static str, String)> {
    let ip = container.ip.clone().unwrap_or_default();
    vec![
        ("SLIM_CONTAINER_ID", container.id.clone()),
        ("SLIM_CONTAINER_NAME", container.name.clone()),
        ("SLIM_CONTAINER_IP", ip),
    ]
}
