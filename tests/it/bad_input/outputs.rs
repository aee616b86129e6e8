//! Places that cannot be written to: noticed before the recording where that is possible, and nothing is lost.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use slim_tests::{
    Container, SmallDisk, Tag, docker, expect, manifest, outcome, read_json, refused, write_json,
};

use super::{BASE, slim, slim_after};

fn never_started(container: &Container) -> Result<()> {
    let status = container.inspect()?["State"]["Status"].clone();
    ensure!(status == "created", "the container was started although its manifest has no place: {status}");
    Ok(())
}

#[test]
fn a_tag_that_no_engine_takes_is_wrong_usage() -> Result<()> {
    for tag in ["Not Valid:x", "app:", "app@sha256:00"] {
        refused(
            &mut slim(&["export", "image", "m.json", "--tag", tag])?,
            2,
            &["is not an image name", "app:slim"],
        )?;
    }
    Ok(())
}

#[test]
fn a_place_that_cannot_be_written_is_noticed_before_the_container_starts() -> Result<()> {
    let container = Container::create(BASE, &[], &["true"])?;
    let place = tempfile::tempdir()?;
    fs::write(place.path().join("file"), "")?;
    let below = |name: &str| place.path().join(name).to_string_lossy().into_owned();
    let cases = [
        (below("missing/m.json"), "No such file or directory"),
        (below("file/m.json"), "Not a directory"),
        (below("."), "it is a directory"),
        ("/proc/m.json".to_owned(), "cannot write into directory /proc"),
    ];
    for (output, word) in cases {
        refused(&mut slim(&["record", container.name(), "-o", &output])?, 1, &["cannot write", word])?;
    }
    let read_only = format!("mount --bind -o ro '{0}' '{0}'", place.path().display());
    let mut agent = slim_after(&read_only, &["record", container.name(), "-o", &below("m.json")])?;
    refused(&mut agent, 1, &["cannot write into directory", "Read-only file system"])?;
    never_started(&container)
}

#[test]
fn no_command_half_writes_a_result_into_a_place_that_is_missing() -> Result<()> {
    let place = tempfile::tempdir()?;
    let image = docker(&["image", "inspect", "--format", "{{.Id}}", BASE])?;
    let path = write_json(place.path(), "m.json", &manifest(&image, &["/bin/true"]))?;
    let path = path.to_string_lossy();
    let missing = place.path().join("missing/result.json").to_string_lossy().into_owned();
    let tag = Tag::new("missing");
    let commands: [&[&str]; 4] = [
        &["merge", &path, "-o", &missing],
        &["export", "seccomp", &path, "-o", &missing],
        &["export", "seccomp", &path, "-o", "/dev/null", "--explain", &missing],
        &["export", "image", &path, "--tag", tag.name(), "--explain", &missing],
    ];
    for command in commands {
        let said =
            refused(&mut slim(command)?, 1, &["cannot write", "missing", "No such file or directory"])?;
        ensure!(!said.stderr.contains(".slim-agent-"), "a temporary name is shown: {}", said.stderr);
    }
    ensure!(docker(&["image", "inspect", tag.name()]).is_err(), "the image was loaded all the same");
    Ok(())
}

#[test]
fn a_full_disk_is_noticed_before_the_container_starts() -> Result<()> {
    let container = Container::create(BASE, &[], &["true"])?;
    let disk = SmallDisk::new(64)?;
    disk.fill()?;
    let output = disk.path().join("m.json");
    let mut agent = slim(&["record", container.name(), "-o", &output.to_string_lossy()])?;
    refused(&mut agent, 1, &["cannot write into directory", "No space left on device"])?;
    never_started(&container)
}

