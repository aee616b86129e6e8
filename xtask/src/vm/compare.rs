//! What differs between two manifests of the same programs, recorded with different tiers of hooks.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// What the driver blocks in when the recording ends: a call without an end is known only if it had begun by then.
const BLOCKS_AT_THE_END: &str = "x86_64 poll:";

/// The parts that must be equal, and what of each entry: when it was first seen and in which recording is chance.
const PARTS: [(&str, &[&str]); 2] =
    [("files", &["uses", "phases", "origin"]), ("sockets", &["uses", "protocols", "phases"])];
/// The same for capabilities, which not every tier of every kernel tells of.
const CAPABILITIES: (&str, &[&str]) = ("capabilities", &["phases", "refused", "by"]);

/// A line for each difference. `base` need not have what only the programs named in `partial` did: with them, a
/// recording with that tier says that it is not complete.
pub fn differences(base: &Value, other: &Value, partial: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let both_measured = [base, other].into_iter().all(measured_capabilities);
    for (part, fields) in PARTS.into_iter().chain(both_measured.then_some(CAPABILITIES)) {
        let (base, other) = (entries(base, part), entries(other, part));
        let names: BTreeSet<&String> = base.keys().chain(other.keys()).collect();
        for name in names {
            let (before, after) = (base.get(name), other.get(name));
            // A mount point is the image's before it is mounted upon, and the mount's behind.
            let passing = |field: &str| field == "origin" && is_mount_point(before);
            let differs = |field: &&str| of(before, field) != of(after, field) && !passing(field);
            let differ: Vec<&str> = fields.iter().copied().filter(differs).collect();
            if !differ.is_empty() && !is_by(name, after, partial) {
                found.push(line(part, name, before, after, &differ));
            }
        }
    }
    let calls = (calls(base), calls(other));
    let by_chance = |call: &&String| call.starts_with(BLOCKS_AT_THE_END);
    let lacks = calls.0.difference(&calls.1).filter(|call| !by_chance(call));
    found.extend(lacks.map(|call| format!("- syscalls {call}")));
    let adds = calls.1.difference(&calls.0).filter(|call| !by_chance(call));
    found.extend(adds.map(|call| format!("+ syscalls {call}")));
    found
}

fn measured_capabilities(manifest: &Value) -> bool {
    let recordings = manifest["recordings"].as_object().into_iter().flatten();
    recordings.into_iter().all(|(_, recording)| recording["hooks"]["cap_capable"].is_string())
}

fn is_mount_point(entry: Option<&Value>) -> bool {
    let uses = entry.and_then(|entry| entry["uses"].as_array());
    uses.is_some_and(|uses| uses.iter().any(|usage| usage == "mount"))
}

fn line(part: &str, name: &str, before: Option<&Value>, after: Option<&Value>, fields: &[&str]) -> String {
    let told = |entry: Option<&Value>| {
        fields.iter().map(|field| format!("{field} {}", of(entry, field))).collect::<Vec<_>>().join(", ")
    };
    match (before, after) {
        (None, _) => format!("+ {part} {name}: {}", told(after)),
        (_, None) => format!("- {part} {name}: {}", told(before)),
        _ => format!("! {part} {name}: {} | {}", told(before), told(after)),
    }
}

/// Whether an entry is the doing of partial programs alone: below the directory of one, or used by nothing else.
fn is_by(name: &str, entry: Option<&Value>, partial: &[String]) -> bool {
    let belongs = |path: &str| {
        let mut rest = path.strip_prefix("/odd/").unwrap_or_default().split('/');
        rest.next().is_some_and(|program| partial.iter().any(|name| name == program))
    };
    let users = entry.and_then(|entry| entry["by"].as_array());
    belongs(name)
        || users.is_some_and(|users| {
            !users.is_empty() && users.iter().all(|user| user.as_str().is_some_and(belongs))
        })
}

fn entries<'a>(manifest: &'a Value, part: &str) -> std::borrow::Cow<'a, Map<String, Value>> {
    manifest[part].as_object().map_or_else(Default::default, std::borrow::Cow::Borrowed)
}

