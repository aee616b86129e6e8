//! From one daemon to the next, and to none.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use slim_tests::{Daemon, agent, outcome, output, wait_until};

use super::load::{Labels, Load, Short, remove};
use super::truth::{Profile, asked};

/// Each configuration has other kernel programs than the one before it: what replaces which words.
const CHANGES: [(&str, &str); 4] = [
    ("scopes = 4000", "scopes = 3000"),
    ("tier = \"auto\"", "tier = \"base\""),
    ("scopes = 3000", "scopes = 3000\nslots = 200"),
    ("tier = \"base\"", "tier = \"auto\""),
];

#[test]
fn nothing_is_missing_when_new_programs_take_over_under_load() -> Result<()> {
    let mut daemon = Daemon::prepare("tier = \"auto\"", "[limits]\nscopes = 4000\n")?;
    let labels = Labels::of(&daemon, "upgrade");
    daemon.start(&[])?;
    let load = Load::begin(&labels, 60)?;
    let mut shorts = vec![Short::run(&labels, 0)?];
    for (number, (from, to)) in CHANGES.into_iter().enumerate() {
        if number % 2 == 0 {
            daemon.kill()?;
        } else {
            daemon.signal("TERM")?;
            ensure!(daemon.end()? == Some(0));
        }
        shorts.push(Short::run(&labels, shorts.len())?);
        daemon.change(from, to)?;
        if number % 2 == 0 {
            // One that is killed in the middle of it; the next one goes on from there.
            daemon.begin(&[])?;
            let pins = daemon.pins().to_owned();
            wait_until("new programs are being pinned", || Ok(fs::read_dir(&pins)?.count() > 1))?;
            daemon.kill()?;
        }
        daemon.start(&[])?;
        shorts.push(Short::run(&labels, shorts.len())?);
        ensure!(fs::read_dir(daemon.pins())?.count() == 1, "the former programs are still pinned");
    }
    let log = daemon.log()?;
    ensure!(log.matches("new kernel programs have taken over").count() >= CHANGES.len(), "{log}");

    let done = load.end()?;
    Profile::has_all(&daemon, "upgrade", &load, &done, &shorts)?;
    remove(&shorts)
}

/// Ids of the programs that are pinned below a daemon's directory, as bpftool tells them.
fn programs(daemon: &Daemon) -> Result<BTreeSet<u64>> {
    let pinned = daemon.pins().display().to_string();
    let told = output(Command::new("bpftool").args(["--json", "--bpffs", "prog", "show"]))?;
    let all: Value = serde_json::from_str(&told).context("bpftool printed no JSON")?;
    let is_below = |program: &&Value| {
        let paths = program["pinned"].as_array().into_iter().flatten().filter_map(Value::as_str);
        paths.into_iter().any(|path| path.starts_with(&pinned))
    };
    Ok(all
        .as_array()
        .into_iter()
        .flatten()
        .filter(is_below)
        .filter_map(|program| program["id"].as_u64())
        .collect())
}

/// Whether the kernel has a program.
fn is_loaded(id: u64) -> Result<bool> {
    Ok(outcome(Command::new("bpftool").args(["prog", "show", "id", &id.to_string()]))?.code == Some(0))
}

fn uninstall(daemon: &Daemon, more: &[&str]) -> Result<slim_tests::Outcome> {
    outcome(agent()?.args(["uninstall", "--config"]).arg(daemon.config()).args(more))
}

