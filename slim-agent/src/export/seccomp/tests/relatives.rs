//! Relatives: what they cover of real applications, and what they must not bring.

use super::*;

/// The calls of two suites: those of the first, and those that the second makes besides.
fn suites() -> Vec<(String, [Vec<String>; 2])> {
    let text = std::fs::read_to_string(shared("fixtures/suites.syscalls.json")).unwrap();
    let Value::Object(all) = serde_json::from_str(&text).unwrap() else { panic!("no object") };
    let list = |calls: &Value| serde_json::from_value::<Vec<String>>(calls.clone()).unwrap();
    let applications = all.into_iter().filter(|(_, value)| value.is_object());
    applications.map(|(name, calls)| (name, [list(&calls["a"]), list(&calls["b"])])).collect()
}

fn export_of(calls: &[String], no_relatives: bool) -> Export {
    let calls: Vec<_> = calls.iter().map(String::as_str).collect();
    let options = Options { no_relatives, ..Options::default() };
    export_with(&seen("x86_64", &calls), &options).unwrap()
}

#[test]
fn applications_may_make_what_a_second_suite_makes_them_do() {
    let (mut covered, mut strict) = (Vec::new(), Vec::new());
    let refused = |of: &str, export: &Export, calls: &[String]| -> Vec<String> {
        let refused = calls.iter().filter(|name| !export.reasons.contains_key(*name));
        refused.map(|name| format!("{of}: {name}")).collect()
    };
    for (name, [a, b]) in suites() {
        covered.extend(refused(&name, &export_of(&a, false), &b));
        strict.extend(refused(&name, &export_of(&a, true), &b));
    }
    assert!(covered.is_empty(), "{covered:?}");
    assert!(strict.len() > 25, "{strict:?}");
}

#[test]
fn a_relative_says_of_what_and_its_variants_come_with_it() {
    let export = export(&seen("x86_64", &["mkdirat"])).unwrap();
    assert!(export.reasons["unlink"].iter().any(|why| why.starts_with("relative of mkdirat: ")));
    assert!(
        export.reasons["mkdir"].iter().all(|why| why.starts_with("variant: ")),
        "{:?}",
        export.reasons["mkdir"]
    );
    assert!(export.reasons["renameat2"].iter().any(|why| why.starts_with("relative of mkdirat: ")));
    assert_eq!(export.coverage.get("mkdirat"), Some(&1));
    assert_eq!(export.coverage.get("unlink"), None);
}

#[test]
fn an_architecture_without_the_old_calls_gets_the_new_ones() {
    let export = export(&seen("aarch64", &["openat", "mmap"])).unwrap();
    for call in ["unlinkat", "renameat2", "mkdirat", "fchmodat", "getrusage"] {
        assert!(export.reasons.contains_key(call), "{call}");
    }
}

#[test]
fn new_powers_come_from_nothing_but_themselves() {
    for call in ["accept", "bind", "clone", "connect", "execve", "listen", "personality", "ptrace", "socket"]
    {
        assert!(super::super::relatives::RELATIVES.iter().all(|row| !row.calls.contains(&call)), "{call}");
    }
    let export = export(&seen("x86_64", &["socket", "bind", "listen", "accept4", "read", "write"])).unwrap();
    for call in
        ["connect", "sendto", "sendmsg", "sendmmsg", "chown", "setxattr", "inotify_add_watch", "ptrace"]
    {
        assert!(!export.reasons.contains_key(call), "{call}: {:?}", export.reasons[call]);
    }
}

#[test]
fn what_only_the_runtime_did_has_no_relatives() {
    let mut manifest = seen("x86_64", &["openat"]);
    for used in manifest.syscalls.values_mut().flat_map(|calls| calls.values_mut()) {
        used.phases = [Phase::RuntimeConfined].into();
    }
    assert!(!export(&manifest).unwrap().reasons.contains_key("unlink"));
}

#[test]
fn relatives_of_relatives_are_not_added() {
    // open brings mkdir; mkdir, where it was observed, brings symlink.
    let export = export(&seen("x86_64", &["openat"])).unwrap();
    assert!(export.reasons.contains_key("mkdir") && !export.reasons.contains_key("symlink"));
}
