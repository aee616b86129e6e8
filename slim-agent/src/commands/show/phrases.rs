//! Reasons of a plan in words for people.

use super::document::{path, spelled};
use crate::plan::{LeftOut, Need, Reason};

/// Why a path is kept.
pub fn kept(reason: &Reason) -> String {
    match reason {
        Reason::Used { uses, .. } => format!("used ({})", spelled(uses)),
        Reason::VolumeSeed => "a volume starts as a copy of it".to_owned(),
        Reason::SymlinkHop(to) => format!("link on the way to {}", path(to)),
        Reason::ElfInterpreter(of) => format!("dynamic linker of {}", path(of)),
        Reason::ScriptInterpreter(of) => format!("interpreter of {}", path(of)),
        Reason::Engine(need) => format!("the engine needs it: {}", needed(*need)),
        Reason::Included(pattern) => format!("included by {pattern}"),
        Reason::IncludedPackage(name) => format!("in the included package {name}"),
        Reason::Rule { rule, of: Some(of) } => format!("rule {rule}, for {}", path(of)),
        Reason::Rule { rule, of: None } => format!("rule {rule}"),
        Reason::PackageMetadata(name) if name == "distribution" => {
            "tells scanners of the distribution".to_owned()
        }
        Reason::PackageMetadata(name) => format!("tells scanners of {name}"),
        Reason::AboveMissing(below) => format!("{} is made in it", path(below)),
        Reason::Parent(below) => format!("directory of {}", path(below)),
    }
}

fn needed(need: Need) -> &'static str {
    match need {
        Need::UserLookup => "names of users and groups",
        Need::WorkingDirectory => "working directory",
        Need::Entrypoint => "Entrypoint",
        Need::Cmd => "Cmd",
        Need::Healthcheck => "Healthcheck",
        Need::MountPoint => "mount point",
        Need::StandardDirectory => "any system has it",
    }
}

/// Why a path is left out.
pub fn left_out(why: &LeftOut) -> String {
    match why {
        LeftOut::NotInImage => "not in the image".to_owned(),
        LeftOut::Volume => "on a volume or bind mount".to_owned(),
        LeftOut::Tmpfs => "on a tmpfs".to_owned(),
        LeftOut::Kernel => "the kernel's".to_owned(),
        LeftOut::Outside => "outside the container".to_owned(),
        LeftOut::ExecOnly => "used by docker exec only".to_owned(),
        LeftOut::Socket => "a socket".to_owned(),
        LeftOut::Excluded(pattern) => format!("excluded by {pattern}"),
    }
}
