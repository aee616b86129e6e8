//! A profile to start from: what it allows is allowed too, under its own conditions.
//!
//! Nothing is guessed. What cannot be carried over exactly is an error, except for rules of the engine's form that are
//! not in force: they are left out and named.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};

use super::model::Arg;
use super::written::{Filter, Profile, Rule};
use super::{engine, passes_engine};
use crate::capability::ENGINE_DEFAULT;
use crate::syscall_table::{self, Abi};

/// Default actions of a profile that lists what it allows.
const REFUSING: [&str; 4] =
    ["SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD"];

/// Members that do not change what is allowed.
const WITHOUT_EFFECT: [&str; 4] = ["comment", "defaultErrno", "defaultErrnoRet", "$schema"];

/// The oldest kernel that this program works on: version and patch level.
const KERNEL: (u32, u32) = (5, 10);

/// A profile that was read, and of which everything is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    rules: Vec<Rule>,
    /// The architectures that it names; none means the machine's own.
    abis: BTreeSet<Abi>,
    names_architectures: bool,
}

/// What a base profile allows on one kind of machine.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) abis: BTreeSet<Abi>,
    /// Call -> sets of conditions, any of which is enough; none means that it is allowed without.
    pub(super) allows: BTreeMap<String, Vec<Vec<Arg>>>,
    /// For people: what was left out, and what the engine's default denies.
    pub(super) notes: Vec<String>,
}

impl Base {
    /// Reads a profile in the OCI runtime specification's form, or the engine's.
    ///
    /// # Errors
    /// It is not of that form, allows what it does not list, or has something in it that cannot be carried over.
    pub fn parse(text: &str) -> Result<Self> {
        let profile = Profile::parse(text)?;
        ensure!(
            REFUSING.contains(&profile.default_action.as_str()),
            "its default action is {}: only a profile that refuses what it does not list can be added to",
            profile.default_action
        );
        let effective = profile.more.iter().find(|(name, value)| {
            !WITHOUT_EFFECT.contains(&name.as_str())
                && !matches!(value.as_array(), Some(list) if list.is_empty())
        });
        if let Some((name, _)) = effective {
            bail!("{name:?} in it cannot be carried over");
        }
        ensure!(
            profile.architectures.is_none() || profile.arch_map.is_none(),
            "it has both \"architectures\" and \"archMap\""
        );
        let named = architectures(&profile);
        let abis = Abi::ALL.into_iter().filter(|abi| named.contains(&abi.seccomp_arch())).collect();
        let names_architectures = !named.is_empty();
        let rules = profile.syscalls.unwrap_or_default();
        for (index, rule) in rules.iter().enumerate() {
            understood(rule).with_context(|| format!("in rule {} of its \"syscalls\"", index + 1))?;
        }
        Ok(Self { rules, abis, names_architectures })
    }

    /// What it allows on the machines that have these ABIs.
    pub(super) fn on(&self, abis: &BTreeSet<Abi>) -> Result<Rules> {
        let native = abis.iter().next().map(|abi| abi.native()).context("no ABI is known")?;
        let own: BTreeSet<_> = self.abis.iter().filter(|abi| abi.native() == native).copied().collect();
        ensure!(
            !self.names_architectures || !own.is_empty(),
            "it is not for {}, on which the manifest was recorded",
            native.seccomp_arch()
        );
        let mut rules = Rules { abis: own, ..Rules::default() };
        let mut refusing = Vec::new();
        for rule in &self.rules {
            if let Some(why) = not_in_force(rule, native) {
                rules.leave_out(rule, &why);
            } else if rule.action == "SCMP_ACT_ALLOW" {
                rule.names().for_each(|name| rules.allow(name, rule));
            } else {
                refusing.push(rule);
            }
        }
        refusing.into_iter().try_for_each(|rule| rules.refuse(rule))?;
        let all: BTreeSet<_> = rules.abis.union(abis).copied().collect();
        rules.allows.retain(|name, _| all.iter().any(|&abi| syscall_table::number(abi, name).is_some()));
        rules.note_what_is_broad();
        Ok(rules)
    }
}

impl Rules {
    fn allow(&mut self, name: &str, rule: &Rule) {
        if Abi::ALL.into_iter().all(|abi| syscall_table::number(abi, name).is_none()) {
            self.notes
                .push(format!("the base profile allows {name}, which is no call that this version knows"));
            return;
        }
        let args = rule.args.clone().unwrap_or_default();
        let sets = self.allows.get_mut(name);
        match sets {
            None => drop(
                self.allows
                    .insert(name.to_owned(), [args].into_iter().filter(|args| !args.is_empty()).collect()),
            ),
            Some(sets) if args.is_empty() => sets.clear(),
            Some(sets) if sets.is_empty() || sets.contains(&args) => {}
            Some(sets) => sets.push(args),
        }
    }

    /// What it refuses matters only where it allows the same: then nobody can tell which it means.
    fn refuse(&mut self, rule: &Rule) -> Result<()> {
        let always = rule.args.as_ref().is_none_or(Vec::is_empty);
        for name in
            rule.names().filter(|name| self.allows.get(*name).is_some_and(Vec::is_empty)).collect::<Vec<_>>()
        {
            ensure!(always, "it allows {name} without a condition and refuses it under one");
            self.allows.remove(name);
            self.notes
                .push(format!("left out of the base profile, which both allows and refuses it: {name}"));
        }
        Ok(())
    }

