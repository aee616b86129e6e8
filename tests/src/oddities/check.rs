//! What the programs' comments say, against what a manifest says: nothing missing, and nothing else.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::Value;

use super::claims::{Claims, Facts};
use super::directive::Oddity;
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

/// What is in the manifest by one name.
struct Entry {
    name: Bytes,
    uses: BTreeSet<String>,
    /// The programs, by their place in the list, that it belongs to.
    owners: BTreeSet<usize>,
    /// Whether somebody else used it, too: the driver, or a runtime.
    shared: bool,
}

/// What is wrong with each program, and, last, with what belongs to none of them.
///
/// # Errors
/// The manifest does not have the form of one.
pub fn check(oddities: &[&Oddity], manifest: &Manifest, tier: &str) -> Result<Vec<Vec<String>>> {
    let files = entries(oddities, manifest.files())?;
    let sockets = entries(oddities, manifest.sockets())?;
    let measured = manifest.measured_capabilities()?;
    let all: Vec<Claims<'_>> = oddities.iter().map(|oddity| Claims::of(oddity, tier)).collect();
    let faults_of = |index: usize| {
        let files = differences(index, &all, &files, |claims| &claims.files);
        let sockets = differences(index, &all, &sockets, |claims| &claims.sockets);
        let oddity = oddities[index];
        let capabilities = if measured { capabilities(oddity, &all[index], manifest) } else { Vec::new() };
        [files, sockets, protocols(oddity, &all[index], manifest), capabilities, all[index].missing(manifest)]
            .concat()
    };
    let mut faults: Vec<Vec<String>> = (0..oddities.len()).map(faults_of).collect();
    let unclaimed =
        files.iter().chain(&sockets).filter(|entry| entry.owners.is_empty() && !is_drivers(entry));
    let unclaimed =
        unclaimed.map(|entry| format!("{}: expected nothing, found {:?}", entry.name, entry.uses));
    faults.push(unclaimed.chain(surplus(&all, manifest)).collect());
    Ok(faults)
}

fn entries<'a>(
    oddities: &[&Oddity],
    part: impl Iterator<Item = (&'a String, &'a Value)>,
) -> Result<Vec<Entry>> {
    let used_by_application = part.filter(|(_, entry)| words(&entry["phases"]).contains("app"));
    used_by_application.map(|(spelling, entry)| entry_of(oddities, spelling, entry)).collect()
}

fn entry_of(oddities: &[&Oddity], spelling: &str, entry: &Value) -> Result<Entry> {
    let name = Bytes::spelled(spelling).context("in the manifest")?;
    let by = words(&entry["by"]).into_iter().map(Bytes::spelled).collect::<Result<Vec<_>>>()?;
    let place = name.0.strip_prefix(b"unix ").map_or_else(|| name.clone(), |path| Bytes(path.to_vec()));
    let belongs_to = |home: &str| [&place].into_iter().chain(&by).any(|path| path.is_within(home));
    let owners = (0..oddities.len()).filter(|index| belongs_to(&oddities[*index].home())).collect();
    let shared = words(&entry["phases"]).len() > 1 || belongs_to(&format!("{HOME}/{DRIVER}"));
    let uses = words(&entry["uses"]).into_iter().map(str::to_owned).collect();
    Ok(Entry { name, uses, owners, shared })
}

