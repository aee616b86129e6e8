//! A real daemon is asked: by the commands, by curl, and by those who may not.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use slim_tests::{BASE, Container, Daemon, Outcome, curl, free_port, outcome, promtool, wait_until};

/// What the unit leaves to the daemon.
const CAPABILITIES: &str = "--bounding-set=-all,+bpf,+perfmon,+sys_ptrace,+dac_read_search,+chown";
/// A group that every Debian has.
const GROUP: &str = "daemon";
/// A user who is in no group.
const NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

fn container(daemon: &Daemon, profile: &str) -> Result<Container> {
    let profile = format!("slim.profile={profile}");
    let script = "cat /etc/debian_version; exec sleep 1000";
    Container::run(
        BASE,
        &["--network", "none", "--label", daemon.label(), "--label", &profile],
        &["sh", "-c", script],
    )
}

fn asked(daemon: &Daemon, path: &str) -> Result<Value> {
    let (status, body) = daemon.curl(&[], path, &[])?;
    ensure!(status == 200, "{path}: {status}: {body}");
    serde_json::from_str(&body).with_context(|| format!("{path} is not JSON: {body}"))
}

/// Waits until the container's start is in the profile.
fn recorded(daemon: &Daemon, profile: &str) -> Result<()> {
    wait_until("the profile has what its container read", || {
        let snapshot = daemon.verb(&["snapshot", profile])?;
        Ok(snapshot.code == Some(0) && snapshot.stdout.contains("\"/etc/debian_version\""))
    })
}

/// Whether an answer is as the daemon itself describes it.
fn check(daemon: &Daemon, schema: &str, answer: &Value) -> Result<()> {
    let place = tempfile::tempdir()?;
    let description = place.path().join("openapi.json");
    fs::write(&description, asked(daemon, "/v1/openapi.json")?.to_string())?;
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = tests.join("../target/kubernetes-validate/bin/python");
    ensure!(python.exists(), "Python's jsonschema is not installed: cargo xtask setup");
    let mut checker = Command::new(python);
    checker.arg(tests.join("it/api/answers.py")).arg(&description).arg(schema);
    let mut checker = checker.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    checker.stdin.take().context("no input")?.write_all(answer.to_string().as_bytes())?;
    let outcome: Outcome = checker.wait_with_output()?.into();
    outcome.expect(0).with_context(|| format!("{schema}: {answer}"))?;
    Ok(())
}

#[test]
fn the_verbs_of_a_daemon_with_five_capabilities() -> Result<()> {
    let mut daemon = Daemon::prepare("", "[ready_when]\nstarts = 1000\n")?;
    daemon.start(&["setpriv", CAPABILITIES])?;
    let web = container(&daemon, "web")?;
    recorded(&daemon, "web")?;

    let status = daemon.verb(&["status"])?.expect(0)?;
    ensure!(status.lines().any(|line| line.starts_with("web ") && line.contains("recording")), "{status}");
    let profile = daemon.verb(&["status", "web", "--ready"])?.expect(6)?;
    ensure!(profile.contains(web.name()) && profile.contains("not ready: "), "{profile}");
    ensure!(daemon.verb(&["list"])?.expect(0)?.contains(web.name()));
    for (path, schema) in [
        ("/v1/status", "DaemonStatus"),
        ("/v1/profiles", "ProfileList"),
        ("/v1/profiles/web", "ProfileStatus"),
        ("/v1/health", "Health"),
    ] {
        check(&daemon, schema, &asked(&daemon, path)?)?;
    }
    ensure!(check(&daemon, "Health", &serde_json::json!({ "ok": 1 })).is_err(), "the check finds nothing");
    let profile = asked(&daemon, "/v1/profiles/web")?;
    ensure!(profile["containers"][0]["startup_observed"] == true, "{profile}");
    ensure!(profile["coverage"].is_object() && profile["paths"].as_u64() > Some(3), "{profile}");

    ensure!(daemon.verb(&["status", "none"])?.code == Some(1));
    ensure!(
        daemon.verb(&["forget", "web", "--yes"])?.code == Some(1),
        "it was forgotten while it is recorded"
    );
    daemon.verb(&["stop", "web"])?.expect(0)?;
    wait_until("nothing is recorded", || Ok(asked(&daemon, "/v1/profiles/web")?["state"] == "idle"))?;
    daemon.verb(&["start", web.name(), "--profile", "other"])?.expect(0)?;
    wait_until("it is recorded again", || {
        Ok(daemon.verb(&["status", "other"])?.stdout.contains(web.name()))
    })?;
    ensure!(daemon.verb(&["start", web.name()])?.code == Some(1), "it is recorded twice");
    ensure!(daemon.verb(&["forget", "web"])?.code == Some(2), "nobody said yes");
    // What ended just now may still be on its way to the profile.
    wait_until("it is forgotten", || Ok(daemon.verb(&["forget", "web", "--yes"])?.code == Some(0)))?;
    ensure!(daemon.verb(&["snapshot", "web"])?.code == Some(1), "it is still there");

    // The next one takes over what the first has left, with as little.
    daemon.signal("KILL")?;
    daemon.end()?;
    daemon.start(&["setpriv", CAPABILITIES])?;
    let still = asked(&daemon, "/v1/profiles/other")?;
    ensure!(still["containers"][0]["container"] == web.name(), "{still}");

    daemon.signal("TERM")?;
    daemon.told("STOPPING=1")?;
    ensure!(daemon.end()? == Some(0), "{}", daemon.log()?);
    ensure!(!daemon.socket().exists() && daemon.verb(&["status"])?.code == Some(7));
    Ok(())
}

