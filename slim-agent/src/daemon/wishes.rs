//! What was asked for by hand, against the rules: it holds for a container, across its restarts and the daemon's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::rules::ProfileName;
use crate::manifest::io;

/// Containers that are remembered at most; the engine reuses no id, so old ones are of no use.
const MOST: usize = 4096;

/// The wishes, by full container id.
#[derive(Debug, Default)]
pub struct Wishes {
    path: PathBuf,
    wishes: Written,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// Container -> the profile that it is recorded for.
    start: BTreeMap<String, ProfileName>,
    /// Containers that are not recorded.
    stop: BTreeSet<String>,
}

impl Wishes {
    /// Reads them.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(path: PathBuf) -> Result<Self> {
        let wishes = match fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).with_context(|| format!("cannot use {}", path.display()))?
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Written::default(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        Ok(Self { path, wishes })
    }

    /// The profile that a container is to be recorded for, whatever the rules say.
    pub fn started(&self, container: &str) -> Option<&ProfileName> {
        self.wishes.start.get(container)
    }

    /// Whether a container is not to be recorded, whatever the rules say.
    pub fn is_stopped(&self, container: &str) -> bool {
        self.wishes.stop.contains(container)
    }

    /// Notes that a container is to be recorded.
    ///
    /// # Errors
    /// The disk does not take the note; it holds until the daemon ends.
    pub fn start(&mut self, container: &str, profile: ProfileName) -> Result<()> {
        self.wishes.stop.remove(container);
        self.wishes.start.insert(container.to_owned(), profile);
        while self.wishes.start.len() > MOST {
            self.wishes.start.pop_first();
        }
        self.write()
    }

    /// Notes that a container is not to be recorded.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn stop(&mut self, container: &str) -> Result<()> {
        self.wishes.start.remove(container);
        self.wishes.stop.insert(container.to_owned());
        while self.wishes.stop.len() > MOST {
            self.wishes.stop.pop_first();
        }
        self.write()
    }

    fn write(&self) -> Result<()> {
        io::write(&self.path, &serde_json::to_vec_pretty(&self.wishes).context("cannot serialise wishes")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_wish_for_a_container_holds_and_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wishes.json");
        let mut wishes = Wishes::read(path.clone()).unwrap();
        wishes.start("a", "web".to_owned().try_into().unwrap()).unwrap();
        wishes.stop("a").unwrap();
        wishes.start("b", "web".to_owned().try_into().unwrap()).unwrap();
        let again = Wishes::read(path).unwrap();
        assert!(again.is_stopped("a") && again.started("a").is_none());
        assert_eq!(again.started("b").map(ProfileName::as_str), Some("web"));
    }
}
