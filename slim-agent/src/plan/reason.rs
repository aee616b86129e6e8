//! Why a path is kept, or is not. These are the words of the explanation that is written beside an export.

use std::collections::BTreeSet;
use std::mem::discriminant;

use serde::Serialize;

use crate::manifest::{PathBytes, Use};

/// Why a path is kept. Reasons that name another path name one example: the first in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// A recording saw it used.
    Used {
        /// How.
        uses: BTreeSet<Use>,
        /// By which executables.
        by: BTreeSet<PathBytes>,
    },
    /// A recording saw it used on a volume, which the engine fills from the image when it is new.
    VolumeSeed,
    /// A symbolic link on the way to this path.
    SymlinkHop(PathBytes),
    /// The dynamic linker of this executable.
    ElfInterpreter(PathBytes),
    /// Named in the `#!` line of this script.
    ScriptInterpreter(PathBytes),
    /// The engine or the OCI runtime needs it to start a container.
    Engine(Need),
    /// The user's pattern names it.
    Included(String),
    /// It belongs to a package that the user named.
    IncludedPackage(String),
    /// A rule asks for it.
    Rule {
        /// The rule's name.
        rule: &'static str,
        /// What the rule applies to; none when it is the image as a whole.
        #[serde(skip_serializing_if = "Option::is_none")]
        of: Option<PathBytes>,
    },
    /// It tells scanners of this package, or of the distribution.
    PackageMetadata(String),
    /// The nearest directory to this path, which was used but is not in the image: the application makes it.
    AboveMissing(PathBytes),
    /// The directory that this path lies in or below.
    Parent(PathBytes),
}

/// What the engine needs a path for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// To look up the names of users and groups.
    UserLookup,
    /// It is `WorkingDir`.
    WorkingDirectory,
    /// It is what `Entrypoint` names.
    Entrypoint,
    /// It is what `Cmd` names.
    Cmd,
    /// It is what `Healthcheck` names.
    Healthcheck,
    /// A volume of the image, or something in a recording, is mounted there.
    MountPoint,
    /// Programs and runtimes expect the directory in any system.
    StandardDirectory,
}

/// Why a path that was seen, or that something else asks for, is not kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeftOut {
    /// The image does not have it: the application made it, or asked for it in vain.
    NotInImage,
    /// It lies on a volume or a bind mount.
    Volume,
    /// It lies on a tmpfs.
    Tmpfs,
    /// It is the kernel's: procfs, sysfs, devices.
    Kernel,
    /// It lies outside the container.
    Outside,
    /// Only processes put into the container from outside used it, and the image has no health check.
    ExecOnly,
    /// A socket: it is of no use without the process that bound it.
    Socket,
    /// The user's pattern excludes it.
    Excluded(String),
}

impl Reason {
    /// Takes `other` in, if both say the same kind of thing.
    fn absorb(&mut self, other: &Self) -> bool {
        match (self, other) {
            (Self::Used { uses, by }, Self::Used { uses: more_uses, by: more_by }) => {
                uses.extend(more_uses);
                by.extend(more_by.iter().cloned());
            }
            (Self::Engine(ours), Self::Engine(theirs)) => return ours == theirs,
            (Self::Rule { rule: ours, .. }, Self::Rule { rule: theirs, .. }) if ours != theirs => {
                return false;
            }
            (ours, theirs) if discriminant(ours) == discriminant(theirs) => {
                if *theirs < *ours {
                    theirs.clone_into(ours);
                }
            }
            _ => return false,
        }
        true
    }

    /// Adds this reason to `reasons`, which stay sorted and one of each kind.
    pub(super) fn join(self, reasons: &mut Vec<Self>) {
        if !reasons.iter_mut().any(|known| known.absorb(&self)) {
            reasons.push(self);
        }
        reasons.sort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_stay_few_in_any_order() {
        let used = |kind, by: &str| Reason::Used { uses: [kind].into(), by: [by.into()].into() };
        let all = [
            Reason::SymlinkHop("/b".into()),
            used(Use::Stat, "/sh"),
            Reason::Engine(Need::Cmd),
            Reason::SymlinkHop("/a".into()),
            used(Use::Open, "/ls"),
            Reason::Engine(Need::Entrypoint),
            Reason::Engine(Need::Cmd),
        ];
        let join = |reasons: &mut dyn Iterator<Item = &Reason>| {
            let mut joined = Vec::new();
            reasons.for_each(|reason| reason.clone().join(&mut joined));
            joined
        };
        let joined = join(&mut all.iter());
        assert_eq!(joined, join(&mut all.iter().rev()));
        assert_eq!(
            serde_json::to_string(&joined).unwrap(),
            concat!(
                r#"[{"used":{"uses":["open","stat"],"by":["/ls","/sh"]}},{"symlink-hop":"/a"},"#,
                r#"{"engine":"entrypoint"},{"engine":"cmd"}]"#
            )
        );
    }
}
