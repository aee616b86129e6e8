//! How the files that the image keeps may be used, and what is used of the kernel's own.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::evidence::Evidence;
use crate::image::Kind;
use crate::manifest::{Origin, PathBytes, Use};
use crate::plan::Reason;

/// What every ELF file begins with.
const ELF: &[u8] = b"\x7fELF";

/// What may be done with a kept path, besides reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Whether it may be mapped as code.
    pub maps: bool,
    /// Whether it may be executed.
    pub executes: bool,
}

/// Kept paths, by their physical path.
///
/// # Errors
/// The image cannot be read.
pub(super) fn kept(evidence: &Evidence<'_>) -> Result<BTreeMap<PathBytes, Access>> {
    let mut kept = BTreeMap::new();
    for path in evidence.plan.paths() {
        let Some(entry) = evidence.entry(path)? else {
            // Made up for the new image.
            kept.insert(path.clone(), Access { is_dir: false, maps: false, executes: false });
            continue;
        };
        let is_elf = entry.kind == Kind::File
            && evidence.names.source().read_at(&entry, 0, ELF.len())?.as_slice() == ELF;
        let reasons = evidence.plan.kept.get(path).map(Vec::as_slice).unwrap_or_default();
        let executes = entry.kind == Kind::File && entry.mode & 0o111 != 0 && reasons.iter().any(is_to_run);
        kept.insert(path.clone(), Access { is_dir: entry.is_dir(), maps: is_elf || executes, executes });
    }
    Ok(kept)
}

/// Whether what is kept for this reason may have to be executed: what was, and what nobody saw used.
fn is_to_run(reason: &Reason) -> bool {
    match reason {
        Reason::Used { uses, .. } => {
            [Use::Exec, Use::Interpreter, Use::Held].iter().any(|kind| uses.contains(kind))
        }
        Reason::VolumeSeed
        | Reason::ElfInterpreter(_)
        | Reason::ScriptInterpreter(_)
        | Reason::Engine(_)
        | Reason::Included(_)
        | Reason::IncludedPackage(_)
        | Reason::Rule { .. } => true,
        Reason::SymlinkHop(_) | Reason::PackageMetadata(_) | Reason::AboveMissing(_) | Reason::Parent(_) => {
            false
        }
    }
}

/// Files of procfs and sysfs that were written, with `*` for the ids of processes.
pub(super) fn kernel_writes(evidence: &Evidence<'_>) -> BTreeSet<String> {
    let written = evidence.files().filter(|(_, file)| {
        file.origin == Origin::Kernel && [Use::Write, Use::Change].iter().any(|kind| file.uses.contains(kind))
    });
    let spelled = written.filter_map(|(name, _)| std::str::from_utf8(name.as_bytes()).ok());
    let is_kernels = |name: &&str| name.starts_with("/proc/") || name.starts_with("/sys/");
    spelled.filter(is_kernels).map(without_ids).collect()
}

fn without_ids(name: &str) -> String {
    let is_id = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts = name
        .split('/')
        .map(|part| if is_id(part) || part == "self" || part == "thread-self" { "*" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_have_other_ids_next_time() {
        assert_eq!(without_ids("/proc/17/task/18/attr/exec"), "/proc/*/task/*/attr/exec");
        assert_eq!(without_ids("/proc/self/oom_score_adj"), "/proc/*/oom_score_adj");
    }
}
