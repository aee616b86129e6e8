//! A manifest as a reader of its JSON sees it.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::agent::read_json;

/// What `hits` of a hook must be the sum of.
const OUTCOMES: [&str; 8] =
    ["filtered", "duplicate", "sent", "deferred", "ring_full", "seen_full", "truncated", "unreadable"];

/// The manifest of one recording.
#[derive(Debug)]
pub struct Manifest(Value);

impl Manifest {
    /// Reads a manifest; one that breaks off, or lacks a part, is an error.
    pub fn read(path: &Path) -> Result<Self> {
        let manifest = Self(read_json(path)?);
        ensure!(manifest.0["schema"] == "slim-agent/manifest/1", "{} is no manifest", path.display());
        for part in ["recordings", "files", "sockets", "syscalls"] {
            ensure!(manifest.0[part].is_object(), "{} has no {part}", path.display());
        }
        manifest.accounted_for().with_context(|| format!("in {}", path.display()))?;
        Ok(manifest)
    }

    /// Its only recording.
    pub fn recording(&self) -> Result<&Value> {
        match self.part("recordings").map(|(_, recording)| recording).collect::<Vec<_>>()[..] {
            [one] => Ok(one),
            ref all => bail!("expected one recording, found {}", all.len()),
        }
    }

    /// What was done with a path; nothing when the manifest does not have it.
    pub fn uses(&self, path: &str) -> BTreeSet<&str> {
        words(&self.0["files"][path]["uses"])
    }

    /// In which phases a path was used.
    pub fn phases(&self, path: &str) -> BTreeSet<&str> {
        words(&self.0["files"][path]["phases"])
    }

    /// Which executables used a path.
    pub fn by(&self, path: &str) -> BTreeSet<&str> {
        words(&self.0["files"][path]["by"])
    }

    /// Where a path lies.
    pub fn origin(&self, path: &str) -> &str {
        self.0["files"][path]["origin"].as_str().unwrap_or_default()
    }

    /// What was done with a socket address.
    pub fn socket(&self, address: &str) -> BTreeSet<&str> {
        words(&self.0["sockets"][address]["uses"])
    }

    /// What was spoken at a socket address.
    pub fn protocols(&self, address: &str) -> BTreeSet<&str> {
        words(&self.0["sockets"][address]["protocols"])
    }

    /// Whether it was recorded which capabilities are needed.
    pub fn measured_capabilities(&self) -> Result<bool> {
        Ok(self.recording()?["hooks"]["cap_capable"].is_string())
    }

    /// Every capability with all that is known of it.
    pub fn capabilities(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.part("capabilities")
    }

    /// In which phases a capability was there when it was asked for.
    pub fn capability_phases(&self, name: &str) -> BTreeSet<&str> {
        words(&self.0["capabilities"][name]["phases"])
    }

    /// In which phases a capability was asked for in vain.
    pub fn lacked_phases(&self, name: &str) -> BTreeSet<&str> {
        words(&self.0["capabilities"][name]["refused"])
    }

    /// Every socket address.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        self.part("sockets").map(|(address, _)| address.as_str())
    }

    /// In which phases a system call was made, whatever the ABI.
    pub fn syscall_phases(&self, name: &str) -> BTreeSet<&str> {
        self.part("syscalls").flat_map(|(_, calls)| words(&calls[name]["phases"])).collect()
    }

    /// Every path that was used.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.part("files").map(|(path, _)| path.as_str())
    }

    /// Every path with all that is known of it.
    pub fn files(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.part("files")
    }

    /// Every socket address with all that is known of it.
    pub fn sockets(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.part("sockets")
    }

    /// The ABIs that calls were made by.
    pub fn abis(&self) -> impl Iterator<Item = &str> {
        self.part("syscalls").map(|(abi, _)| abi.as_str())
    }

    /// The calls of one ABI that the application made.
    pub fn calls(&self, abi: &str) -> BTreeSet<&str> {
        let calls = self.0["syscalls"][abi].as_object().into_iter().flatten();
        calls
            .filter(|(_, call)| words(&call["phases"]).contains("app"))
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// Why the recording is not complete.
    pub fn reasons(&self) -> BTreeSet<&str> {
        self.recording().map(|recording| words(&recording["incomplete"])).unwrap_or_default()
    }

    /// Which hooks served the recording: `base`, or the tier beyond it.
    pub fn tier(&self) -> Result<&str> {
        let hooks = self.recording()?["hooks"].as_object().context("the manifest names no hooks")?;
        let beyond = hooks.values().filter_map(Value::as_str).any(|tier| tier == "fentry" || tier == "fexit");
        Ok(if beyond { "fentry" } else { "base" })
    }

    /// How often a hook had an outcome.
    pub fn count(&self, hook: &str, outcome: &str) -> Result<u64> {
        let count = self.recording()?["counters"][hook][outcome].as_u64();
        count.with_context(|| format!("the manifest does not count {outcome} of {hook}"))
    }

    /// An error unless start-up was observed, nothing was lost, and every call is accounted for.
    pub fn whole(&self) -> Result<()> {
        let recording = self.recording()?;
        ensure!(recording["startup_observed"] == true, "start-up was not observed");
        ensure!(self.count("sched_process_exec", "sent")? > 0, "no program was seen");
        self.lossless()
    }

    /// An error unless nothing was lost and every call is accounted for.
    pub fn lossless(&self) -> Result<()> {
        let recording = self.recording()?;
        ensure!(recording["complete"] == true, "not complete: {}", recording["incomplete"]);
        self.lost_nothing()
    }

    /// An error unless nothing that a hook saw was lost.
    pub fn lost_nothing(&self) -> Result<()> {
        let recording = self.recording()?;
        for hook in recording["counters"].as_object().into_iter().flat_map(|hooks| hooks.keys()) {
            for loss in ["ring_full", "seen_full", "truncated", "unreadable"] {
                ensure!(self.count(hook, loss)? == 0, "{hook}: {loss} is not 0");
            }
        }
        Ok(())
    }

    /// An error unless every call is accounted for, and what is not complete says why.
    fn accounted_for(&self) -> Result<()> {
        let recording = self.recording()?;
        let hooks = recording["counters"].as_object().context("the manifest has no counters")?;
        ensure!(!hooks.is_empty(), "no hook counts");
        for hook in hooks.keys() {
            let sum = OUTCOMES.iter().map(|outcome| self.count(hook, outcome)).sum::<Result<u64>>()?;
            let hits = self.count(hook, "hits")?;
            ensure!(hits == sum, "{hook}: {hits} hits, {sum} outcomes");
        }
        let reasons = recording["incomplete"].as_array().context("the manifest gives no reasons")?;
        ensure!(reasons.is_empty() == (recording["complete"] == true), "complete: {reasons:?}");
        Ok(())
    }

    fn part(&self, name: &str) -> impl Iterator<Item = (&String, &Value)> {
        self.0[name].as_object().into_iter().flatten()
    }
}

/// The texts of a list.
pub(crate) fn words(list: &Value) -> BTreeSet<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}
