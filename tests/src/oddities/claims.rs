//! What a program claims of a recording, sorted by what it is compared with.

use std::collections::{BTreeMap, BTreeSet};

use super::directive::{Build, Oddity, What};
use super::names::Bytes;
use crate::manifest::Manifest;

/// Uses by what was used: a path or an address, by its full name.
pub type Facts = BTreeMap<Bytes, BTreeSet<String>>;

/// What one program claims.
#[derive(Debug, Default)]
pub struct Claims<'a> {
    /// Paths.
    pub files: Facts,
    /// Socket addresses.
    pub sockets: Facts,
    /// Protocols of socket addresses.
    pub protocols: Facts,
    /// Capabilities that it has.
    pub capabilities: BTreeSet<&'a str>,
    /// Capabilities that it lacks.
    pub lacks: BTreeSet<&'a str>,
    /// ABIs and their calls.
    pub calls: BTreeSet<(&'a str, &'a str)>,
    /// Words of reasons why the recording is not complete.
    pub partial: BTreeSet<&'a str>,
}

impl<'a> Claims<'a> {
    /// What it claims of a recording with the hooks of `tier`.
    pub fn of(oddity: &'a Oddity, tier: &'a str) -> Self {
        let mut claims = Self::default();
        add(&mut claims.files, "exec", &oddity.executable().as_str().into());
        if oddity.build == Build::Static {
            // The C library asks where it lies.
            add(&mut claims.files, "readlink", &"/proc/self/exe".into());
        }
        for what in oddity.claims_for(tier) {
            match what {
                What::Use(usage, path) => add(&mut claims.files, usage, path),
                What::Socket(usage, address) => add(&mut claims.sockets, usage, address),
                What::Protocol(protocol, address) => add(&mut claims.protocols, protocol, address),
                What::Capability(name) => drop(claims.capabilities.insert(name)),
                What::Lacks(name) => drop(claims.lacks.insert(name)),
                What::Syscalls(abi, calls) => {
                    claims.calls.extend(calls.iter().map(|call| (abi.as_str(), call.as_str())));
                }
                What::Partial(word) => drop(claims.partial.insert(word)),
            }
        }
        claims
    }

    /// The calls and reasons that it claims and the manifest lacks.
    pub fn missing(&self, manifest: &Manifest) -> Vec<String> {
        let calls = self.calls.iter().filter(|(abi, call)| !manifest.calls(abi).contains(call));
        let calls = calls.map(|(abi, call)| {
            format!("call {call} of {abi}: expected, found only {:?}", manifest.calls(abi))
        });
        let reasons = manifest.reasons();
        let partial = self.partial.iter().filter(|word| !reasons.iter().any(|why| why.contains(**word)));
        let partial =
            partial.map(|word| format!("expected not to be complete because of {word}, found {reasons:?}"));
        calls.chain(partial).collect()
    }
}

fn add(facts: &mut Facts, usage: &str, name: &Bytes) {
    facts.entry(name.clone()).or_default().insert(usage.to_owned());
}
