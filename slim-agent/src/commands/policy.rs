//! What the user decides of an image, on the command line and in a file that is checked in.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::builder::{PossibleValue, PossibleValuesParser};
use serde::Deserialize;

use crate::exit::{Exit, tag};
use crate::plan::{Pattern, Policy, RULES};

/// Read when no other file is named, if it is there.
const DEFAULT_FILE: &str = "slim.toml";

/// Options that decide what is kept.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "What is kept")]
pub struct PolicyArgs {
    /// Keep what GLOB means, whether or not it was seen used: /etc/app/**, **/*.conf; may be repeated
    #[arg(long, value_name = "GLOB")]
    include: Vec<Pattern>,

    /// Leave out what GLOB means, whoever needs it: wins over all else; may be repeated
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<Pattern>,

    /// Keep all files of a package of dpkg, apk, pip or npm: NAME, or KIND:NAME; may be repeated
    #[arg(long, value_name = "NAME")]
    include_package: Vec<String>,

    /// Keep a shell and the usual small tools; the same as --with shell
    #[arg(long)]
    include_shell: bool,

    /// Keep what `docker exec` used even if the image has no health check
    #[arg(long)]
    include_exec: bool,

    /// Switch on a rule that keeps more than was seen; may be repeated
    #[arg(long, value_name = "RULE", value_parser = rules(), hide_possible_values = true)]
    with: Vec<String>,

    /// Switch off a rule that keeps more than was seen; may be repeated
    #[arg(long, value_name = "RULE", value_parser = rules(), long_help = about_rules(), hide_possible_values = true)]
    without: Vec<String>,

    /// Do not say in the image which packages are in it: scanners then find none
    #[arg(long)]
    no_package_metadata: bool,

    /// Options of this group from a TOML file, by the same names [default: slim.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The same in a file. Lists of both are united.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Settings {
    include: Vec<String>,
    exclude: Vec<String>,
    include_package: Vec<String>,
    include_shell: bool,
    include_exec: bool,
    with: Vec<String>,
    without: Vec<String>,
    no_package_metadata: bool,
}

impl PolicyArgs {
    /// The policy that the options and the file add up to. Of a rule's switches, the command line has the last word.
    ///
    /// # Errors
    /// Usage: a rule is switched on and off at once. Otherwise: the file cannot be read, is no TOML, has an unknown key,
    /// or a value that is no pattern or no rule; the error says where.
    pub fn policy(&self) -> Result<Policy> {
        let mut policy = Policy::default();
        if let Some((path, settings)) = self.settings()? {
            settings.apply(&mut policy).with_context(|| format!("cannot use {}", path.display()))?;
        }
        policy.include.extend(self.include.iter().cloned());
        policy.exclude.extend(self.exclude.iter().cloned());
        policy.include_packages.extend(self.include_package.iter().cloned());
        policy.include_exec |= self.include_exec;
        policy.package_metadata &= !self.no_package_metadata;
        switch(&mut policy, &self.with, &self.without, self.include_shell)
            .map_err(|why| tag(Exit::Usage, why))?;
        Ok(policy)
    }

    fn settings(&self) -> Result<Option<(&Path, Settings)>> {
        let path = self.config.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
        let text = match fs::read_to_string(path) {
            Err(error) if self.config.is_none() && error.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            text => text.with_context(|| format!("cannot read {}", path.display()))?,
        };
        tracing::info!("options from {}", path.display());
        let settings = toml::from_str(&text).with_context(|| format!("cannot use {}", path.display()))?;
        Ok(Some((path, settings)))
    }
}

impl Settings {
    fn apply(self, policy: &mut Policy) -> Result<()> {
        let patterns = |texts: Vec<String>| -> Result<Vec<Pattern>> {
            texts.iter().map(|text| text.parse().map_err(|why: String| anyhow!(why))).collect()
        };
        policy.include = patterns(self.include)?;
        policy.exclude = patterns(self.exclude)?;
        policy.include_packages = self.include_package;
        policy.include_exec = self.include_exec;
        policy.package_metadata = !self.no_package_metadata;
        switch(policy, &self.with, &self.without, self.include_shell).map_err(|why| anyhow!(why))
    }
}

fn switch(policy: &mut Policy, with: &[String], without: &[String], shell: bool) -> Result<(), String> {
    if let Some(both) = with.iter().find(|name| without.contains(name)) {
        return Err(format!("rule {both} cannot be switched on and off at once: drop --with or --without"));
    }
    for (names, on) in [(with, true), (without, false)] {
        for name in names {
            policy.rules.switch(name, on)?;
        }
    }
    if shell { policy.rules.switch("shell", true) } else { Ok(()) }
}

fn rules() -> PossibleValuesParser {
    PossibleValuesParser::new(RULES.iter().map(|rule| PossibleValue::new(rule.name)))
}

/// The table of rules, for `--help`.
fn about_rules() -> String {
    let mut text = "Switch off a rule that keeps more than was seen; may be repeated\n\nRules:".to_owned();
    for rule in &RULES {
        let state = if rule.default { "on" } else { "off" };
        text.push_str(&format!("\n  {:<13} {:<4} {}", rule.name, state, rule.about));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::code_of;

    fn from_file(text: &str, args: PolicyArgs) -> Result<Policy> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slim.toml");
        fs::write(&path, text).unwrap();
        PolicyArgs { config: Some(path), ..args }.policy()
    }

    #[test]
    fn file_and_options_add_up() {
        let args = PolicyArgs {
            include: vec!["/b".parse().unwrap()],
            with: vec!["scripts".into()],
            without: vec!["terminfo".into()],
            ..PolicyArgs::default()
        };
        let text = r#"
            include = ["/a/**"]
            exclude = ["/c"]
            include-package = ["dpkg:curl"]
            include-shell = true
            with = ["terminfo"]
            without = ["scripts", "locale"]
            no-package-metadata = true
        "#;
        let policy = from_file(text, args).unwrap();
        let texts: Vec<String> = policy.include.iter().map(ToString::to_string).collect();
        assert_eq!((texts.join(" "), policy.exclude.len()), ("/a/** /b".into(), 1));
        assert_eq!((policy.include_packages, policy.package_metadata), (vec!["dpkg:curl".into()], false));
        let on = |name| policy.rules.names().contains(name);
        assert!(on("scripts") && on("shell") && !on("terminfo") && !on("locale"));
    }

    #[test]
    fn what_is_wrong_in_a_file_is_said_with_its_name() {
        for (text, why) in [
            ("includes = []", "includes"),
            ("include = [\"x\"]", "begin it with /"),
            ("with = [\"x\"]", "there is no rule \"x\": choose from libraries"),
            ("without = [\"shell\"]\nwith = [\"shell\"]", "at once"),
            ("include = 1", "include"),
        ] {
            let error = format!("{:#}", from_file(text, PolicyArgs::default()).unwrap_err());
            assert!(error.contains("slim.toml") && error.contains(why), "{error}");
        }
        let missing = PolicyArgs { config: Some("/nowhere".into()), ..PolicyArgs::default() };
        assert!(missing.policy().is_err());
        let both =
            PolicyArgs { with: vec!["gconv".into()], without: vec!["gconv".into()], ..PolicyArgs::default() };
        assert_eq!(code_of(&both.policy().unwrap_err()), Exit::Usage);
    }
}
