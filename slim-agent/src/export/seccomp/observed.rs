//! What a manifest says of system calls, as far as they are made under a filter.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

use super::{Allowed, Options, engine};
use crate::manifest::{Manifest, Phase, SyscallUse};
use crate::syscall_table::{self, Abi};

/// What is known of observed calls besides their reasons.
pub(super) struct Observed {
    /// Call -> in how many recordings it was made.
    pub(super) coverage: BTreeMap<String, usize>,
    /// What a person should know.
    pub(super) warnings: Vec<String>,
}

/// The ABIs that were seen, and the native one that the runtime uses.
pub(super) fn abis(manifest: &Manifest) -> Result<BTreeSet<Abi>> {
    let mut abis = BTreeSet::new();
    for (name, calls) in &manifest.syscalls {
        match name.parse::<Abi>() {
            Ok(abi) if !calls.is_empty() => abis.extend([abi, abi.native()]),
            Ok(_) => {}
            Err(()) => {
                bail!("the manifest has system calls of ABI {name:?}, which this version does not know")
            }
        }
    }
    if abis.is_empty() {
        bail!("the manifest has no system calls: a profile from it would stop every program; record again");
    }
    Ok(abis)
}

/// Calls of the application, of processes put in later, and of the runtime where it was seen under its filter; in how
/// many recordings each was made.
pub(super) fn observed(manifest: &Manifest, options: &Options, allowed: &mut Allowed<'_>) -> Observed {
    let of = manifest.recordings.len();
    let mut warnings = Vec::new();
    let mut seen_in: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (abi_name, calls) in &manifest.syscalls {
        let Ok(abi) = abi_name.parse::<Abi>() else { continue };
        for (name, used) in calls {
            let Some(phases) = confined_phases(&used.phases, options) else {
                never_permitted(name, used, options, allowed);
                continue;
            };
            if let Some(why) = impossible(name, abi) {
                warnings.push(why);
                continue;
            }
            let seen = used.seen_in.len();
            allowed.insert(name, &format!("observed: {phases}, {abi_name}, in {seen} of {of} recordings"));
            seen_in.entry(name.clone()).or_default().extend(used.seen_in.iter().map(String::as_str));
            if Phase::any_in_container(&used.phases) {
                allowed.made.insert(name.clone());
            }
            if engine::DENIED.contains(&name.as_str()) {
                let denied = "the engine's default profile denies it";
                allowed.insert(name, denied);
                warnings.push(format!("{name} is allowed as observed; {denied}"));
            }
        }
    }
    let coverage = seen_in.into_iter().map(|(name, recordings)| (name, recordings.len())).collect();
    Observed { coverage, warnings }
}

/// Why a call cannot be allowed although it was observed.
fn impossible(name: &str, abi: Abi) -> Option<String> {
    if syscall_table::number(abi, name).is_none() {
        let abi = abi.as_str();
        return Some(format!("{name} ({abi}) was observed, but has no name in this version's table"));
    }
    let never = name == engine::NEVER;
    never.then(|| format!("{name} was observed, but answers ENOSYS: its flags cannot be checked"))
}

/// A call that never got another answer than EPERM or ENOSYS while a filter was on. The engine's default profile, which
/// [`Allowed::add`] asks, decides what it gets: the answer stays as it was either way.
fn never_permitted(name: &str, used: &SyscallUse, options: &Options, allowed: &mut Allowed<'_>) {
    if let Some(phases) = confined_phases(&used.refused, options) {
        allowed.add(name, &format!("observed, but never permitted: {phases}"));
    }
}

/// The phases that run under the filter, in words; `None` when there is none among them.
fn confined_phases(phases: &BTreeSet<Phase>, options: &Options) -> Option<String> {
    let words = phases.iter().filter_map(|phase| match phase {
        Phase::RuntimeInit => None,
        Phase::RuntimeConfined => (!options.no_runtime_calls).then_some("runtime"),
        Phase::App => Some("application"),
        Phase::Exec => Some("exec"),
        Phase::Healthcheck => Some("healthcheck"),
    });
    let words: Vec<_> = words.collect();
    (!words.is_empty()).then(|| words.join(" and "))
}
