//! A seccomp profile from a manifest: what was observed, what the runtime needs, and what a recording cannot see.
//!
//! Calls that are not allowed answer ENOSYS, with which libc falls back to what is allowed, except for those that
//! the engine's default profile denies: they keep EPERM. Docker before 23 does not read `defaultErrnoRet` (verified
//! with 20.10.24) and would answer EPERM to all; so the calls that answer ENOSYS are listed, too.

mod engine;
mod libc;
mod model;
mod runtime;
mod withheld;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

use crate::manifest::{Manifest, Phase, SyscallUse};
use crate::syscall_table::{self, Abi};
use model::{Action, ENOSYS, EPERM, Rule};

pub use model::Profile;
pub use withheld::{Withheld, passes_engine};

/// Allowed call -> why, a phrase each.
pub type Reasons = BTreeMap<String, BTreeSet<String>>;

/// A profile, with what a person should know of it.
#[derive(Debug)]
pub struct Export {
    /// The profile itself.
    pub profile: Profile,
    /// Why each allowed call is allowed.
    pub reasons: Reasons,
    /// What was observed and is not allowed, or is allowed although the engine's default denies it.
    pub warnings: Vec<String>,
}

/// Builds the profile.
///
/// # Errors
/// The manifest has no system calls, or some of an ABI that this version does not know.
pub fn export(manifest: &Manifest) -> Result<Export> {
    let abis = abis(manifest)?;
    let mut allowed = Allowed { abis: &abis, reasons: Reasons::new() };
    let mut warnings = Vec::new();
    observed(manifest, &mut allowed, &mut warnings);
    needed_by_runtime(&mut allowed);
    unseen(&mut allowed);
    variants(&mut allowed);
    let profile = Profile {
        default_action: Action::Errno,
        default_errno_ret: ENOSYS,
        architectures: abis.iter().map(|abi| abi.seccomp_arch()).collect(),
        syscalls: rules(&allowed),
    };
    Ok(Export { profile, reasons: allowed.reasons, warnings })
}

/// The calls that are allowed so far.
struct Allowed<'a> {
    abis: &'a BTreeSet<Abi>,
    reasons: Reasons,
}

impl Allowed<'_> {
    /// Allows `name` where one of the profile's ABIs has it, unless the engine denies it.
    fn add(&mut self, name: &str, reason: &str) {
        let exists = self.abis.iter().any(|&abi| syscall_table::number(abi, name).is_some());
        if exists && passes_engine(name) {
            self.insert(name, reason);
        }
    }

    fn insert(&mut self, name: &str, reason: &str) {
        self.reasons.entry(name.to_owned()).or_default().insert(reason.to_owned());
    }

    fn has(&self, name: &str) -> bool {
        self.reasons.contains_key(name)
    }
}

