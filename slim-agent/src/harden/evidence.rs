//! What the recordings say of the application itself: not of the runtime, nor of what an operator did beside it.

use std::collections::BTreeMap;

use anyhow::Result;

use super::{Holds, Mount};
use crate::image::{Entry, ImageSource, Names};
use crate::manifest::{FileUse, Manifest, PathBytes, Phase};
use crate::plan::{LeftOut, Plan};
use crate::syscall_table::Abi;

/// A manifest, its image and the plan that was made of both.
pub(super) struct Evidence<'a> {
    pub manifest: &'a Manifest,
    pub names: Names<'a>,
    pub plan: &'a Plan,
}

impl<'a> Evidence<'a> {
    pub fn new(manifest: &'a Manifest, image: &'a dyn ImageSource, plan: &'a Plan) -> Self {
        Self { manifest, names: Names::new(image), plan }
    }

    /// The files that the application used, and those that the plan keeps for `docker exec`. What was only `exec` counts, because a
    /// health check may be among it.
    pub fn files(&self) -> impl Iterator<Item = (&'a PathBytes, &'a FileUse)> {
        let (manifest, plan) = (self.manifest, self.plan);
        let of_exec = move |name: &PathBytes| plan.left_out.get(name) == Some(&LeftOut::ExecOnly);
        manifest
            .files
            .iter()
            .filter(move |(name, file)| Phase::any_in_container(&file.phases) && !of_exec(name))
    }

    /// Whether the application made one of `calls`, in any ABI.
    pub fn called(&self, calls: &[&str]) -> bool {
        called(self.manifest, calls)
    }

    /// The image's entry at a physical path.
    pub fn entry(&self, path: &PathBytes) -> Result<Option<Entry>> {
        self.names.source().lookup(path)
    }

    /// The first path that the plan keeps below a directory.
    fn first_kept_below(&self, dir: &PathBytes) -> Option<&'a PathBytes> {
        let mut paths = self.plan.paths().into_iter();
        paths.find(|path| *path != dir && path.is_within(dir.as_bytes()))
    }

    /// What is needed of what the image has in a directory.
    pub fn holds(&self, dir: &PathBytes) -> Holds {
        self.first_kept_below(dir).map_or(Holds::Nothing, |first| Holds::Needed(first.clone()))
    }

    /// The first of these files that the image has, links followed.
    pub fn first_of(&self, names: &[&str]) -> Result<Option<PathBytes>> {
        for name in names {
            if self.names.walk(name.as_bytes(), true)?.exists {
                return Ok(Some(PathBytes::from(*name)));
            }
        }
        Ok(None)
    }

    /// Where something is mounted: the `volumes` of the image, and what the recordings had.
    pub fn mounts(&self, volumes: &[String]) -> Vec<Mount> {
        let recorded = self.manifest.recordings.values().flat_map(|recording| recording.mounts.clone());
        let declared = volumes.iter().map(|name| (PathBytes::from(name.as_str()), "volume".to_owned()));
        let all: BTreeMap<PathBytes, String> = declared.chain(recorded).collect();
        let mount = |(path, kind): (PathBytes, String)| Mount { holds: self.holds(&path), path, kind };
        all.into_iter().map(mount).collect()
    }
}

/// Whether the application made one of `calls`, in any ABI.
pub(super) fn called(manifest: &Manifest, calls: &[&str]) -> bool {
    let by = |abi: &Abi| manifest.syscalls.get(abi.as_str());
    let made = |name: &str| {
        let uses = Abi::ALL.iter().filter_map(by).filter_map(|made| made.get(name));
        uses.into_iter().any(|used| Phase::any_in_container(&used.phases))
    };
    calls.iter().any(|name| made(name))
}
