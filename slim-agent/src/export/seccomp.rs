//! A seccomp profile from a manifest: what was observed, what the runtime needs, and what a recording cannot see.
//!
//! Calls that are not allowed answer ENOSYS, with which libc falls back to what is allowed, except for those that
//! the engine's default profile denies: they keep EPERM. Docker before 23 does not read `defaultErrnoRet` (verified
//! with 20.10.24) and would answer EPERM to all; so the calls that answer ENOSYS are listed, too.
//!
//! Nothing is allowed that the engine's default denies, unless it was observed or the base profile allows it, and then
//! that is pointed out.

mod base;
mod engine;
mod libc;
mod model;
mod relatives;
mod rules;
mod runtime;
mod withheld;
mod written;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::manifest::{Manifest, Phase, SyscallUse};
use crate::syscall_table::{self, Abi};
use model::{Action, ENOSYS};

pub use base::Base;
pub use model::Profile;
pub use withheld::{Withheld, passes_engine};

/// Allowed call -> why, a phrase each.
pub type Reasons = BTreeMap<String, BTreeSet<String>>;

/// What a profile is to be like.
#[derive(Debug, Default)]
pub struct Options {
    /// Without the calls that programs make soon after those that were observed.
    pub no_relatives: bool,
    /// Without what a container runtime does after it installed the filter: for what installs it last.
    pub no_runtime_calls: bool,
    /// Carries out, and logs, what is not allowed here and is by the engine's default.
    pub trial: bool,
    /// Another profile, whose allowed calls are allowed too.
    pub base: Option<Base>,
}

/// A profile, with what a person should know of it.
#[derive(Debug)]
pub struct Export {
    /// The profile itself.
    pub profile: Profile,
    /// Why each allowed call is allowed.
    pub reasons: Reasons,
    /// In how many of the recordings each call was made that was observed under the filter.
    pub coverage: BTreeMap<String, usize>,
    /// What was observed and is not allowed, or is allowed although the engine's default denies it.
    pub warnings: Vec<String>,
    /// How many recordings there are.
    pub recordings: usize,
}

/// The explanation of a profile, as JSON:
/// `{"recordings": 2, "calls": {"openat": {"coverage": 1, "reasons": ["..."]}}}`.
#[derive(Debug, Serialize)]
pub struct Explanation<'a> {
    recordings: usize,
    calls: BTreeMap<&'a str, Call<'a>>,
}

/// One allowed call.
#[derive(Debug, Serialize)]
struct Call<'a> {
    /// In how many recordings it was observed.
    coverage: usize,
    reasons: &'a BTreeSet<String>,
}

impl Export {
    /// Why each call is allowed, and in how many recordings it was observed.
    pub fn explain(&self) -> Explanation<'_> {
        let coverage = |name| self.coverage.get(name).copied().unwrap_or_default();
        let calls = self.reasons.iter();
        let calls = calls.map(|(name, reasons)| (name.as_str(), Call { coverage: coverage(name), reasons }));
        let calls = calls.collect();
        Explanation { recordings: self.recordings, calls }
    }
}

/// Builds the profile with everything that an application may need.
///
/// # Errors
/// The manifest has no system calls, or some of an ABI that this version does not know.
pub fn export(manifest: &Manifest) -> Result<Export> {
    export_with(manifest, &Options::default())
}

/// Builds the profile.
///
/// # Errors
/// As [`export`]; and the base profile is for other machines.
pub fn export_with(manifest: &Manifest, options: &Options) -> Result<Export> {
    let mut abis = abis(manifest)?;
    let mut warnings = Vec::new();
    let base = match &options.base {
        Some(base) => {
            let base = base.on(&abis).context("the base profile cannot be used")?;
            abis.extend(&base.abis);
            warnings.extend(base.notes.iter().cloned());
            base
        }
        None => base::Rules::default(),
    };
    let mut allowed = Allowed { abis: &abis, reasons: Reasons::new(), made: BTreeSet::new() };
    let coverage = observed(manifest, options, &mut allowed, &mut warnings);
    if !options.no_relatives {
        related(&mut allowed);
    }
    if !options.no_runtime_calls {
        needed_by_runtime(&mut allowed);
    }
    unseen(&mut allowed);
    variants(&mut allowed);
    let syscalls = rules::rules(&allowed, &base, options.trial);
    let architectures = abis.iter().map(|abi| abi.seccomp_arch()).collect();
    let mut reasons = allowed.reasons;
    for name in base.allows.keys() {
        reasons.entry(name.clone()).or_default().insert(base.reason(name));
    }
    let profile =
        Profile { default_action: Action::Errno, default_errno_ret: ENOSYS, architectures, syscalls };
    Ok(Export { profile, reasons, coverage, warnings, recordings: manifest.recordings.len() })
}

/// The calls that are allowed so far.
struct Allowed<'a> {
    abis: &'a BTreeSet<Abi>,
    reasons: Reasons,
    /// What was observed of programs in the container.
    made: BTreeSet<String>,
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

    /// Which call that does what `name` does was observed of a program.
    fn made_any(&self, name: &'static str) -> Option<&'static str> {
        libc::family(name).find(|name| self.made.contains(*name))
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

/// Calls of the application, of processes put in later, and of the runtime where it was seen under its filter; in how
/// many recordings each was made.
fn observed(
    manifest: &Manifest,
    options: &Options,
    allowed: &mut Allowed<'_>,
    warnings: &mut Vec<String>,
) -> BTreeMap<String, usize> {
    let of = manifest.recordings.len();
    let mut seen_in: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (abi_name, calls) in &manifest.syscalls {
        let Ok(abi) = abi_name.parse::<Abi>() else { continue };
        for (name, used) in calls {
            let Some(phases) = confined_phases(&used.phases, options) else {
                never_permitted(name, used, options, allowed);
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
                seen_in.entry(name.clone()).or_default().extend(used.seen_in.iter().map(String::as_str));
                if used
                    .phases
                    .iter()
                    .any(|phase| !matches!(phase, Phase::RuntimeInit | Phase::RuntimeConfined))
                {
                    allowed.made.insert(name.clone());
                }
                if engine::DENIED.contains(&name.as_str()) {
                    allowed.insert(name, "the engine's default profile denies it");
                    warnings.push(format!(
                        "{name} is allowed as observed; the engine's default profile denies it"
                    ));
                }
            }
        }
    }
    seen_in.into_iter().map(|(name, recordings)| (name, recordings.len())).collect()
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

/// What programs call soon after what was observed of them; not what they call after that.
fn related(allowed: &mut Allowed<'_>) {
    for row in relatives::RELATIVES {
        let made = row.of.iter().find_map(|call| allowed.made_any(call));
        let Some(made) = made else { continue };
        let reason = format!("relative of {made}: {}", row.why);
        for call in row.calls {
            // What does the same as an observed call is its variant.
            if allowed.made_any(call).is_none() {
                libc::family(call).for_each(|name| allowed.add(name, &reason));
            }
        }
    }
}

fn needed_by_runtime(allowed: &mut Allowed<'_>) {
    let lists = [
        (runtime::RUNC, format!("{} makes it after the filter is on", runtime::RUNC_VERSION)),
        (runtime::CRUN, format!("{} makes it after the filter is on", runtime::CRUN_VERSION)),
        (&runtime::GO, "runc's Go scheduler and collector, at any moment".to_owned()),
        (&runtime::NEWER, "later runc or crun make it after the filter is on".to_owned()),
    ];
    for (names, reason) in lists {
        names.iter().for_each(|name| allowed.add(name, &format!("runtime: {reason}")));
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

#[cfg(test)]
mod tests;
