//! What the programs' comments say, against what a manifest says: nothing missing, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::Value;

use super::directive::{Build, Oddity, What};
use super::names::Bytes;
use super::{DRIVER, HOME};
use crate::manifest::{Manifest, words};

/// What came of one program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The manifest has all that it must have, and nothing else.
    Passed,
    /// The kernel cannot do what the program does: it needs this version.
    Absent(String),
    /// What is wrong, a line each.
    Failed(Vec<String>),
}

/// A use and what was used: a path or an address, by its full name.
type Fact = (String, Bytes);

/// What is in the manifest by one name.
struct Entry {
    name: Bytes,
    uses: BTreeSet<String>,
    /// The programs, by their place in the list, that it belongs to.
    owners: BTreeSet<usize>,
    /// Whether somebody else used it, too: the driver, or a runtime.
    shared: bool,
}

/// Compares each program's claims with the manifest, and the rest of the manifest with nothing: that comes last, under
/// the name of the driver.
///
/// # Errors
/// The manifest does not have the form of one.
pub fn check(oddities: &[&Oddity], manifest: &Manifest, tier: &str) -> Result<Vec<Vec<String>>> {
    let files = entries(oddities, manifest.files())?;
    let sockets = entries(oddities, manifest.sockets())?;
    let claims: Vec<Claims<'_>> = oddities.iter().map(|oddity| Claims::of(oddity, tier)).collect();
    let mut faults: Vec<Vec<String>> = (0..oddities.len())
        .map(|index| {
            let mut found = differences(index, &claims, &files, |claims| &claims.files);
            found.extend(differences(index, &claims, &sockets, |claims| &claims.sockets));
            found
        })
        .collect();
    for (index, claims) in claims.iter().enumerate() {
        faults[index].extend(calls_missing(claims, manifest));
        faults[index].extend(
            claims.partial.iter().filter(|word| !reasons(manifest).any(|why| why.contains(**word))).map(
                |word| {
                    format!(
                        "expected a recording that is not complete because of {word}, found {:?}",
                        reasons(manifest).collect::<Vec<_>>()
                    )
                },
            ),
        );
    }
    faults.push(rest(&claims, &files, &sockets, manifest));
    Ok(faults)
}

/// What one program claims.
#[derive(Default)]
struct Claims<'a> {
    files: BTreeSet<Fact>,
    sockets: BTreeSet<Fact>,
    calls: BTreeSet<(&'a str, &'a str)>,
    partial: BTreeSet<&'a str>,
}

impl<'a> Claims<'a> {
    fn of(oddity: &'a Oddity, tier: &'a str) -> Self {
        let mut claims = Self::default();
        claims.files.insert(("exec".to_owned(), Bytes::from(oddity.executable().as_str())));
        if oddity.build == Build::Static {
            // The C library asks where it lies.
            claims.files.insert(("readlink".to_owned(), Bytes::from("/proc/self/exe")));
        }
        for what in oddity.claims_for(tier) {
            match what {
                What::Use(usage, path) => drop(claims.files.insert((usage.clone(), path.clone()))),
                What::Socket(usage, address) => drop(claims.sockets.insert((usage.clone(), address.clone()))),
                What::Syscalls(abi, calls) => {
                    claims.calls.extend(calls.iter().map(|call| (abi.as_str(), call.as_str())))
                }
                What::Partial(word) => drop(claims.partial.insert(word)),
            }
        }
        claims
    }
}

fn entries<'a>(
    oddities: &[&Oddity],
    part: impl Iterator<Item = (&'a String, &'a Value)>,
) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    for (spelling, entry) in part {
        let phases = words(&entry["phases"]);
        if !phases.contains("app") {
            continue;
        }
        let name = Bytes::spelled(spelling).context("in the manifest")?;
        let by = words(&entry["by"]).into_iter().map(Bytes::spelled).collect::<Result<Vec<_>>>()?;
        let place = name.0.strip_prefix(b"unix ").map_or_else(|| name.clone(), |path| Bytes(path.to_vec()));
        let within =
            |home: &str| place.is_within(home) || by.iter().any(|executable| executable.is_within(home));
        let owners = oddities.iter().enumerate().filter(|(_, oddity)| within(&oddity.home()));
        let owners = owners.map(|(index, _)| index).collect();
        let shared = phases.len() > 1 || within(&format!("{HOME}/{DRIVER}"));
        let uses = words(&entry["uses"]).into_iter().map(str::to_owned).collect();
        found.push(Entry { name, uses, owners, shared });
    }
    Ok(found)
}