#[test]
fn a_disk_that_fills_up_during_the_recording_loses_neither_the_old_manifest_nor_the_new() -> Result<()> {
    let container = Container::create(BASE, &[], &["sh", "-c", "cat /etc/debian_version; exec sleep 600"])?;
    let disk = SmallDisk::new(4096)?;
    let place = tempfile::tempdir()?;
    let output = disk.path().join("m.json");
    fs::write(&output, "the old one")?;
    let filling = disk.path().join("filling");
    let mut agent = slim(&["record", container.name(), "-o", &output.to_string_lossy(), "--"])?;
    agent.args(["sh", "-c", "cat /dev/zero > \"$0\" 2>&-; true"]).arg(&filling).env("TMPDIR", place.path());
    let said = refused(&mut agent, 1, &["No space left on device", "the manifest was saved as "])?;
    ensure!(fs::read_to_string(&output)? == "the old one");
    let saved = said.stderr.split("saved as ").nth(1).and_then(|rest| rest.split(" instead").next());
    let saved = Path::new(saved.context("no path is named")?);
    ensure!(saved.starts_with(place.path()), "{}", saved.display());
    ensure!(read_json(saved)?["files"]["/etc/debian_version"].is_object());
    Ok(())
}

#[test]
fn an_export_without_room_for_its_work_names_the_directory_and_the_way_out() -> Result<()> {
    let disk = SmallDisk::new(64)?;
    let place = tempfile::tempdir()?;
    let image = docker(&["image", "inspect", "--format", "{{.Id}}", BASE])?;
    let path = write_json(place.path(), "m.json", &manifest(&image, &["/bin/bash", "/usr/bin/perl"]))?;
    let tag = Tag::new("full");
    let path = path.to_string_lossy();
    let export = ["export", "image", &path, "--tag", tag.name()];
    let root = docker(&["info", "--format", "{{.DockerRootDir}}"])?;
    let unseen = format!("mount -t tmpfs none '{root}'");
    // Once from the layers in place, once from a saved archive.
    for mut agent in [slim(&export)?, slim_after(&unseen, &export)?] {
        agent.current_dir(place.path()).env("TMPDIR", disk.path());
        let directory = disk.path().to_string_lossy();
        refused(&mut agent, 1, &["No space left on device", &directory, "set TMPDIR"])?;
    }
    ensure!(docker(&["image", "inspect", tag.name()]).is_err(), "half an image was loaded");
    Ok(())
}

#[test]
fn standard_output_gets_the_manifest_and_nothing_else() -> Result<()> {
    let place = tempfile::tempdir()?;
    for name in ["-", "/dev/stdout"] {
        let container =
            Container::create(BASE, &[], &["sh", "-c", "cat /etc/debian_version; exec sleep 600"])?;
        // The file has been read once the shell is a sleep.
        let load =
            "until docker top $SLIM_CONTAINER_ID | grep -q 'sleep 600'; do sleep 0.02; done; echo chatter";
        let mut agent = slim(&["record", container.name(), "-o", name, "--", "sh", "-c", load])?;
        // A regular file: renaming something over /dev/stdout would be noticed by the whole host.
        let file = place.path().join("out.json");
        let recorded = outcome(agent.stdout(fs::File::create(&file)?));
        let recorded = recorded.or_else(|error| Err(error).context("cannot record"))?;
        expect(&recorded, 0, &["chatter"])?;
        ensure!(read_json(&file)?["files"]["/etc/debian_version"].is_object(), "{name} got no manifest");
        ensure!(Path::new("/dev/stdout").is_symlink(), "/dev/stdout was replaced");
    }
    Ok(())
}

#[test]
fn a_merge_to_standard_output_is_json_and_says_nothing() -> Result<()> {
    let place = tempfile::tempdir()?;
    let path = write_json(place.path(), "m.json", &manifest("sha256:aa", &["/etc/passwd"]))?;
    let merged = outcome(&mut slim(&["merge", &path.to_string_lossy()])?)?;
    expect(&merged, 0, &[])?;
    ensure!(merged.stderr.is_empty(), "{}", merged.stderr);
    let merged: Value = serde_json::from_str(&merged.stdout)?;
    ensure!(merged["files"]["/etc/passwd"].is_object());
    Ok(())
}
