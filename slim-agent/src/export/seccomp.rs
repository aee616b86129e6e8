//! A seccomp profile from a manifest: what was observed, what the runtime needs, and what a recording cannot see.
//!
//! Calls that are not allowed answer ENOSYS, with which libc falls back to what is allowed, except for those that
//! the engine's default profile denies: they keep EPERM. Docker before 23 does not read `defaultErrnoRet` (verified
//! with 20.10.24) and would answer EPERM to all; so the calls that answer ENOSYS are listed, too.
//!
//! Nothing is allowed that the engine's default denies, unless it was observed or the base profile allows it, and then
//! that is pointed out.

mod allowed;
mod base;
mod engine;
mod libc;
mod model;
mod observed;
mod relatives;
mod rules;
mod runtime;
mod withheld;
mod written;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::manifest::Manifest;
use allowed::Allowed;
use model::{Action, ENOSYS};
use observed::Observed;

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
    let mut abis = observed::abis(manifest)?;
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
    let mut allowed = Allowed::new(&abis);
    let Observed { coverage, warnings: pointed_out } = observed::observed(manifest, options, &mut allowed);
    warnings.extend(pointed_out);
    if !options.no_relatives {
        allowed.add_relatives();
    }
    if !options.no_runtime_calls {
        allowed.add_runtime();
    }
    allowed.add_unseen();
    allowed.add_variants();
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

#[cfg(test)]
mod tests;
