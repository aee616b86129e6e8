//! A slim image and its profile, made from one manifest.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::job::Job;
use crate::docker::{Container, docker, image_size};
use crate::process;
use crate::recording::{allowed_syscalls, read_json};

/// A slim image; its tag goes with this.
pub struct Slim {
    tag: String,
    profile: PathBuf,
    took: Duration,
}

impl Slim {
    /// Exports image and profile; `which` tells it from others of the same application, `options` say what else the image
    /// keeps.
    pub fn export(job: &Job<'_>, manifest: &Path, which: &str, options: &[&str]) -> Result<Self> {
        let tag = format!("slim-table-{}/{}:{which}", std::process::id(), job.name);
        let profile = job.file(&format!("{which}.seccomp.json"));
        let began = Instant::now();
        let mut image = Command::new(job.agent);
        image.args(["export", "image", "--tag", &tag, "--explain"]);
        image.arg(job.file(&format!("{which}.plan.json"))).args(options);
        process::output(image.arg(manifest))?;
        let slim = Self { tag, profile, took: began.elapsed() };
        let mut seccomp = Command::new(job.agent);
        process::output(seccomp.args(["export", "seccomp", "-o"]).arg(&slim.profile).arg(manifest))?;
        Ok(slim)
    }

    /// Creates a container of it, under its profile.
    pub fn create(&self) -> Result<Container> {
        let profile = format!("seccomp={}", self.profile.display());
        Container::create(&self.tag, "table-slim", &["--security-opt", &profile])
    }

    /// The image's tag.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The image's size.
    pub fn bytes(&self) -> Result<u64> {
        image_size(&self.tag)
    }

    /// The system calls that the profile allows.
    pub fn allowed(&self) -> Result<BTreeSet<String>> {
        read_json(&self.profile).map(|profile| allowed_syscalls(&profile))
    }

    /// What the export of the image took.
    pub fn took(&self) -> Duration {
        self.took
    }
}

impl Drop for Slim {
    fn drop(&mut self) {
        if let Err(error) = process::run(docker(&["image", "rm", "--force", &self.tag]).stdout(Stdio::null()))
        {
            eprintln!("warning: {error:#}");
        }
    }
}
