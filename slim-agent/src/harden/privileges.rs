//! Whether something was executed that gives more privileges than its caller has.

use std::collections::BTreeMap;

use anyhow::Result;

use super::account::Account;
use super::evidence::Evidence;
use crate::image::{Entry, Kind};
use crate::manifest::{PathBytes, Use};

/// Where an image keeps a file's capabilities.
const FILE_CAPABILITIES: &[u8] = b"security.capability";
const SETUID: u32 = 0o4000;
/// Without the group's execute bit it means mandatory locking, which is no longer there.
const SETGID: u32 = 0o2010;

/// What changes the ids of a process.
const CHANGES_IDS: [&str; 13] = [
    "setfsgid",
    "setfsgid32",
    "setfsuid",
    "setfsuid32",
    "setgid",
    "setgid32",
    "setregid",
    "setresgid",
    "setresuid",
    "setresuid32",
    "setreuid",
    "setuid",
    "setuid32",
];

/// Programs that the application executed, by their physical path; none where the image does not have it.
pub(super) fn executed(evidence: &Evidence<'_>) -> Result<BTreeMap<PathBytes, Option<Entry>>> {
    let mut found = BTreeMap::new();
    for (name, file) in evidence.files() {
        if ![Use::Exec, Use::Held].iter().any(|kind| file.uses.contains(kind)) {
            continue;
        }
        let walked = evidence.names.walk(name.as_bytes(), true)?;
        let entry = if walked.exists { evidence.entry(&walked.end)? } else { None };
        // What was made at run time, and whose mode was changed, may be anything.
        if entry.is_some() || file.uses.contains(&Use::Change) {
            found.insert(walked.end, entry.filter(|entry| entry.kind == Kind::File));
        }
    }
    Ok(found)
}

/// Which of them gives privileges that its caller did not have.
pub(super) fn gains(
    evidence: &Evidence<'_>,
    account: &Account,
    executed: &BTreeMap<PathBytes, Option<Entry>>,
) -> Vec<String> {
    // A process that is root already gains nothing from a file of root's, nor from a file's capabilities; and it is
    // root as long as nothing changes its ids.
    let is_root = account.uid == Some(0) && !evidence.called(&CHANGES_IDS);
    let gain = |(path, entry): (&PathBytes, &Option<Entry>)| {
        let Some(entry) = entry else {
            return Some(format!("{path} was executed and is not the image's: its privileges are not known"));
        };
        let mine = |id: u32| is_root && id == 0;
        if entry.mode & SETUID != 0 && !mine(entry.uid) {
            return Some(format!("{path} was executed, which is setuid for user {}", entry.uid));
        }
        if entry.mode & SETGID == SETGID && !mine(entry.gid) {
            return Some(format!("{path} was executed, which is setgid for group {}", entry.gid));
        }
        let has_capabilities = entry.xattrs.contains_key(FILE_CAPABILITIES);
        (has_capabilities && !is_root).then(|| format!("{path} was executed, which has file capabilities"))
    };
    executed.iter().filter_map(gain).collect()
}
