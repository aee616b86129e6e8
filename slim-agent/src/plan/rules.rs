//! Rules that keep more than was seen, because what was seen does not work without it, or not always.
//!
//! This file is the table of them. Each has a name that switches it, and is the reason of what it keeps.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

use super::keeper::{Fresh, Keeper};
use super::reason::Reason;
use crate::image::Config;
use crate::manifest::PathBytes;

mod files;
mod imports;
mod libraries;
mod loader_config;
mod modules;
mod once;
mod system;

use libraries::Libraries;
use modules::Modules;
pub use modules::PYTHON_IMPORTS;

/// One rule.
pub struct Rule {
    /// What the user calls it.
    pub name: &'static str,
    /// What it keeps, for people.
    pub about: &'static str,
    /// Whether it is on unless the user says otherwise.
    pub default: bool,
    apply: Apply,
}

/// When a rule is applied.
enum Apply {
    /// To each regular file that is kept, by whatever reason.
    ToFile(fn(&mut Work<'_, '_>, &Fresh) -> Result<()>),
    /// To the image as a whole.
    Once(fn(&mut Work<'_, '_>) -> Result<()>),
}

use Apply::{Once, ToFile};

/// All rules.
pub const RULES: [Rule; 13] = [
    on("libraries", "the shared libraries and the loader that kept ELF files name", ToFile(files::libraries)),
    on(
        "scripts",
        "the interpreter that kept executable scripts name, also behind env",
        ToFile(files::scripts),
    ),
    on("python", "the .py of each .pyc in __pycache__, and the reverse", ToFile(files::python)),
    on("unwinder", "libgcc_s beside glibc, which loads it to cancel threads", ToFile(system::unwinder)),
    on("name-service", "nsswitch.conf beside glibc, and the modules it names", ToFile(system::name_service)),
    on(
        "certificates",
        "certificate authorities beside TLS libraries and static programs",
        ToFile(system::certificates),
    ),
    on("java", "the libraries and settings of a Java runtime beside its libjvm.so", ToFile(system::java)),
    on("time-zone", "/etc/localtime, and the zone that TZ in the image's Env names", Once(once::time_zone)),
    on(
        "locale",
        "the locales that LANG and LC_* in the image's Env name, and all of those of which a file is kept",
        Once(once::locale),
    ),
    off(
        PYTHON_IMPORTS,
        "modules that kept Python sources import, also where that is done later",
        ToFile(modules::python_imports),
    ),
    off("terminfo", "descriptions of terminals", Once(once::terminfo)),
    off("gconv", "glibc's character set conversions", Once(once::gconv)),
    off("shell", "a shell and the usual small tools", Once(once::shell)),
];

const fn on(name: &'static str, about: &'static str, apply: Apply) -> Rule {
    Rule { name, about, default: true, apply }
}

const fn off(name: &'static str, about: &'static str, apply: Apply) -> Rule {
    Rule { name, about, default: false, apply }
}

/// The rules that are on, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSet(BTreeSet<&'static str>);

impl Default for RuleSet {
    fn default() -> Self {
        Self(RULES.iter().filter(|rule| rule.default).map(|rule| rule.name).collect())
    }
}

impl RuleSet {
    /// Switches the rule `name` on or off.
    ///
    /// # Errors
    /// There is no such rule; the text lists all.
    pub fn switch(&mut self, name: &str, on: bool) -> Result<(), String> {
        let Some(rule) = RULES.iter().find(|rule| rule.name == name) else {
            let names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
            return Err(format!("there is no rule {name:?}: choose from {}", names.join(", ")));
        };
        if on {
            self.0.insert(rule.name)
        } else {
            self.0.remove(rule.name)
        };
        Ok(())
    }

    /// Names of the rules that are on, sorted.
    pub fn names(&self) -> &BTreeSet<&'static str> {
        &self.0
    }

    fn iter(&self) -> impl Iterator<Item = &'static Rule> + '_ {
        RULES.iter().filter(|rule| self.0.contains(rule.name))
    }
}

/// What a rule works with.
struct Work<'w, 'i> {
    keeper: &'w mut Keeper<'i>,
    config: &'w Config,
    libraries: Libraries,
    modules: Modules,
}

/// Applies `rules` until they ask for nothing more.
///
/// # Errors
/// The image cannot be read.
pub(super) fn apply(keeper: &mut Keeper<'_>, config: &Config, rules: &RuleSet) -> Result<()> {
    let libraries = Libraries::new(keeper, config)?;
    let mut work = Work { keeper, config, libraries, modules: Modules::default() };
    for rule in rules.iter() {
        if let Once(apply) = rule.apply {
            apply(&mut work).with_context(|| format!("cannot apply rule {}", rule.name))?;
        }
    }
    while let Some(fresh) = work.keeper.next_fresh() {
        for rule in rules.iter() {
            if let ToFile(apply) = rule.apply {
                let context = || format!("cannot apply rule {} to {}", rule.name, fresh.entry.path);
                apply(&mut work, &fresh).with_context(context)?;
            }
        }
    }
    Ok(())
}

/// The reason of what `rule` keeps for the file `of`.
fn reason(rule: &'static str, of: &PathBytes) -> Reason {
    Reason::Rule { rule, of: Some(of.clone()) }
}

/// The reason of what `rule` keeps whatever else is kept.
fn whole(rule: &'static str) -> Reason {
    Reason::Rule { rule, of: None }
}

#[cfg(test)]
mod tests;
