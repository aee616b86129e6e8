//! The exporter against a written manifest, and its rules one by one.

mod base;
mod options;
mod relatives;

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::model::EPERM;
use super::*;
use crate::manifest::io;
use crate::manifest::{Phase, SyscallUse};
use crate::syscall_table::{self, Abi};

fn shared(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests").join(path)
}

fn web() -> Manifest {
    io::read(&shared("fixtures/web.manifest.json")).unwrap()
}

/// A manifest that saw `calls`, all made by the application.
fn seen(abi: &str, calls: &[&str]) -> Manifest {
    let mut manifest = Manifest::new(None);
    let used = SyscallUse {
        phases: [Phase::App].into(),
        refused: [].into(),
        first_seen: None,
        seen_in: ["a".to_owned()].into(),
    };
    let calls = calls.iter().map(|&call| (call.to_owned(), used.clone())).collect();
    manifest.syscalls.insert(abi.to_owned(), calls);
    manifest
}

/// The rules of the profile that name `call`.
fn rules_for(export: &Export, call: &str) -> Vec<Value> {
    let json = serde_json::to_value(&export.profile).unwrap();
    let names = |rule: &Value| rule["names"].as_array().unwrap().iter().any(|name| name == call);
    json["syscalls"].as_array().unwrap().iter().filter(|rule| names(rule)).cloned().collect()
}

/// `UPDATE_GOLDEN=1 cargo test` writes the file anew; git shows what changed.
#[test]
fn the_profile_of_a_web_server() {
    let mut found = serde_json::to_string_pretty(&export(&web()).unwrap().profile).unwrap();
    found.push('\n');
    let golden = shared("golden/seccomp.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(&golden).unwrap());
}

#[test]
fn every_allowed_call_has_a_reason_and_every_call_one_answer() {
    let export = export(&web()).unwrap();
    for abi in [Abi::X86_64, Abi::I386] {
        for call in syscall_table::names(abi) {
            let rules = rules_for(&export, call);
            let plain = rules.iter().filter(|rule| rule["args"].is_null()).count();
            let conditional = ["clone", "personality", "socket"].contains(&call);
            let multiplexer = ["ipc", "socketcall"].contains(&call);
            let expected = usize::from(!conditional && !multiplexer);
            assert_eq!((plain, rules.is_empty()), (expected, multiplexer), "{call}: {rules:?}");
            let allowed = rules.iter().any(|rule| rule["action"] == "SCMP_ACT_ALLOW");
            assert_eq!(allowed, export.reasons.get(call).is_some_and(|why| !why.is_empty()), "{call}");
        }
    }
}

#[test]
fn what_was_observed_is_allowed_for_its_reason() {
    let export = export(&web()).unwrap();
    assert!(
        export.reasons["openat"].contains("observed: application and exec, x86_64, in 2 of 2 recordings")
    );
    assert!(export.reasons["fchown"].contains("observed: runtime, x86_64, in 1 of 2 recordings"));
    assert!(export.reasons["set_thread_area"].contains("observed: exec, i386, in 1 of 2 recordings"));
    // Of another libc.
    assert!(export.reasons["epoll_pwait2"].iter().any(|why| why.starts_with("variant: ")));
}

#[test]
fn what_only_the_unconfined_runtime_did_is_not_allowed() {
    let export = export(&web()).unwrap();
    for call in ["mount", "pivot_root"] {
        assert!(!export.reasons.contains_key(call), "{call}");
        assert_eq!(rules_for(&export, call)[0]["errnoRet"], EPERM, "{call}");
    }
}

#[test]
fn what_the_engine_denies_is_allowed_when_observed_and_pointed_out() {
    let export = export(&web()).unwrap();
    assert_eq!(rules_for(&export, "io_uring_setup")[0]["action"], "SCMP_ACT_ALLOW");
    assert_eq!(rules_for(&export, "io_uring_enter")[0]["errnoRet"], EPERM);
    assert!(export.warnings.iter().any(|text| text.starts_with("io_uring_setup is allowed")));
}

#[test]
fn what_was_never_permitted_is_left_to_the_engine() {
    let export = export(&web()).unwrap();
    assert!(export.reasons["setpriority"].contains("observed, but never permitted: application"));
    assert!(!export.reasons.contains_key("unshare"));
    assert_eq!(rules_for(&export, "unshare")[0]["errnoRet"], EPERM);
}

#[test]
fn clone3_answers_enosys_even_when_observed() {
    let export = export(&web()).unwrap();
    let rules = rules_for(&export, "clone3");
    assert_eq!((rules.len(), &rules[0]["errnoRet"]), (1, &Value::from(ENOSYS)));
    assert!(export.warnings.iter().any(|text| text.starts_with("clone3 was observed")));
}

#[test]
fn conditions_of_the_engine_are_kept() {
    let export = export(&web()).unwrap();
    let clone = rules_for(&export, "clone");
    assert_eq!(clone[0]["args"][0]["value"], 0x7E02_0000);
    assert_eq!(
        (&clone[0]["args"][0]["valueTwo"], &clone[0]["args"][0]["op"]),
        (&0.into(), &"SCMP_CMP_MASKED_EQ".into())
    );
    assert_eq!(clone.len(), 8, "one allows, seven deny");
    assert_eq!(rules_for(&export, "personality").len(), 5);
    assert_eq!(rules_for(&export, "socket").len(), 1, "i386 cannot deny some sockets");
    let native = super::export(&seen("x86_64", &["socket"])).unwrap();
    assert_eq!(rules_for(&native, "socket").len(), 2);
}

#[test]
fn conditional_calls_that_nobody_made_are_not_allowed() {
    let export = export(&seen("x86_64", &["read"])).unwrap();
    for call in ["personality", "socket"] {
        assert_eq!(rules_for(&export, call)[0]["errnoRet"], ENOSYS, "{call}");
    }
}

#[test]
fn the_calls_behind_a_multiplexer_are_allowed_with_it() {
    let export = export(&seen("i386", &["socketcall"])).unwrap();
    assert!(export.reasons["bind"].contains("variant: newer libc makes it instead of socketcall"));
    assert!(!export.reasons.contains_key("shmget") && rules_for(&export, "ipc").is_empty());
}

#[test]
fn only_what_the_architecture_has_is_named() {
    let export = export(&seen("aarch64", &["openat", "execve"])).unwrap();
    assert_eq!(export.profile.architectures, ["SCMP_ARCH_AARCH64"]);
    let known = syscall_table::names(Abi::Aarch64);
    let named = export.profile.syscalls.iter().flat_map(|rule| &rule.names);
    for name in named {
        assert!(known.contains(name.as_str()), "{name}");
    }
    assert!(!export.reasons.contains_key("open") && export.reasons.contains_key("newfstatat"));
}

#[test]
fn the_runtime_needs_its_own_abi() {
    let export = export(&seen("i386", &["read"])).unwrap();
    assert_eq!(export.profile.architectures, ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]);
}

