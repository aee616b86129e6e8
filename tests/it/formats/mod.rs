//! Every form in which an image leaves is read by the tools of others, and is the same image.

mod dockerfile;
mod layers;
mod outputs;
mod registry;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use slim_tests::{Outcome, Tag, agent, docker, manifest, outcome, write_json};

/// `slim-agent export image MANIFEST OPTIONS`, with its explanation thrown away.
fn export(manifest: &Path, options: &[&str]) -> Result<Command> {
    let mut command = agent()?;
    command.args(["export", "image", "--explain", "/dev/null"]).args(options).arg(manifest);
    Ok(command)
}

fn exported(manifest: &Path, options: &[&str]) -> Result<Outcome> {
    outcome(&mut export(manifest, options)?)
}

fn id(image: &str) -> Result<String> {
    docker(&["image", "inspect", "--format", "{{.Id}}", image])
}

/// The digests of an image's layers, lowest first.
fn layers(image: &str) -> Result<Vec<String>> {
    let text = docker(&["image", "inspect", "--format", "{{join .RootFS.Layers \" \"}}", image])?;
    Ok(text.split(' ').map(str::to_owned).collect())
}

/// An image of these Dockerfile lines.
fn built(what: &str, lines: &str) -> Result<Tag> {
    let (place, image) = (tempfile::tempdir()?, Tag::new(what));
    fs::write(place.path().join("Dockerfile"), lines)?;
    docker(&["build", "--quiet", "--tag", image.name(), &place.path().to_string_lossy()])?;
    Ok(image)
}

/// A manifest that keeps these paths of an image, and the C library that its programs need.
fn keeping(place: &Path, image: &str, paths: &[&str]) -> Result<PathBuf> {
    let library = format!("/lib/{}-linux-gnu/libc.so.6", std::env::consts::ARCH);
    write_json(place, "m.json", &manifest(&id(image)?, &[paths, &[library.as_str()]].concat()))
}

/// What a program prints when it is run in a container of an image.
fn prints(image: &str, command: &[&str], expected: &str) -> Result<()> {
    let found = docker(&[&["run", "--rm", "--network", "none", image], command].concat())?;
    ensure!(found == expected, "expected {expected:?}, found {found:?}");
    Ok(())
}
