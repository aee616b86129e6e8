//! Whom a recording is about.

use std::collections::BTreeMap;

use crate::container::Container;
use crate::manifest::{Origin, PathBytes, Recording};

/// A container, or a bare cgroup.
pub enum Subject {
    /// What the runtime told of the container last.
    Container(Box<Container>),
    /// A container of which no runtime has told yet.
    Untold {
        /// Its full id.
        id: String,
        /// What an earlier agent knew of the recording.
        before: Option<Box<Recording>>,
    },
    /// A cgroup, by its directory's name.
    Cgroup(String),
}

impl Subject {
    /// Name of a container, or path of a cgroup.
    pub fn name(&self) -> &str {
        match self {
            Self::Container(container) => &container.name,
            Self::Untold { before: Some(before), .. } => &before.container_name,
            Self::Untold { id, before: None } => id,
            Self::Cgroup(path) => path,
        }
    }

    /// Full id of the container, if it is one.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Container(container) => Some(&container.id),
            Self::Untold { id, .. } => Some(id),
            Self::Cgroup(_) => None,
        }
    }

    /// The engine and the OCI runtime, where they are known.
    pub fn runtime(&self) -> Option<&str> {
        match self {
            Self::Container(container) => Some(&container.runtime),
            Self::Untold { before, .. } => before.as_ref()?.runtime.as_deref(),
            Self::Cgroup(_) => None,
        }
    }

    /// The seccomp filter that is on, in the manifest's words; `unknown` as long as nobody told.
    pub(super) fn seccomp(&self) -> &str {
        match self {
            Self::Container(container) => &container.seccomp,
            Self::Untold { before, .. } => before.as_ref().map_or("unknown", |before| &before.seccomp),
            Self::Cgroup(_) => "none",
        }
    }

    /// Where the container has something mounted over its image: mount point and kind.
    pub(super) fn mounts(&self) -> BTreeMap<PathBytes, String> {
        match self {
            Self::Container(container) => container.mounts.clone(),
            Self::Untold { before, .. } => {
                before.as_ref().map(|before| before.mounts.clone()).unwrap_or_default()
            }
            Self::Cgroup(_) => BTreeMap::new(),
        }
    }

    /// The container, if it is one and a runtime told of it.
    pub fn container(&self) -> Option<&Container> {
        match self {
            Self::Container(container) => Some(container),
            Self::Untold { .. } | Self::Cgroup(_) => None,
        }
    }

    pub(super) fn take_note_of(&mut self, now: Container) {
        match self {
            Self::Container(_) | Self::Untold { .. } => *self = Self::Container(Box::new(now)),
            Self::Cgroup(_) => {}
        }
    }

    /// Where mounts lie that the runtime knows of, for when no process of the container can be asked.
    pub(super) fn origins(&self) -> Vec<(PathBytes, Origin)> {
        let origin = |kind: &str| if kind == "tmpfs" { Origin::Tmpfs } else { Origin::Volume };
        self.mounts().into_iter().map(|(point, kind)| (point, origin(&kind))).collect()
    }
}