#[test]
fn a_manifest_without_calls_is_refused() {
    assert!(export(&seen("x86_64", &[])).unwrap_err().to_string().contains("no system calls"));
    assert!(export(&seen("riscv64", &["read"])).unwrap_err().to_string().contains("riscv64"));
}

#[test]
fn a_call_without_a_name_is_pointed_out() {
    let export = export(&web()).unwrap();
    assert!(!export.reasons.contains_key("syscall_1000"));
    assert!(export.warnings.iter().any(|text| text.starts_with("syscall_1000")));
}

#[test]
fn the_lists_are_sorted_known_and_do_not_overlap() {
    let known: BTreeSet<_> = Abi::ALL.into_iter().flat_map(syscall_table::names).collect();
    let unseen = libc::UNSEEN.map(|(name, _)| name);
    let related: Vec<_> = super::relatives::RELATIVES.iter().map(|row| row.calls.to_vec()).collect();
    let lists: [&[&str]; 7] = [
        runtime::RUNC,
        runtime::CRUN,
        &runtime::GO,
        &runtime::NEWER,
        &unseen,
        &libc::THREAD_POINTER,
        &engine::DENIED,
    ];
    for list in lists {
        assert!(list.is_sorted(), "{list:?}");
    }
    let added = lists[..6].concat();
    let members: Vec<_> = libc::FAMILIES.concat();
    assert!(engine::DENIED.iter().chain(&engine::BOUND).all(|name| known.contains(name)));
    let bound: Vec<_> = engine::conditions(&Abi::ALL.into()).iter().map(|condition| condition.name).collect();
    assert_eq!(bound, engine::BOUND);
    for row in super::relatives::RELATIVES {
        assert!(row.of.is_sorted() && row.calls.is_sorted() && !row.why.is_empty(), "{:?}", row.calls);
        assert!(row.of.iter().all(|name| known.contains(name)), "{:?}", row.of);
    }
    for name in added.iter().chain(&members).chain(related.iter().flatten()) {
        assert!(known.contains(name), "{name} is no system call");
        assert!(!engine::DENIED.contains(name) && *name != engine::NEVER, "{name} is added and denied");
    }
    let distinct: BTreeSet<_> = members.iter().collect();
    assert_eq!(distinct.len(), members.len(), "a call is in two families");
}
