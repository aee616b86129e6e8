//! Ground truth for recordings: the programs of `tests/programs`, what their comments say must be seen of them, and
//! how that compares with a manifest. `tests/programs/README.md` has the grammar.

mod build;
mod check;
mod claims;
mod directive;
mod jail;
mod kernel;
mod laid;
mod names;
mod run;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub use build::compile;
pub use check::{Verdict, check};
pub use directive::{Build, Claim, Item, Oddity, What};
pub use laid::{lay_down, read_laid_down, write_archive};
pub use names::Bytes;
pub use run::{Recorded, conduct, in_container, in_jail};

/// Where the programs lie in an image.
const HOME: &str = "/odd";
/// The program that runs the others.
const DRIVER: &str = "driver";

/// Where the sources are.
pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("programs")
}

/// Every program of `tests/programs`, by name.
///
/// # Errors
/// A source cannot be read, or a directive is not understood.
pub fn all() -> Result<Vec<Oddity>> {
    read_directory(&sources())
}

/// Every program whose source is directly in `directory`, by name.
fn read_directory(directory: &Path) -> Result<Vec<Oddity>> {
    let entries =
        std::fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("cannot list {}", directory.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "c") {
            found.push(Oddity::read(&path)?);
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}
