//! The Docker engine, through its command line.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

use crate::command::output;

/// The image that the corpus is built on, for tests that need no more than a shell.
pub const BASE: &str = "debian:bookworm-slim";

/// Runs `docker` with `args`; its standard output.
pub fn docker(args: &[&str]) -> Result<String> {
    output(Command::new("docker").args(args))
        .context("tests need a Docker engine and root: cargo xtask setup")
}

/// A name that no other test, and no other run of the tests, uses.
pub fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("slim-test-{what}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Bytes of an image, as the engine counts them.
pub fn image_size(image: &str) -> Result<u64> {
    let size = docker(&["image", "inspect", "--format", "{{.Size}}", image])?;
    size.parse().with_context(|| format!("the engine gives {image} the size {size:?}"))
}

/// A tag for an image that a test makes; image and tag are removed when this goes out of scope.
#[derive(Debug)]
pub struct Tag {
    name: String,
}

impl Tag {
    /// A unique `name:tag`, that no image has yet.
    pub fn new(what: &str) -> Self {
        Self { name: format!("{}:slim", unique(what)) }
    }

    /// This very `name:tag`, which nothing else may use.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned() }
    }

    /// `name:tag`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Tag {
    fn drop(&mut self) {
        // It may not exist: the test may have failed before, or expect that it does not come to be.
        let _absent = Command::new("docker").args(["image", "rm", "--force", &self.name]).output();
    }
}
