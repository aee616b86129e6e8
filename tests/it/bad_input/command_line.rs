//! What is typed: wrong usage is found before anything is started, and help is there.

use std::os::unix::fs::PermissionsExt;

use anyhow::{Result, ensure};
use serde_json::Value;
use slim_tests::{Container, expect, manifest, outcome, read_json, refused, told, write_json};

use super::{BASE, Public, slim};

#[test]
fn a_command_that_is_not_there_or_not_executable_starts_nothing() -> Result<()> {
    let container = Container::create(BASE, &[], &["true"])?;
    let place = tempfile::tempdir()?;
    let text = place.path().join("load.sh");
    std::fs::write(&text, "#!/bin/sh\n")?;
    std::fs::set_permissions(&text, std::fs::Permissions::from_mode(0o644))?;
    let directory = place.path().to_string_lossy();
    for command in ["no-such-load-test", "/no/such/load-test", &text.to_string_lossy(), &directory] {
        let mut agent = slim(&["record", container.name(), "--", command])?;
        refused(&mut agent, 2, &["COMMAND", command, "not an executable file"])?;
    }
    ensure!(container.inspect()?["State"]["Status"] == "created", "the container was started");
    // What was typed is judged before the host is.
    let public = Public::new()?;
    let mut agent = public.as_nobody(&[], &["record", "web", "--", "no-such-load-test"]);
    refused(&mut agent, 2, &["no-such-load-test"]).map(drop)
}

#[test]
fn a_command_that_cannot_be_run_after_all_fails_after_the_manifest_is_written() -> Result<()> {
    let container = Container::create(BASE, &[], &["cat", "/etc/debian_version"])?;
    let place = tempfile::tempdir()?;
    let script = place.path().join("load.sh");
    std::fs::write(&script, "#!/no/such/interpreter\n")?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
    let path = place.path().join("m.json");
    let mut agent = slim(&["record", container.name(), "-o", &path.to_string_lossy(), "--"])?;
    let failed = outcome(agent.arg(&script))?;
    expect(&failed, 1, &["cannot run", "load.sh", "the manifest was written"])?;
    ensure!(read_json(&path)?["schema"].is_string());
    Ok(())
}

#[test]
fn a_command_that_fails_fails_the_recording_after_the_manifest_is_written() -> Result<()> {
    let container = Container::create(BASE, &[], &["sleep", "600"])?;
    let place = tempfile::tempdir()?;
    let path = place.path().join("m.json");
    let mut agent = slim(&["record", container.name(), "-o", &path.to_string_lossy(), "--", "false"])?;
    expect(&outcome(&mut agent)?, 1, &["the load test failed", "the manifest was written"])?;
    ensure!(read_json(&path)?["files"]["/usr/bin/sleep"].is_object());
    Ok(())
}

#[test]
fn a_duration_that_is_none_is_wrong_usage() -> Result<()> {
    for duration in ["soon", "10", "5 parsecs", "", "-1s"] {
        let option = format!("--for={duration}");
        refused(&mut slim(&["record", "web", &option])?, 2, &["--for <DURATION>", "90s"])?;
    }
    Ok(())
}

#[test]
fn every_command_shows_examples_in_its_help() -> Result<()> {
    let commands: [&[&str]; 8] = [
        &["slim"],
        &["record"],
        &["merge"],
        &["export"],
        &["export", "image"],
        &["export", "seccomp"],
        &["doctor"],
        &["completions"],
    ];
    for command in commands {
        let help = told(slim(command)?.arg("--help"), 0, &[])?.stdout;
        let example = format!("slim-agent {}", command.join(" "));
        let examples = help.split("Examples:").nth(1).unwrap_or_default();
        ensure!(examples.contains(&example), "{command:?} has no example:\n{help}");
    }
    Ok(())
}

#[test]
fn completions_are_written_for_the_usual_shells() -> Result<()> {
    for (shell, word) in
        [("bash", "complete -F"), ("zsh", "#compdef slim-agent"), ("fish", "complete -c slim-agent")]
    {
        let script = told(&mut slim(&["completions", shell])?, 0, &[])?.stdout;
        ensure!(script.contains(word) && script.contains("allow-incomplete"), "{shell}: {script}");
    }
    refused(&mut slim(&["completions", "cmd.exe"])?, 2, &["cmd.exe", "bash"]).map(drop)
}

#[test]
fn doctor_reports_in_json_that_this_host_can_record() -> Result<()> {
    let report = told(&mut slim(&["doctor", "--format", "json"])?, 0, &[])?;
    let report: Value = serde_json::from_str(&report.stdout)?;
    ensure!(report["recording"] == true, "{report}");
    let names = report["checks"].as_array().into_iter().flatten().map(|check| &check["name"]);
    ensure!(names.clone().any(|name| name == "kernel BTF") && names.clone().any(|name| name == "engine"));
    Ok(())
}

#[test]
fn nothing_is_coloured_where_no_terminal_reads() -> Result<()> {
    let place = tempfile::tempdir()?;
    let mut incomplete = manifest("sha256:aa", &[]);
    incomplete["recordings"]["0123456789abcdef"]["incomplete"] = serde_json::json!(["something was lost"]);
    let path = write_json(place.path(), "m.json", &incomplete)?.to_string_lossy().into_owned();
    let lines: [&[&str]; 5] = [
        &["--help"],
        &["doctor"],
        &["record"],
        &["export", "seccomp", &path, "--allow-incomplete"],
        &["merge", "x"],
    ];
    for line in lines {
        let said = outcome(&mut slim(line)?)?;
        ensure!(!said.stdout.is_empty() || !said.stderr.is_empty(), "{line:?} says nothing");
        ensure!(!(said.stdout + &said.stderr).contains('\u{1b}'), "{line:?} writes escape codes");
    }
    Ok(())
}

#[test]
fn no_color_is_respected_on_a_terminal() -> Result<()> {
    // script(1) gives its command a terminal.
    let agent = slim(&[])?.get_program().to_string_lossy().into_owned();
    let on_terminal = |line: &str, no_color: &str| {
        let mut command = std::process::Command::new("script");
        command.args(["--quiet", "--return", "--command", &format!("'{agent}' {line}"), "/dev/null"]);
        outcome(command.env("NO_COLOR", no_color).env("TERM", "xterm"))
    };
    ensure!(on_terminal("record", "")?.stdout.contains('\u{1b}'), "a terminal gets no colours at all");
    ensure!(!on_terminal("record", "1")?.stdout.contains('\u{1b}'), "NO_COLOR is not respected");
    Ok(())
}
