//! From allowed calls to the rules of a profile.

use std::collections::BTreeSet;

use super::base::Rules as Base;
use super::engine::Conditional;
use super::model::{Action, ENOSYS, EPERM, Rule};
use super::{Allowed, engine, libc};
use crate::syscall_table;

/// What a rule for calls that nobody made is for.
const ABSENT: &str = "not observed: for engines that do not read defaultErrnoRet";
const ON_TRIAL: &str = "not observed: on trial";

/// One answer for each call of the profile's ABIs. On trial, what would answer ENOSYS only for not having been observed
/// is carried out and logged; what the engine's default denies stays denied.
pub(super) fn rules(allowed: &Allowed<'_>, base: &Base, trial: bool) -> Vec<Rule> {
    let conditions = engine::conditions(allowed.abis);
    let bound = |name: &str| conditions.iter().any(|condition| condition.name == name);
    let own = allowed.reasons.keys().filter(|name| !bound(name));
    let plain: BTreeSet<_> = own.cloned().chain(base.plain().cloned()).collect();

    let mut given = plain.clone();
    let mut rules = vec![Rule::pass(
        Action::Allow,
        plain.iter().cloned().collect(),
        "observed, or needed by the runtime and libc",
    )];
    for condition in conditions.iter().filter(|condition| !plain.contains(condition.name)) {
        let action = match (allowed.has(condition.name), trial) {
            (true, _) => Action::Allow,
            (false, true) if base.conditions(condition.name).next().is_none() => Action::Log,
            (false, _) => continue,
        };
        given.insert(condition.name.to_owned());
        rules.extend(bounds(condition, action, base));
    }
    for (name, args) in base.bound().filter(|(name, _)| !plain.contains(*name)) {
        let own = conditions.iter().find(|condition| condition.name == name && allowed.has(name));
        given.insert(name.clone());
        if own.is_some_and(|own| own.covers(args)) {
            continue;
        }
        let rule = Rule::pass(Action::Allow, vec![name.clone()], "as in the base profile");
        rules.push(rule.when(args.clone()));
    }
    rules.extend(refused(allowed, &given, trial));
    rules
}

/// The rules of a call that is bound to conditions. Where the base profile has others, what neither allows gets the
/// profile's default: libseccomp refuses rules that contradict each other.
fn bounds(condition: &Conditional, action: Action, base: &Base) -> Vec<Rule> {
    let name = || vec![condition.name.to_owned()];
    let deny = base.conditions(condition.name).all(|args| condition.covers(args));
    let pass =
        condition.allow.iter().map(|&arg| Rule::pass(action, name(), condition.comment).when(vec![arg]));
    let denied = condition.deny.iter().filter(|_| deny);
    let denied = denied.map(|&arg| Rule::deny(name(), EPERM, condition.comment).when(vec![arg]));
    pass.chain(denied).collect()
}

/// All other calls of the profile's ABIs: those that the engine's default denies, and the rest. The multiplexers are
/// left to the rules for what they stand for.
fn refused(allowed: &Allowed<'_>, given: &BTreeSet<String>, trial: bool) -> Vec<Rule> {
    let known: BTreeSet<_> = allowed.abis.iter().flat_map(|&abi| syscall_table::names(abi)).collect();
    let multiplexer = |name: &str| libc::MULTIPLEXED.iter().any(|(via, _)| *via == name);
    let refused = known.into_iter().filter(|name| !given.contains(*name) && !multiplexer(name));
    let (denied, absent): (Vec<_>, _) =
        refused.map(str::to_owned).partition(|name| engine::DENIED.contains(&name.as_str()));
    let mut rules = vec![Rule::deny(denied, EPERM, "denied by the engine's default profile too")];
    if trial {
        let (never, absent) = absent.into_iter().partition(|name| name == engine::NEVER);
        rules.push(Rule::deny(never, ENOSYS, "its flags cannot be checked"));
        rules.push(Rule::pass(Action::Log, absent, ON_TRIAL));
    } else {
        rules.push(Rule::deny(absent, ENOSYS, ABSENT));
    }
    rules.retain(|rule| !rule.names.is_empty());
    rules
}
