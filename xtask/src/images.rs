//! `cargo xtask images`: the test images, from Debian packages.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::cargo::root;
use crate::docker::docker;
use crate::process::output;
use crate::{setup, style};

/// Options of `cargo xtask images`.
#[derive(clap::Args)]
pub struct Args {
    /// Only these; all of them without
    names: Vec<String>,
}

/// The verb.
pub fn run(args: &Args) -> Result<()> {
    setup::ensure()?;
    let names = if args.names.is_empty() { all()? } else { args.names.clone() };
    for name in &names {
        style::step(&format!("image {}", tag(name)), || build(name))?;
    }
    Ok(())
}

/// Builds every image.
pub fn build_all() -> Result<()> {
    all()?.iter().try_for_each(|name| build(name))
}

/// Builds one image; what has not changed comes from the engine's cache.
pub fn build(name: &str) -> Result<()> {
    let context = directory().join(name);
    let context = context.to_str().context("the workspace's path is not UTF-8")?;
    // The host's network, because a proxy or a mirror may be reachable from there alone.
    let mut words = vec!["build", "--quiet", "--network", "host"];
    for proxy in ["http_proxy", "https_proxy", "no_proxy"] {
        if std::env::var_os(proxy).is_some() {
            words.extend(["--build-arg", proxy]);
        }
    }
    let tag = tag(name);
    words.extend(["--tag", &tag, context]);
    output(&mut docker(&words)).map(drop).with_context(|| format!("cannot build the image {tag}"))
}

/// The name that tests know an image by.
pub fn tag(name: &str) -> String {
    format!("slim-test/{name}:latest")
}

/// The functional check of an image: it reads SLIM_CONTAINER_IP.
pub fn check_script(name: &str) -> PathBuf {
    directory().join(name).join("check")
}

/// The load that a recording of the image sees when its suites are compared: a benchmark where it has one, else its
/// check.
pub fn suite_a(name: &str) -> PathBuf {
    let own = directory().join(name).join("suite-a");
    if own.exists() { own } else { check_script(name) }
}

/// What is asked of the image besides.
pub fn suite_b(name: &str) -> PathBuf {
    directory().join(name).join("suite-b")
}

fn directory() -> PathBuf {
    root().join("tests/images")
}

/// Every directory with a Dockerfile is an image.
fn all() -> Result<Vec<String>> {
    let directory = directory();
    let entries = fs::read_dir(&directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", directory.display()))?;
        if entry.path().join("Dockerfile").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