/// The ABIs that were seen, and the native one that the runtime uses.
fn abis(manifest: &Manifest) -> Result<BTreeSet<Abi>> {
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

/// Calls of the application, of processes put in later, and of the runtime where it was seen under its filter.
fn observed(manifest: &Manifest, allowed: &mut Allowed<'_>, warnings: &mut Vec<String>) {
    let of = manifest.recordings.len();
    for (abi_name, calls) in &manifest.syscalls {
        let Ok(abi) = abi_name.parse::<Abi>() else { continue };
        for (name, used) in calls {
            let Some(phases) = confined_phases(&used.phases) else {
                never_permitted(name, used, allowed);
                continue;
            };
            if syscall_table::number(abi, name).is_none() {
                warnings.push(format!(
                    "{name} ({abi_name}) was observed, but has no name in this version's table"
                ));
            } else if name == engine::NEVER {
                warnings
                    .push(format!("{name} was observed, but answers ENOSYS: its flags cannot be checked"));
            } else {
                let seen = used.seen_in.len();
                let reason = format!("observed: {phases}, {abi_name}, in {seen} of {of} recordings");
                allowed.insert(name, &reason);
                if engine::DENIED.contains(&name.as_str()) {
                    allowed.insert(name, "the engine's default profile denies it");
                    warnings.push(format!(
                        "{name} is allowed as observed; the engine's default profile denies it"
                    ));
                }
            }
        }
    }
}

/// A call that never got another answer than EPERM or ENOSYS while a filter was on. The engine's default profile, which
/// [`Allowed::add`] asks, decides what it gets: the answer stays as it was either way.
fn never_permitted(name: &str, used: &SyscallUse, allowed: &mut Allowed<'_>) {
    if let Some(phases) = confined_phases(&used.refused) {
        allowed.add(name, &format!("observed, but never permitted: {phases}"));
    }
}

/// The phases that run under the filter, in words; `None` when there is none among them.
fn confined_phases(phases: &BTreeSet<Phase>) -> Option<String> {
    let words = phases.iter().filter_map(|phase| match phase {
        Phase::RuntimeInit => None,
        Phase::RuntimeConfined => Some("runtime"),
        Phase::App => Some("application"),
        Phase::Exec => Some("exec"),
        Phase::Healthcheck => Some("healthcheck"),
    });
    let words: Vec<_> = words.collect();
    (!words.is_empty()).then(|| words.join(" and "))
}

fn needed_by_runtime(allowed: &mut Allowed<'_>) {
    let lists = [
        (&runtime::RUNC[..], "runtime: runc 1.1.5 makes it after the filter is on"),
        (&runtime::CRUN[..], "runtime: crun 1.8.1 makes it after the filter is on"),
        (&runtime::GO[..], "runtime: runc's Go scheduler and collector, at any moment"),
        (&runtime::NEWER[..], "runtime: later runc or crun make it after the filter is on"),
    ];
    for (names, reason) in lists {
        names.iter().for_each(|name| allowed.add(name, reason));
    }
}

fn unseen(allowed: &mut Allowed<'_>) {
    for (name, why) in libc::UNSEEN {
        allowed.add(name, &format!("unseen: {why}"));
    }
    for name in libc::THREAD_POINTER {
        allowed.add(name, "unseen: every program's start");
    }
}

/// What libc may call instead. Families do not overlap, so one pass is enough.
fn variants(allowed: &mut Allowed<'_>) {
    for (via, calls) in libc::MULTIPLEXED.iter().filter(|(via, _)| allowed.has(via)).collect::<Vec<_>>() {
        calls
            .iter()
            .for_each(|name| allowed.add(name, &format!("variant: newer libc makes it instead of {via}")));
    }
    for family in libc::FAMILIES {
        let Some(member) = family.iter().find(|name| allowed.has(name)) else { continue };
        for name in family.iter().filter(|name| *name != member) {
            if !allowed.has(name) {
                allowed.add(name, &format!("variant: another libc or kernel version makes it for {member}"));
            }
        }
    }
}

fn rules(allowed: &Allowed<'_>) -> Vec<Rule> {
    let conditions: Vec<_> = engine::conditions(allowed.abis)
        .into_iter()
        .filter(|condition| allowed.has(condition.name))
        .collect();
    let conditional = |name: &str| conditions.iter().any(|condition| condition.name == name);
    let plain = allowed.reasons.keys().filter(|name| !conditional(name)).cloned().collect();
    let mut rules = vec![Rule::allow(plain, "observed, or needed by the runtime and libc")];
    for condition in &conditions {
        let name = || vec![condition.name.to_owned()];
        let allow = condition.allow.iter().map(|&arg| Rule::allow(name(), condition.comment).when(arg));
        rules.extend(allow);
        rules
            .extend(condition.deny.iter().map(|&arg| Rule::deny(name(), EPERM, condition.comment).when(arg)));
    }
    let (denied, absent) = refused(allowed);
    rules.push(Rule::deny(denied, EPERM, "denied by the engine's default profile too"));
    rules.push(Rule::deny(absent, ENOSYS, "not observed: for engines that do not read defaultErrnoRet"));
    rules
}

/// All other calls of the profile's ABIs: those that the engine's default denies, and the rest. The multiplexers are
/// left to the rules for what they stand for.
fn refused(allowed: &Allowed<'_>) -> (Vec<String>, Vec<String>) {
    let known: BTreeSet<_> = allowed.abis.iter().flat_map(|&abi| syscall_table::names(abi)).collect();
    let multiplexer = |name: &str| libc::MULTIPLEXED.iter().any(|(via, _)| *via == name);
    let refused =
        known.into_iter().filter(|name| !allowed.has(name) && !multiplexer(name)).map(str::to_owned);
    refused.partition(|name| engine::DENIED.contains(&name.as_str()))
}

#[cfg(test)]
mod tests;