    /// A rule that is not in force matters only if it would have allowed something.
    fn leave_out(&mut self, rule: &Rule, why: &str) {
        let names: Vec<_> = rule.names().map(String::as_str).collect();
        if rule.action == "SCMP_ACT_ALLOW" && !why.is_empty() {
            let note = format!("left out of the base profile, {why}: {}", names.join(", "));
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
    }

    fn note_what_is_broad(&mut self) {
        let broad = self.allows.iter().filter(|(name, sets)| {
            let unbound = engine::BOUND.contains(&name.as_str()) && sets.is_empty();
            unbound || !passes_engine(name)
        });
        let broad: Vec<_> = broad.map(|(name, _)| name.as_str()).collect();
        if !broad.is_empty() {
            let names = broad.join(", ");
            self.notes.push(format!("the base profile allows more than the engine's default does: {names}"));
        }
    }

    /// Calls that are allowed without a condition.
    pub(super) fn plain(&self) -> impl Iterator<Item = &String> {
        self.allows.iter().filter(|(_, sets)| sets.is_empty()).map(|(name, _)| name)
    }

    /// Calls that are allowed under conditions, and these: a pair for each set.
    pub(super) fn bound(&self) -> impl Iterator<Item = (&String, &Vec<Arg>)> {
        self.allows.iter().flat_map(|(name, sets)| sets.iter().map(move |args| (name, args)))
    }

    /// The conditions of one call.
    pub(super) fn conditions(&self, name: &str) -> impl Iterator<Item = &Vec<Arg>> {
        self.allows.get(name).into_iter().flatten()
    }

    /// Why a call of it is allowed.
    pub(super) fn reason(&self, name: &str) -> String {
        let bound = self.conditions(name).next().is_some();
        format!("base: the base profile allows it{}", if bound { " under conditions" } else { "" })
    }
}

fn architectures(profile: &Profile) -> Vec<&str> {
    let mapped = profile.arch_map.iter().flatten();
    let mapped = mapped.flat_map(|map| map.sub_architectures.iter().flatten().chain([&map.architecture]));
    profile.architectures.iter().flatten().chain(mapped).map(String::as_str).collect()
}

/// Whether everything in a rule has a meaning here.
fn understood(rule: &Rule) -> Result<()> {
    let refuses = REFUSING.contains(&rule.action.as_str());
    ensure!(
        refuses || rule.action == "SCMP_ACT_ALLOW",
        "the action {} cannot be carried over: only what is allowed or refused can",
        rule.action
    );
    ensure!(rule.names().next().is_some(), "it names no calls");
    let more = rule.more.keys().find(|name| !["comment", "errno", "errnoRet"].contains(&name.as_str()));
    ensure!(more.is_none(), "{:?} cannot be carried over", more.map_or("", String::as_str));
    let high = rule.args.iter().flatten().find(|arg| arg.index > 5);
    ensure!(high.is_none(), "calls have six arguments, numbered from 0: {high:?}");
    for filter in rule.includes.iter().chain(&rule.excludes) {
        let more = filter.more.keys().next();
        ensure!(more.is_none(), "it depends on {:?}, which is not known", more.map_or("", String::as_str));
        filter.min_kernel.as_deref().map(kernel).transpose()?;
    }
    Ok(())
}

/// Why a rule is not in force, in words; no words where it is for another machine.
fn not_in_force(rule: &Rule, native: Abi) -> Option<String> {
    let machine = if native == Abi::Aarch64 { "arm64" } else { "amd64" };
    let here = |filter: &Filter| {
        filter.arches.as_ref().is_none_or(|list| list.is_empty() || list.iter().any(|arch| arch == machine))
    };
    let has = |cap: &&str| ENGINE_DEFAULT.contains(cap);
    let recent = |filter: &Filter| match filter.min_kernel.as_deref().map(kernel) {
        Some(Ok(needed)) => needed <= KERNEL,
        Some(Err(_)) => false,
        None => true,
    };
    if let Some(includes) = &rule.includes {
        if !here(includes) {
            return Some(String::new());
        }
        if let Some(cap) = includes.caps().find(|cap| !has(cap)) {
            return Some(format!("for containers with {cap}"));
        }
        if !recent(includes) {
            return Some("for newer kernels".to_owned());
        }
    }
    let excludes = rule.excludes.as_ref()?;
    let elsewhere = excludes.arches.iter().flatten().any(|arch| arch == machine);
    let without = excludes.caps().find(has).map(|cap| format!("for containers without {cap}"));
    let older = excludes.min_kernel.as_ref().map(|_| "for older kernels".to_owned());
    if elsewhere { Some(String::new()) } else { without.or(older) }
}

/// `4.8` as numbers.
fn kernel(text: &str) -> Result<(u32, u32)> {
    let mut numbers = text.split('.').map(str::parse);
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(version)), Some(Ok(level)), None) => Ok((version, level)),
        _ => bail!("{text:?} is no kernel's version"),
    }
}
