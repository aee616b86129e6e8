//! `slim-agent record`, and what its manifest says.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The exit code of a recording with a loss, or one that did not see the start-up.
const INCOMPLETE: i32 = 4;

/// `slim-agent record TARGET -o MANIFEST -- COMMAND`.
pub fn record(agent: &Path, target: &[&str], manifest: &Path, load: &Command) -> Command {
    let mut command = Command::new(agent);
    command.arg("record").args(target).arg("-o").arg(manifest).arg("--");
    command.arg(load.get_program()).args(load.get_args());
    command
}

/// Runs a recording that may miss the start-up: one of a container that runs already always does.
pub fn run_attached(command: &mut Command) -> Result<()> {
    let output = command.output().context("cannot run slim-agent")?;
    if !output.status.success() && output.status.code() != Some(INCOMPLETE) {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("slim-agent record ended with {}: {}", output.status, complaint.trim());
    }
    Ok(())
}

/// Reads a JSON file that slim-agent wrote.
pub fn read_json(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

/// What a manifest says was lost: `none`, or its reasons.
pub fn loss(manifest: &Value) -> String {
    let recordings = manifest["recordings"].as_object().into_iter().flat_map(|all| all.values());
    let reasons: Vec<&str> = recordings
        .flat_map(|recording| recording["incomplete"].as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .collect();
    if reasons.is_empty() { "none".into() } else { reasons.join("; ") }
}

/// The system calls that a seccomp profile allows.
pub fn allowed_syscalls(profile: &Value) -> BTreeSet<String> {
    let rules = profile["syscalls"].as_array().into_iter().flatten();
    let allowing = rules.filter(|rule| rule["action"] == "SCMP_ACT_ALLOW");
    let names = allowing.flat_map(|rule| rule["names"].as_array().into_iter().flatten());
    names.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_profile_counts_each_allowed_call_once() {
        let profile = json!({ "syscalls": [
            { "names": ["read", "write"], "action": "SCMP_ACT_ALLOW" },
            { "names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [] },
            { "names": ["mount"], "action": "SCMP_ACT_ERRNO" },
        ]});
        assert_eq!(allowed_syscalls(&profile).into_iter().collect::<Vec<_>>(), ["read", "write"]);
    }

    #[test]
    fn loss_gives_every_reason() {
        assert_eq!(loss(&json!({ "recordings": { "a": { "incomplete": [] } } })), "none");
        let two = json!({ "recordings": { "a": { "incomplete": ["x"] }, "b": { "incomplete": ["y"] } } });
        assert_eq!(loss(&two), "x; y");
    }
}
