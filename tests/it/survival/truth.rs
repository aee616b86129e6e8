//! What a profile says, beside what happened.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use slim_tests::{Daemon, wait_until};

use super::load::{Done, Load, Short};

/// What a profile says.
pub struct Profile(Value);

/// Asks a daemon for JSON.
pub fn asked(daemon: &Daemon, path: &str) -> Result<Value> {
    let (status, body) = daemon.curl(&[], path, &[])?;
    ensure!(status == 200, "{path}: {status}: {body}");
    serde_json::from_str(&body).with_context(|| format!("{path} is not JSON: {body}"))
}

impl Profile {
    /// Of a profile now.
    pub fn now(daemon: &Daemon, name: &str) -> Result<Self> {
        asked(daemon, &format!("/v1/profiles/{name}/manifest")).map(Self)
    }

    /// Of a profile whose containers have ended, when as many recordings as expected are in it.
    pub fn when_idle(daemon: &Daemon, name: &str, recordings: usize) -> Result<Self> {
        let path = format!("/v1/profiles/{name}");
        // A question costs the daemon a union; a directory costs it nothing, and is empty when all is in the profile. What
        // else starts on this host is there for a moment, too.
        let kept = daemon.state().join("recordings");
        let mut looks = 0;
        let idle = wait_until("all recordings have ended", || {
            looks += 1;
            let waits = fs::read_dir(&kept).is_ok_and(|mut entries| entries.next().is_some());
            if waits && looks % 200 != 0 {
                return Ok(false);
            }
            let (status, body) = daemon.curl(&[], &path, &[])?;
            let profile: Value = serde_json::from_str(&body).unwrap_or_default();
            let count = profile["recordings"].as_u64().unwrap_or_default();
            Ok(status == 200 && profile["state"] == "idle" && count >= recordings as u64)
        });
        let profile = Self::now(daemon, name)?;
        let found = profile.recordings().count();
        ensure!(idle.is_ok() && found == recordings, "{recordings} starts, {found} recordings");
        Ok(profile)
    }

    /// Whether a profile has, once its containers have ended, all that they did.
    pub fn has_all(daemon: &Daemon, name: &str, load: &Load, done: &Done, shorts: &[Short]) -> Result<()> {
        let compared = || -> Result<()> {
            let profile = Self::when_idle(daemon, name, shorts.len() + 1)?;
            profile.has(&done.paths)?;
            profile.has(&shorts.iter().map(|short| short.path.clone()).collect())?;
            profile.has_calls(&done.calls)?;
            let containers = shorts.iter().map(|short| short.container.id());
            profile.is_of(&containers.chain([load.container().id()]).collect())
        };
        compared().map_err(|error| error.context(daemon.log().unwrap_or_default()))
    }

    /// Its recordings.
    pub fn recordings(&self) -> impl Iterator<Item = &Value> {
        self.0["recordings"].as_object().into_iter().flat_map(|recordings| recordings.values())
    }

    /// An error unless it has all of these paths.
    pub fn has(&self, paths: &BTreeSet<String>) -> Result<()> {
        let missing: Vec<&String> = paths.iter().filter(|path| !self.has_path(path)).collect();
        ensure!(missing.is_empty(), "{} of {} paths are missing: {missing:?}", missing.len(), paths.len());
        Ok(())
    }

    /// Whether it has a path.
    pub fn has_path(&self, path: &str) -> bool {
        self.0["files"][path].is_object()
    }

    /// An error unless it has all of these system calls.
    pub fn has_calls(&self, calls: &BTreeSet<String>) -> Result<()> {
        let missing: Vec<&String> =
            calls.iter().filter(|call| !self.0["syscalls"]["x86_64"][call.as_str()].is_object()).collect();
        ensure!(missing.is_empty(), "system calls are missing: {missing:?}");
        Ok(())
    }

    /// An error unless there is one recording of each container, from its first instruction to its end, and no more.
    pub fn is_of(&self, containers: &BTreeSet<&str>) -> Result<()> {
        let mut starts: BTreeMap<&str, u32> = containers.iter().map(|id| (*id, 0)).collect();
        for recording in self.recordings() {
            let id = recording["container_id"].as_str().context("a recording names no container")?;
            *starts.get_mut(id).with_context(|| format!("{recording} is of no container"))? += 1;
            ensure!(
                recording["complete"] == true,
                "{}: {}",
                recording["container_name"],
                recording["incomplete"]
            );
            ensure!(recording["startup_observed"] == true, "{recording}");
        }
        let wrong: Vec<_> = starts.iter().filter(|(_, count)| **count != 1).collect();
        ensure!(wrong.is_empty(), "not recorded once: {wrong:?}");
        Ok(())
    }
}