/// Where one program's claims and the manifest differ. By whom a path was used is known, but not by whom as what: of
/// a path that several programs use, a program answers for what none of them claims.
fn differences(
    index: usize,
    all: &[Claims<'_>],
    entries: &[Entry],
    part: impl for<'a> Fn(&'a Claims<'_>) -> &'a Facts,
) -> Vec<String> {
    let mut expected = part(&all[index]).clone();
    let mut faults = Vec::new();
    for entry in entries.iter().filter(|entry| entry.owners.contains(&index)) {
        let wanted = expected.remove(&entry.name).unwrap_or_default();
        let claims = entry.owners.iter().filter_map(|owner| part(&all[*owner]).get(&entry.name));
        let claimed: BTreeSet<&String> = claims.flatten().collect();
        let surplus = !entry.shared && entry.uses.iter().any(|usage| !claimed.contains(usage));
        if wanted.is_empty() || surplus || !wanted.is_subset(&entry.uses) {
            faults.push(format!("{}: expected {wanted:?}, found {:?}", entry.name, entry.uses));
        }
    }
    let missing = expected.iter().map(|(name, wanted)| format!("{name}: expected {wanted:?}, found nothing"));
    faults.extend(missing);
    faults
}

/// What was spoken where a program says what it speaks, and is not as it says. Others may speak at the same address.
fn protocols(oddity: &Oddity, claims: &Claims<'_>, manifest: &Manifest) -> Vec<String> {
    let mut faults = Vec::new();
    for (address, wanted) in &claims.protocols {
        let found = manifest.protocols(&address.to_string());
        if wanted.iter().any(|protocol| !found.contains(protocol.as_str())) {
            faults.push(format!("{address} of {}: expected {wanted:?}, found {found:?}", oddity.name));
        }
    }
    faults
}

/// Where the capabilities that a program had and lacked are not what it says. By whom one was lacked is not known.
fn capabilities(oddity: &Oddity, claims: &Claims<'_>, manifest: &Manifest) -> Vec<String> {
    // A jail has it and a container has not; setting up an io_uring asks for it.
    let by_place = |name: &String| name == "CAP_IPC_LOCK";
    let executable = oddity.executable();
    let found: BTreeSet<&str> = manifest
        .capabilities()
        .filter(|(name, _)| !by_place(name))
        .filter(|(_, entry)| words(&entry["by"]).contains(executable.as_str()))
        .map(|(name, _)| name.as_str())
        .collect();
    let differ = (found != claims.capabilities)
        .then(|| format!("capabilities: expected {:?}, found {found:?}", claims.capabilities));
    let lacks = claims.lacks.iter().filter(|name| !manifest.lacked_phases(name).contains("app"));
    let lacks = lacks.map(|name| format!("{name}: expected that it is lacked"));
    differ.into_iter().chain(lacks).collect()
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

/// Calls of other ABIs and losses that no program claims.
fn surplus(all: &[Claims<'_>], manifest: &Manifest) -> Vec<String> {
    let mut faults = Vec::new();
    for abi in manifest.abis().filter(|abi| *abi != "x86_64") {
        let claimed = |call: &&str| all.iter().any(|claims| claims.calls.contains(&(abi, *call)));
        let calls = manifest.calls(abi).into_iter().filter(|call| !claimed(call));
        faults.extend(calls.map(|call| format!("call {call} of {abi}: expected by no program")));
    }
    let claimed = |why: &&str| all.iter().flat_map(|claims| &claims.partial).any(|word| why.contains(word));
    // Every tier says of io_uring that it does not see all of it.
    let reasons = manifest.reasons().into_iter();
    let reasons = reasons.filter(|why| !(claimed(why) || why.contains("io_uring")));
    faults.extend(reasons.map(|why| format!("not complete: {why}")));
    faults.extend(manifest.lost_nothing().err().map(|error| format!("{error:#}")));
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::by_hand;

    /// The faults of a program `x` and of nobody, with these paths opened by it.
    fn faults(comment: &str, paths: &[(&str, &str)]) -> Vec<Vec<String>> {
        let oddity = Oddity::parse("x", &format!("/* X.\n * build: musl\n{comment}\n */")).unwrap();
        let names: Vec<&str> = paths.iter().map(|(path, _)| *path).chain(["/odd/x/x"]).collect();
        let mut manifest = by_hand::manifest("image", &names);
        manifest["files"]["/odd/x/x"]["uses"] = serde_json::json!(["exec"]);
        for (path, by) in paths {
            manifest["files"][path]["by"] = serde_json::json!([by]);
        }
        let place = tempfile::tempdir().unwrap();
        let path = by_hand::write_json(place.path(), "m.json", &manifest).unwrap();
        check(&[&oddity], &Manifest::read(&path).unwrap(), "base").unwrap()
    }

    #[test]
    fn what_is_claimed_and_nothing_else_passes() {
        let claims = " * expect: open data /etc/x";
        let paths = [("/odd/x/data", "/odd/x/x"), ("/etc/x", "/odd/x/x"), ("/odd/driver/driver", "")];
        assert_eq!(faults(claims, &paths), [Vec::<String>::new(), Vec::new()]);
    }

    #[test]
    fn what_is_missing_and_what_is_too_much_have_their_lines() {
        let found =
            faults(" * expect: open data", &[("/odd/x/other", ""), ("/etc/x", "/odd/x/x"), ("/etc/y", "")]);
        assert_eq!(found[0].len(), 3, "{found:?}");
        assert_eq!(found[1], ["/etc/y: expected nothing, found {\"open\"}"]);
        assert_eq!(faults(" * expect: stat data", &[("/odd/x/data", "")])[0].len(), 1);
    }

    #[test]
    fn a_recording_must_be_partial_where_that_is_claimed() {
        assert_eq!(faults(" * partial: io_uring", &[])[0].len(), 1);
        assert!(faults(" * partial[fentry]: io_uring", &[])[0].is_empty());
    }
}