fn of<'a>(entry: Option<&'a Value>, field: &str) -> &'a Value {
    entry.map_or(&Value::Null, |entry| &entry[field])
}

/// ABI, name and phases of every system call.
fn calls(manifest: &Value) -> BTreeSet<String> {
    let abis = entries(manifest, "syscalls");
    let of_abi = |(abi, calls): (&String, &Value)| {
        let calls = calls.as_object().cloned().unwrap_or_default();
        calls
            .into_iter()
            .map(|(name, call)| format!("{abi} {name}: phases {}", call["phases"]))
            .collect::<Vec<_>>()
    };
    abis.iter().flat_map(of_abi).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest(files: Value, sockets: Value, calls: Value) -> Value {
        json!({"files": files, "sockets": sockets, "syscalls": {"x86_64": calls}})
    }

    fn file(uses: &[&str], by: &str, first_ms: u64) -> Value {
        json!({"origin": "image", "uses": uses, "by": [by], "phases": ["app"], "first_ms": first_ms, "seen_in": [0]})
    }

    #[test]
    fn when_something_was_first_seen_is_no_difference() {
        let of = |ms| {
            let call = json!({"read": {"phases": ["app"], "seen_in": [ms]}});
            manifest(json!({"/odd/a/x": file(&["open"], "/odd/a/a", ms)}), json!({}), call)
        };
        assert_eq!(differences(&of(1), &of(2), &[]), [""; 0]);
    }

    #[test]
    fn capabilities_are_compared_where_both_tell_of_them() {
        let of = |hooks: Value, phase: &str| {
            let had = json!({"CAP_CHOWN": {"phases": [phase], "refused": [], "by": []}});
            json!({"recordings": {"r": {"hooks": hooks}}, "capabilities": had})
        };
        let (told, silent) = (json!({"cap_capable": "tp_btf"}), json!({}));
        assert_eq!(differences(&of(told.clone(), "app"), &of(told.clone(), "exec"), &[]).len(), 1);
        assert_eq!(differences(&of(told.clone(), "app"), &of(told.clone(), "app"), &[]), [""; 0]);
        assert_eq!(differences(&of(silent, "app"), &of(told, "exec"), &[]), [""; 0]);
    }

    #[test]
    fn every_difference_is_a_line() {
        let socket =
            json!({"inet 127.0.0.1:1": {"uses": ["connect"], "by": ["/odd/a/a"], "phases": ["app"]}});
        let base = manifest(
            json!({"/x": file(&["open"], "/odd/a/a", 1), "/gone": file(&["stat"], "/odd/a/a", 1)}),
            json!({}),
            json!({"read": {"phases": ["app"]}}),
        );
        let other = manifest(
            json!({"/x": file(&["hop"], "/odd/a/a", 1)}),
            socket,
            json!({"write": {"phases": ["app"]}}),
        );
        let found = differences(&base, &other, &[]);
        assert_eq!(found.len(), 5, "{found:?}");
        assert!(found.contains(&"! files /x: uses [\"open\"] | uses [\"hop\"]".to_owned()), "{found:?}");
        let begins = |sign: &str| found.iter().filter(|line| line.starts_with(sign)).count();
        assert_eq!((begins("- "), begins("+ ")), (2, 2));
    }

    #[test]
    fn what_only_a_partial_program_did_may_differ() {
        let partial = ["uring".to_owned()];
        let base = manifest(json!({}), json!({}), json!({}));
        let of = |name: &str, by: &str| manifest(json!({name: file(&["open"], by, 1)}), json!({}), json!({}));
        assert_eq!(differences(&base, &of("/odd/uring/x", "/odd/uring/uring"), &partial), [""; 0]);
        assert_eq!(differences(&base, &of("/etc/x", "/odd/uring/uring"), &partial), [""; 0]);
        assert_eq!(differences(&base, &of("/etc/x", "/odd/uring_2/uring_2"), &partial).len(), 1);
        assert_eq!(differences(&base, &of("/odd/other/x", "/odd/other/other"), &partial).len(), 1);
    }
}
