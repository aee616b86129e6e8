//! Whom a recording is about.

use crate::container::Container;
use crate::manifest::{Origin, PathBytes};

/// A container, or a bare cgroup.
pub enum Subject {
    /// What the runtime told of the container last.
    Container(Box<Container>),
    /// A cgroup, by its directory's name.
    Cgroup(String),
}

impl Subject {
    /// Name of a container, or path of a cgroup.
    pub fn name(&self) -> &str {
        match self {
            Self::Container(container) => &container.name,
            Self::Cgroup(path) => path,
        }
    }

    /// The container, if it is one.
    pub fn container(&self) -> Option<&Container> {
        match self {
            Self::Container(container) => Some(container),
            Self::Cgroup(_) => None,
        }
    }

    pub(super) fn take_note_of(&mut self, now: Container) {
        if let Self::Container(container) = self {
            **container = now;
        }
    }

    /// Mounts that the runtime knows of, for when no process of the container can be asked.
    pub(super) fn mounts(&self) -> Vec<(PathBytes, Origin)> {
        let origin = |kind: &str| if kind == "tmpfs" { Origin::Tmpfs } else { Origin::Volume };
        let mounts = self.container().into_iter().flat_map(|container| &container.mounts);
        mounts.map(|(point, kind)| (point.clone(), origin(kind))).collect()
    }
}
