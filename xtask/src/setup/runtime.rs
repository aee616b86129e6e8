//! crun as a second runtime of the Docker engine, beside its own.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::Gap;
use crate::docker::{self, docker};
use crate::process::{as_root, output, run};

/// The name by which containers ask for it: `docker run --runtime crun`.
const NAME: &str = "crun";
/// Runs crun, also on hosts that it refuses.
pub const PROGRAM: &str = "/usr/local/libexec/slim-test-crun";
/// crun wants no host whose cgroup v2 hierarchy has controllers beside those of v1: there, it is shown only v1's.
const SCRIPT: &str = r#"#!/bin/sh
# crun for the tests of slim-agent; written by cargo xtask setup.
if [ -d /sys/fs/cgroup/unified ]; then
    exec unshare --mount --propagation slave sh -c 'umount /sys/fs/cgroup/unified && exec crun "$@"' crun "$@"
fi
exec crun "$@"
"#;
const CONFIG: &str = "/etc/docker/daemon.json";
const PID: &str = "/run/docker.pid";
const PATIENCE: Duration = Duration::from_secs(20);

/// The gap, when an engine answers that does not know crun.
pub fn gap() -> Option<Gap> {
    if known() && Path::new(PROGRAM).exists() {
        return None;
    }
    let missing = "crun as a runtime of the Docker engine";
    let by_hand = format!(
        "add {{\"runtimes\": {{\"{NAME}\": {{\"path\": \"{PROGRAM}\"}}}}}} to the engine's configuration"
    );
    if !known()
        && let Err(why) = changeable()
    {
        return Some(Gap::by_hand(missing, format!("{by_hand}: {why:#}")));
    }
    let remedy = format!("add the runtime to {CONFIG}, leaving the rest as it is, and have dockerd read it");
    Some(Gap::fixable(missing, remedy, add))
}

/// Whether a container can ask for crun. An engine that does not answer yet is another gap.
fn known() -> bool {
    let format = ["info", "--format", "{{range $name, $_ := .Runtimes}}{{$name}} {{end}}"];
    let names = output(&mut docker(&format)).unwrap_or_default();
    names.split_whitespace().any(|name| name == NAME)
}

/// Whether the file is ours to add to: an engine elsewhere, or one with runtimes on its command line, does not take it.
fn changeable() -> Result<()> {
    with_runtime(&configured()?)?;
    if !docker::answers() {
        return Ok(());
    }
    let line = fs::read(format!("/proc/{}/cmdline", pid()?)).context("dockerd does not run here")?;
    let line = String::from_utf8_lossy(&line);
    let option =
        line.split('\0').find(|word| word.starts_with("--config-file") || word.starts_with("--add-runtime"));
    ensure!(option.is_none(), "dockerd was started with {}", option.unwrap_or_default());
    Ok(())
}

/// What the file says; an absent one says nothing.
fn configured() -> Result<Value> {
    if !Path::new(CONFIG).exists() {
        return Ok(json!({}));
    }
    let text = fs::read_to_string(CONFIG).with_context(|| format!("cannot read {CONFIG}"))?;
    serde_json::from_str(&text).with_context(|| format!("{CONFIG} is not JSON"))
}

/// The same with the runtime in it; an error where something of that name is there already.
fn with_runtime(config: &Value) -> Result<Value> {
    let mut config = config.clone();
    let all = config.as_object_mut().with_context(|| format!("{CONFIG} holds no object"))?;
    let runtimes = all.entry("runtimes").or_insert_with(|| json!({}));
    let runtimes =
        runtimes.as_object_mut().with_context(|| format!("\"runtimes\" in {CONFIG} is no object"))?;
    ensure!(
        !runtimes.contains_key(NAME),
        "{CONFIG} has a runtime {NAME} that dockerd does not know: restart dockerd"
    );
    runtimes.insert(NAME.to_owned(), json!({ "path": PROGRAM }));
    Ok(config)
}

fn add() -> Result<()> {
    let script = "mkdir -p \"$(dirname \"$0\")\" && printf '%s' \"$1\" >\"$0.new\" && chmod 755 \"$0.new\" && mv \"$0.new\" \"$0\"";
    run(&mut as_root("sh", &["-c", script, PROGRAM, SCRIPT]))?;
    if known() {
        return Ok(());
    }
    let config = serde_json::to_string_pretty(&with_runtime(&configured()?)?).context("cannot write JSON")?;
    // Beside it first, so that it is there whole or not at all.
    let script = "mkdir -p /etc/docker && printf '%s\\n' \"$1\" >\"$0.new\" && mv \"$0.new\" \"$0\"";
    run(&mut as_root("sh", &["-c", script, CONFIG, &config]))?;
    run(&mut as_root("kill", &["-s", "HUP", &pid()?]))?;
    let began = Instant::now();
    while !known() {
        if began.elapsed() > PATIENCE {
            bail!("dockerd did not take {CONFIG} within {} s: see its log", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// dockerd's process.
fn pid() -> Result<String> {
    let pid = fs::read_to_string(PID).with_context(|| format!("dockerd does not run here: no {PID}"))?;
    Ok(pid.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_user_configured_stays() {
        let user = json!({ "log-level": "warn", "runtimes": { "kata": { "path": "/opt/kata" } } });
        let with = with_runtime(&user).unwrap();
        assert_eq!(with["log-level"], "warn");
        assert_eq!(with["runtimes"], json!({ "kata": { "path": "/opt/kata" }, "crun": { "path": PROGRAM } }));
        assert_eq!(with_runtime(&json!({})).unwrap(), json!({ "runtimes": { "crun": { "path": PROGRAM } } }));
    }

    #[test]
    fn what_is_not_understood_is_left_alone() {
        for config in [json!([]), json!({ "runtimes": 1 }), json!({ "runtimes": { "crun": {} } })] {
            assert!(with_runtime(&config).is_err(), "{config}");
        }
    }
}