#[test]
fn a_daemon_that_ends_leaves_its_programs_to_the_next_and_uninstall_leaves_nothing() -> Result<()> {
    let mut daemon = Daemon::prepare("", "")?;
    let labels = Labels::of(&daemon, "left");
    daemon.start(&[])?;
    let refused = uninstall(&daemon, &[])?;
    ensure!(refused.code != Some(0) && refused.stderr.contains("end the daemon first"), "{refused:?}");
    ensure!(asked(&daemon, "/v1/health")?["ok"] == true, "the refusal did harm");
    let ids = programs(&daemon)?;
    ensure!(ids.len() > 5, "{ids:?}");

    daemon.signal("TERM")?;
    ensure!(daemon.end()? == Some(0));
    ensure!(programs(&daemon)? == ids, "the programs ended with their daemon");
    let short = Short::run(&labels, 0)?;
    daemon.start(&[])?;
    ensure!(programs(&daemon)? == ids, "they were not adopted");
    let profile = Profile::when_idle(&daemon, "left", 1)?;
    profile.is_of(&BTreeSet::from([short.container.id()]))?;
    ensure!(profile.has_path(&short.path));

    daemon.signal("TERM")?;
    ensure!(daemon.end()? == Some(0));
    let run = daemon.socket();
    let run = run.parent().context("no directory")?;
    uninstall(&daemon, &[])?.expect(0)?;
    ensure!(!daemon.pins().exists() && !run.exists() && daemon.state().exists());
    // The kernel frees programs a moment after the last who had them has gone.
    wait_until("the programs are gone", || {
        Ok(!ids.iter().map(|id| is_loaded(*id)).collect::<Result<Vec<_>>>()?.contains(&true))
    })?;
    uninstall(&daemon, &["--purge"])?.expect(0)?;
    ensure!(!daemon.state().exists());
    Ok(())
}

#[test]
fn two_daemons_share_neither_state_nor_programs() -> Result<()> {
    let mut first = Daemon::prepare("", "")?;
    first.start(&[])?;
    for (theirs, words) in [("state", "has this state directory"), ("pins", "stop it first")] {
        let second = Daemon::prepare("", "")?;
        let line = |daemon: &Daemon| -> Result<String> {
            let text = fs::read_to_string(daemon.config())?;
            let line = text.lines().find(|line| line.starts_with(theirs)).context("no such line")?;
            Ok(line.to_owned())
        };
        let own = line(&second)?;
        second.change(&own, &line(&first)?)?;
        let refused = outcome(agent()?.args(["daemon", "--config"]).arg(second.config()))?;
        ensure!(refused.code != Some(0) && refused.stderr.contains(words), "{theirs}: {refused:?}");
        // Its end does not take the first one's programs away.
        second.change(&line(&second)?, &own)?;
    }
    ensure!(asked(&first, "/v1/health")?["ok"] == true);
    Ok(())
}

#[test]
fn a_wrong_configuration_changes_nothing_and_a_right_one_is_taken() -> Result<()> {
    let mut daemon = Daemon::prepare("", "")?;
    let labels = Labels::of(&daemon, "before");
    daemon.start(&[])?;
    // No rule is about this one yet.
    let running = slim_tests::Container::run(slim_tests::BASE, &["--network", "none"], &["sleep", "1000"])?;

    daemon.change("checkpoint = ", "checkpiont = ")?;
    daemon.signal("HUP")?;
    daemon.told("RELOADING=1")?;
    daemon.told("READY=1")?;
    let log = daemon.log()?;
    let told = |words: &[&str]| log.lines().any(|line| words.iter().all(|word| line.contains(word)));
    ensure!(told(&["stays as it was"]) && log.contains("line 4"), "{log}");
    let short = Short::run(&labels, 0)?;
    Profile::when_idle(&daemon, "before", 1)?.is_of(&BTreeSet::from([short.container.id()]))?;

    daemon.change("checkpiont = ", "checkpoint = ")?;
    let text = fs::read_to_string(daemon.config())?;
    let rule = format!("[[watch]]\nname = {:?}\nprofile = \"after\"\n", running.name());
    fs::write(daemon.config(), text + &rule)?;
    daemon.signal("HUP")?;
    wait_until("the running container is recorded", || {
        Ok(daemon.verb(&["status", "after"])?.stdout.contains(running.name()))
    })
}