/// What one program claims and the manifest lacks, and the other way round.
fn differences(
    index: usize,
    all: &[Claims<'_>],
    entries: &[Entry],
    part: impl for<'a> Fn(&'a Claims<'_>) -> &'a BTreeSet<Fact>,
) -> Vec<String> {
    let mut expected: BTreeMap<&Bytes, BTreeSet<&str>> = BTreeMap::new();
    for (usage, name) in part(&all[index]) {
        expected.entry(name).or_default().insert(usage);
    }
    let mut faults = Vec::new();
    for entry in entries.iter().filter(|entry| entry.owners.contains(&index)) {
        let wanted = expected.remove(&entry.name).unwrap_or_default();
        let of_others: BTreeSet<&str> = entry
            .owners
            .iter()
            .filter(|owner| **owner != index)
            .flat_map(|owner| part(&all[*owner]))
            .filter(|(_, name)| *name == entry.name)
            .map(|(usage, _)| usage.as_str())
            .collect();
        let found: BTreeSet<&str> = entry.uses.iter().map(String::as_str).collect();
        let allowed = |usage: &&&str| wanted.contains(**usage) || of_others.contains(**usage);
        let foreign = !wanted.is_empty() && entry.shared;
        let surplus = !foreign && found.iter().any(|usage| !allowed(&usage));
        // By whom a path was used is known, but not as what: somebody else's uses count only where this one has its own.
        let nothing_of_its_own = wanted.is_empty();
        if !wanted.is_subset(&found) || surplus || nothing_of_its_own {
            faults.push(format!("{}: expected {wanted:?}, found {found:?}", entry.name));
        }
    }
    let missing =
        expected.into_iter().map(|(name, wanted)| format!("{name}: expected {wanted:?}, found nothing"));
    faults.extend(missing);
    faults
}

fn calls_missing(claims: &Claims<'_>, manifest: &Manifest) -> Vec<String> {
    let seen = |(abi, call): &(&str, &str)| manifest.calls(abi).contains(call);
    let missing = claims.calls.iter().filter(|call| !seen(call));
    missing
        .map(|(abi, call)| format!("expected the call {call} of {abi}, found {:?}", manifest.calls(abi)))
        .collect()
}

fn reasons(manifest: &Manifest) -> impl Iterator<Item = &str> {
    let recording = manifest.recording().ok();
    recording.map(|recording| words(&recording["incomplete"])).unwrap_or_default().into_iter()
}

/// Whether it is what the driver itself does: in a jail it runs, in its root, before the recording begins.
fn is_drivers(entry: &Entry) -> bool {
    let only = |usage: &str| entry.uses.iter().all(|found| found == usage);
    match entry.name.0.as_slice() {
        b"/odd/driver/driver" => true,
        b"/proc/self/exe" => entry.shared && only("readlink"),
        b"/" => entry.shared && only("held"),
        _ => false,
    }
}

/// What is in the manifest and belongs to no program.
fn rest(claims: &[Claims<'_>], files: &[Entry], sockets: &[Entry], manifest: &Manifest) -> Vec<String> {
    let nobodys = |entry: &&Entry| entry.owners.is_empty() && !is_drivers(entry);
    let unclaimed = files.iter().chain(sockets).filter(nobodys);
    let mut faults: Vec<String> =
        unclaimed.map(|entry| format!("{}: expected nothing, found {:?}", entry.name, entry.uses)).collect();
    for abi in manifest.abis().filter(|abi| *abi != "x86_64") {
        let claimed = |call: &&str| claims.iter().any(|claims| claims.calls.contains(&(abi, *call)));
        let calls = manifest.calls(abi);
        faults.extend(
            calls
                .iter()
                .filter(|call| !claimed(call))
                .map(|call| format!("call {call} of {abi}: expected by no program")),
        );
    }
    let claimed =
        |why: &&str| claims.iter().flat_map(|claims| &claims.partial).any(|word| why.contains(word));
    faults.extend(reasons(manifest).filter(|why| !claimed(why)).map(|why| format!("not complete: {why}")));
    faults.extend(manifest.accounted().err().map(|error| format!("{error:#}")));
    faults
}