#[test]
fn a_daemon_as_a_service() -> Result<()> {
    let port = free_port()?;
    let mut daemon = Daemon::prepare(&format!("metrics = \"127.0.0.1:{port}\""), "")?;
    daemon.start(&[])?;
    let _web = container(&daemon, "web")?;
    recorded(&daemon, "web")?;

    let (status, metrics) = curl(&[], &[], &format!("http://127.0.0.1:{port}/metrics"))?;
    ensure!(status == 200, "{metrics}");
    let place = tempfile::tempdir()?;
    fs::write(place.path().join("metrics"), &metrics)?;
    let text = fs::File::open(place.path().join("metrics"))?;
    outcome(promtool()?.args(["check", "metrics"]).stdin(text))?.expect(0)?;
    let has = |sample: &str| metrics.lines().any(|line| line.starts_with(sample) && !line.ends_with(" 0"));
    for sample in [
        "slim_agent_healthy 1",
        "slim_agent_hook_hits_total{hook=\"sys_exit\"}",
        "slim_agent_births_total{outcome=\"recorded\"}",
        "slim_agent_profile_paths{profile=\"web\"",
        "slim_agent_kernel_map_bytes{",
        "slim_agent_resident_memory_bytes ",
        "slim_agent_engine_up{",
    ] {
        ensure!(has(sample), "no {sample} in\n{metrics}");
    }
    let (status, _) = curl(&[], &[], &format!("http://127.0.0.1:{port}/v1/profiles"))?;
    ensure!(status == 404, "profiles are served to anybody: {status}");

    let second = outcome_of_a_second(&daemon)?;
    ensure!(second.code != Some(0) && second.stderr.contains("stop it first"), "{second:?}");
    daemon.signal("HUP")?;
    ensure!(daemon.told("RELOADING=1")?.contains("MONOTONIC_USEC="));
    daemon.told("READY=1")?;
    ensure!(asked(&daemon, "/v1/health")?["ok"] == true);

    let log = daemon.log()?;
    let is_journal = |line: &str| line.starts_with('<') && line.get(2..3) == Some(">");
    ensure!(!log.is_empty() && log.lines().all(is_journal), "a line has no priority:\n{log}");
    Ok(())
}

/// Another daemon with the same configuration.
fn outcome_of_a_second(daemon: &Daemon) -> Result<Outcome> {
    outcome(slim_tests::agent()?.args(["daemon", "--config"]).arg(daemon.config()))
}

#[test]
fn only_root_and_the_group_are_answered() -> Result<()> {
    let mut daemon = Daemon::prepare(&format!("group = {GROUP:?}"), "")?;
    daemon.start(&[])?;
    let socket = daemon.socket();
    let directory = socket.parent().context("no directory")?;
    let (file, dir) = (fs::metadata(&socket)?, fs::metadata(directory)?);
    ensure!(file.mode() & 0o777 == 0o660 && dir.mode() & 0o777 == 0o750, "{file:?} {dir:?}");
    ensure!(file.gid() == dir.gid() && file.gid() != 0);

    let member = ["setpriv", "--reuid=65534", "--regid=65534", &format!("--groups={}", file.gid())];
    ensure!(daemon.curl(&member, "/v1/status", &[])?.0 == 200);
    ensure!(daemon.curl(&NOBODY, "/v1/status", &[]).is_err(), "the socket's mode lets anybody in");
    // Whoever gets to the socket all the same is turned away.
    fs::set_permissions(directory, Permissions::from_mode(0o755))?;
    fs::set_permissions(&socket, Permissions::from_mode(0o666))?;
    let (status, body) = daemon.curl(&NOBODY, "/v1/status", &[])?;
    ensure!(status == 403 && body.contains("members of the daemon's group"), "{status}: {body}");
    ensure!(daemon.curl(&[], "/v1/status", &[])?.0 == 200);
    Ok(())
}
