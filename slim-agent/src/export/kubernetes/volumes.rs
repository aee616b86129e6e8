//! Directories that are writable in a pod. An `emptyDir` is empty, of root, and open to all: what must begin with what the
//! image has is copied into it before the container starts.

use crate::export::deployment::{Deployment, written};
use crate::export::yaml::{Entry, Item, entry, item};
use crate::harden::{Holds, Mount, Writable};
use crate::manifest::PathBytes;

/// What the pod needs for it.
#[derive(Debug, Default)]
pub(super) struct Volumes {
    pub volumes: Vec<Item>,
    pub mounts: Vec<Item>,
    /// Init containers.
    pub copies: Vec<Item>,
    /// Why the root cannot be read-only.
    pub obstacles: Vec<String>,
}

impl Volumes {
    pub fn of(deployment: &Deployment<'_>) -> Self {
        let hardening = deployment.hardening;
        let mut volumes = Self { obstacles: hardening.read_only.obstacles.clone(), ..Self::default() };
        let writable = &hardening.read_only.writable;
        let full = writable.iter().find(|dir| dir.holds != Holds::Nothing);
        if let (Some(Writable { path, .. }), None) = (full, &hardening.copier) {
            let why = "must begin with what the image has there, and the image has no cp to copy it";
            volumes.obstacles.push(format!("{path} {why}"));
        }
        if volumes.obstacles.is_empty() {
            for dir in writable {
                volumes.add(deployment, &dir.path, &dir.holds, written(dir));
            }
        }
        for Mount { path, holds, .. } in hardening.mounts.iter().filter(|mount| mount.kind == "volume") {
            let can_be_spelled = std::str::from_utf8(path.as_bytes()).is_ok_and(|text| !text.contains(':'));
            if can_be_spelled && !writable.iter().any(|dir| dir.path == *path) {
                let why = "a volume: what is written here is lost with the pod unless it becomes a claim";
                volumes.add(deployment, path, holds, why.to_owned());
            }
        }
        volumes
    }

    fn add(&mut self, deployment: &Deployment<'_>, path: &PathBytes, holds: &Holds, why: String) {
        let path = String::from_utf8_lossy(path.as_bytes()).into_owned();
        let name = format!("writable-{}", self.volumes.len());
        self.volumes.push(item(vec![entry("name", name.as_str()), entry("emptyDir", Vec::<Entry>::new())]));
        self.mounts.push(mount(&name, &path).because(why));
        if let (Holds::Needed(what), Some(copier)) = (holds, &deployment.hardening.copier) {
            let why = format!("{what} and what else the image has there must be there at the start");
            self.copies.push(copy(deployment, &name, &path, copier).because(why));
        }
    }
}

fn mount(volume: &str, path: &str) -> Item {
    item(vec![entry("name", volume), entry("mountPath", path)])
}

/// Copies what the original image has at `path`, as the slim one need not have a program that copies.
fn copy(deployment: &Deployment<'_>, volume: &str, path: &str, copier: &PathBytes) -> Item {
    let words = [
        String::from_utf8_lossy(copier.as_bytes()).into_owned(),
        "-a".into(),
        format!("{path}/."),
        "/copy".into(),
    ];
    let add = ["CHOWN", "DAC_OVERRIDE", "FOWNER"].map(item);
    let capabilities = vec![entry("drop", vec![item("ALL")]), entry("add", Vec::from(add))];
    let security = vec![
        entry("allowPrivilegeEscalation", false),
        entry("readOnlyRootFilesystem", true),
        entry("runAsNonRoot", false),
        entry("runAsUser", 0),
        entry("capabilities", capabilities),
        entry("seccompProfile", vec![entry("type", "RuntimeDefault")]),
    ];
    item(vec![
        entry("name", format!("copy-to-{volume}")),
        entry("image", deployment.original),
        entry("command", words.into_iter().map(item).collect::<Vec<_>>()),
        entry("securityContext", security),
        entry("volumeMounts", vec![mount(volume, "/copy")]),
    ])
}
