//! The images of `tests/images`, and the suites that each has.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::output;
use crate::container::Container;
use crate::docker::docker;

/// One image of the corpus.
#[derive(Debug, Clone)]
pub struct Corpus {
    name: String,
}

/// The image `name` of the corpus; `cargo xtask images` must have built it.
pub fn corpus(name: &str) -> Result<Corpus> {
    let image = Corpus { name: name.to_owned() };
    docker(&["image", "inspect", "--format", "{{.Id}}", &image.tag()])
        .with_context(|| format!("the image {} is not built: cargo xtask images {name}", image.tag()))?;
    Ok(image)
}

impl Corpus {
    /// Its tag in the engine.
    pub fn tag(&self) -> String {
        format!("slim-test/{}:latest", self.name)
    }

    /// The program that checks a container of it, or of a slim image made from it: the COMMAND of a recording.
    ///
    /// It reads `SLIM_CONTAINER_IP`, waits until the container serves, prints a line for each case, and exits with 1
    /// when any failed.
    pub fn check_program(&self) -> PathBuf {
        self.file("check")
    }

    /// What its suite A sends: a benchmark where it has one, else its check.
    pub fn suite_a(&self) -> PathBuf {
        let benchmark = self.file("suite-a");
        if benchmark.exists() { benchmark } else { self.check_program() }
    }

    /// What is asked of it besides.
    pub fn suite_b(&self) -> PathBuf {
        self.file("suite-b")
    }

    /// Checks a running container.
    pub fn check(&self, container: &Container) -> Result<()> {
        self.passes(&self.check_program(), container)
    }

    /// Runs one of these programs against a running container.
    pub fn passes(&self, suite: &Path, container: &Container) -> Result<()> {
        let checked = output(Command::new(suite).env("SLIM_CONTAINER_IP", container.ip()?));
        checked.map(drop).with_context(|| {
            let logs = container.logs().unwrap_or_else(|error| error.to_string());
            format!("{} fails {}; it logged:\n{logs}", container.name(), suite.display())
        })
    }

    fn file(&self, name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("images").join(&self.name).join(name)
    }
}
