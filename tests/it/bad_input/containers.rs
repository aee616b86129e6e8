//! Containers that cannot be found, cannot be recorded, or go away.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use slim_tests::{Container, Recording, docker, expect, outcome, read_json, refused};

use super::{BASE, slim};

#[test]
fn an_unknown_container_is_named_with_how_to_list_them() -> Result<()> {
    refused(&mut slim(&["record", "no-such-web"])?, 1, &["no such container no-such-web", "docker ps -a"])?;
    // A name that could change the path of a request never gets that far.
    refused(&mut slim(&["record", "../images/json"])?, 1, &["no such container ../images/json"]).map(drop)
}

#[test]
fn an_id_that_is_not_unique_asks_for_more_digits() -> Result<()> {
    // Of 17 ids, two begin with the same hexadecimal digit.
    let mut kept = Vec::new();
    let mut digits = BTreeSet::new();
    for _ in 0..17 {
        let container = Container::create(BASE, &[], &["true"])?;
        let digit = container.id()[..1].to_owned();
        kept.push(container);
        if !digits.insert(digit.clone()) {
            let words = [digit.as_str(), "more than one container", "more digits"];
            return refused(&mut slim(&["record", &digit])?, 1, &words).map(drop);
        }
    }
    anyhow::bail!("17 ids begin with 17 digits: {digits:?}")
}

#[test]
fn a_paused_container_is_refused_and_stays_paused() -> Result<()> {
    let container = Container::run(BASE, &[], &["sleep", "600"])?;
    docker(&["pause", container.name()])?;
    refused(&mut slim(&["record", container.name(), "--for", "1s"])?, 1, &[container.name(), "is paused"])?;
    let paused = container.inspect()?["State"]["Paused"].clone();
    docker(&["unpause", container.name()])?;
    ensure!(paused == true);
    Ok(())
}

#[test]
fn a_container_that_cannot_start_says_why_and_leaves_no_manifest() -> Result<()> {
    let container = Container::create(BASE, &["--entrypoint", "/no/such/program"], &[])?;
    let place = tempfile::tempdir()?;
    let mut agent = slim(&["record", container.name(), "--for", "5s"])?;
    let words =
        [&container.id()[..12], "cannot start container", "/no/such/program", "no such file or directory"];
    refused(agent.current_dir(place.path()), 1, &words)?;
    let left: Vec<_> = std::fs::read_dir(place.path())?.collect();
    ensure!(left.is_empty(), "something was left behind: {left:?}");
    Ok(())
}

#[test]
fn a_second_agent_on_the_same_container_names_the_first_one_and_disturbs_nothing() -> Result<()> {
    let container = Container::create(BASE, &[], &["sleep", "600"])?;
    let mut first = Recording::begin(&[container.name()], &[])?;
    let place = tempfile::tempdir()?;
    let mut second = slim(&["record", container.id(), "--restart", "--for", "1s"])?;
    let process = format!("process {}", first.pid());
    refused(second.current_dir(place.path()), 1, &["another slim-agent", &process, container.name()])?;
    ensure!(first.goes_on()?, "the first recording ended: {}", first.stderr()?);
    first.signal("TERM")?;
    let (outcome, manifest) = first.end()?;
    expect(&outcome, 0, &[])?;
    ensure!(manifest.is_some());
    // The lock is free again.
    let again = place.path().join("again.json");
    let again = again.to_string_lossy();
    let freed =
        slim_tests::outcome(&mut slim(&["record", container.name(), "--for", "100ms", "-o", &again])?)?;
    expect(&freed, 0, &["start-up was not observed"])
}

#[test]
fn a_container_that_is_removed_ends_its_recording_with_a_whole_manifest() -> Result<()> {
    let container = Container::create(BASE, &[], &["sh", "-c", "cat /etc/debian_version; exec sleep 600"])?;
    let recording = Recording::begin(&[container.name()], &[])?;
    docker(&["rm", "--force", container.name()])?;
    let (outcome, manifest) = recording.end()?;
    expect(&outcome, 1, &["stopped before COMMAND had ended"])?;
    let manifest = manifest.context("there is no manifest")?;
    ensure!(manifest["files"]["/etc/debian_version"].is_object(), "{}", manifest["files"]);
    Ok(())
}

#[test]
fn a_container_that_removes_itself_at_once_is_recorded() -> Result<()> {
    let container = Container::create(BASE, &["--rm"], &["cat", "/etc/debian_version"])?;
    let place = tempfile::tempdir()?;
    let manifest = place.path().join("m.json");
    let recorded = outcome(&mut slim(&["record", container.name(), "-o", &manifest.to_string_lossy()])?)?;
    expect(&recorded, 0, &["manifest: "])?;
    ensure!(read_json(&manifest)?["files"]["/etc/debian_version"].is_object());
    Ok(())
}

#[test]
fn a_recording_with_a_blind_spot_ends_with_its_own_code_and_names_it() -> Result<()> {
    // io_uring_setup(2) is 425 everywhere; with these arguments it only fails.
    let container = Container::create(BASE, &[], &["perl", "-e", "syscall(425, 1, 0)"])?;
    let place = tempfile::tempdir()?;
    let manifest = place.path().join("m.json");
    let recorded = outcome(&mut slim(&["record", container.name(), "-o", &manifest.to_string_lossy()])?)?;
    expect(&recorded, 4, &["incomplete: io_uring was used"])?;
    let manifest = read_json(&manifest)?;
    let complete = manifest["recordings"].as_object().and_then(|all| all.values().next());
    ensure!(complete.is_some_and(|recording| recording["complete"] == false), "{manifest}");
    Ok(())
}

#[test]
fn a_cgroup_that_is_none_is_told_where_to_look() -> Result<()> {
    refused(&mut slim(&["record", "--cgroup", "/no/such/cgroup"])?, 1, &["no such cgroup /no/such/cgroup"])?;
    refused(&mut slim(&["record", "--cgroup", "/etc"])?, 1, &["/etc is not a cgroup of the v2 hierarchy"])
        .map(drop)
}
