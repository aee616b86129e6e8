//! The agent as a user runs it, and the files it writes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::command::{Outcome, outcome, output};

/// slim-agent, ready for arguments: the one that SLIM_AGENT names, else the one built last in this workspace.
pub fn agent() -> Result<Command> {
    if let Some(path) = std::env::var_os("SLIM_AGENT") {
        return Ok(Command::new(path));
    }
    let target = std::env::current_exe().context("cannot tell where this test runs from")?;
    // target/PROFILE/deps/it-HASH
    let target = target.ancestors().nth(3).context("this test does not run from a target directory")?;
    let built = ["release", "debug"].map(|profile| target.join(profile).join("slim-agent"));
    let age = |path: &PathBuf| path.metadata().and_then(|file| file.modified()).ok();
    match built.iter().filter(|path| path.exists()).max_by_key(|path| age(path)) {
        Some(path) => Ok(Command::new(path)),
        None => bail!("slim-agent is not built in {}: cargo build --release -p slim-agent", target.display()),
    }
}

/// `slim-agent record TARGET -o MANIFEST -- PROGRAM`, run to its end.
pub fn record(target: &[&str], manifest: &Path, program: &Path) -> Result<Outcome> {
    let mut command = agent()?;
    command.arg("record").args(target).arg("-o").arg(manifest).arg("--").arg(program);
    outcome(&mut command)
}

/// The same with a shell script as COMMAND.
pub fn record_script(target: &[&str], manifest: &Path, script: &str) -> Result<Outcome> {
    let mut command = agent()?;
    command.arg("record").args(target).arg("-o").arg(manifest).args(["--", "sh", "-euc", script]);
    outcome(&mut command)
}

/// `slim-agent record TARGET -o MANIFEST` without COMMAND: it ends when the container does.
pub fn record_until_it_exits(target: &[&str], manifest: &Path) -> Result<Outcome> {
    outcome(agent()?.arg("record").args(target).arg("-o").arg(manifest))
}

/// `slim-agent export image MANIFEST --tag TAG OPTIONS`, its explanation written beside the manifest.
pub fn export_image(manifest: &Path, tag: &str, options: &[&str]) -> Result<Outcome> {
    let mut command = agent()?;
    command.args(["export", "image", "--tag", tag, "--format", "json", "--explain"]);
    command.arg(explanation(manifest)).args(options).arg(manifest);
    outcome(&mut command)
}

/// Where [`export_image`] leaves its explanation.
pub fn explanation(manifest: &Path) -> PathBuf {
    manifest.with_extension("plan.json")
}

/// `slim-agent export seccomp MANIFEST`, written beside the manifest; the path of the profile.
pub fn export_seccomp(manifest: &Path) -> Result<PathBuf> {
    let profile = manifest.with_extension("seccomp.json");
    output(agent()?.args(["export", "seccomp"]).arg(manifest).arg("-o").arg(&profile))?;
    Ok(profile)
}

/// Reads a JSON file: a manifest, a plan, a profile.
pub fn read_json(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}
