//! Profiles to start from.

use proptest::prelude::*;

use super::*;

/// The exporter's profile for `calls` on top of a base with these rules.
fn on(rules: &str, calls: &[&str]) -> Result<Export> {
    let text = format!(r#"{{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{rules}]}}"#);
    let base = Some(Base::parse(&text)?);
    export_with(&seen("x86_64", calls), &Options { base, ..Options::default() })
}

fn refusal(profile: &str) -> String {
    format!("{:#}", Base::parse(profile).unwrap_err())
}

#[test]
fn what_the_base_allows_is_allowed_under_its_conditions() {
    let rules = r#"{"names": ["inotify_init1", "chroot", "set_tls"], "action": "SCMP_ACT_ALLOW", "comment": "x", "errnoRet": 1},
        {"name": "ptrace", "action": "SCMP_ACT_ALLOW", "args": [{"index": 1, "value": 7, "op": "SCMP_CMP_GE"},
            {"index": 2, "value": 3, "valueTwo": 1, "op": "SCMP_CMP_MASKED_EQ"}]}"#;
    let export = on(rules, &["read"]).unwrap();
    assert_eq!(rules_for(&export, "inotify_init1")[0]["action"], "SCMP_ACT_ALLOW");
    assert!(export.reasons["chroot"].contains("base: the base profile allows it"));
    assert!(!export.reasons.contains_key("set_tls"), "only ARM has it");
    let ptrace = rules_for(&export, "ptrace");
    assert_eq!((ptrace.len(), ptrace[0]["args"].as_array().unwrap().len()), (1, 2));
    assert_eq!(ptrace[0]["args"][0]["op"], "SCMP_CMP_GE");
    assert!(export.reasons["ptrace"].contains("base: the base profile allows it under conditions"));
    assert!(export.warnings.is_empty(), "{:?}", export.warnings);
}

#[test]
fn what_was_observed_needs_no_condition_of_the_base() {
    let rule = r#"{"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}]}"#;
    let export = on(rule, &["ptrace"]).unwrap();
    let rules = rules_for(&export, "ptrace");
    assert_eq!((rules.len(), rules[0]["args"].is_null()), (1, true));
}

#[test]
fn conditions_of_the_engine_and_of_the_base_stand_side_by_side() {
    let same = r#"{"names": ["clone"], "action": "SCMP_ACT_ALLOW",
        "args": [{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]}"#;
    assert_eq!(rules_for(&on(same, &["clone"]).unwrap(), "clone").len(), 8);
    // A base that allows more: the refusals of the rest would contradict it.
    let more = r#"{"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 131072, "op": "SCMP_CMP_EQ"}]}"#;
    let rules = rules_for(&on(more, &["clone"]).unwrap(), "clone");
    assert_eq!(rules.len(), 2);
    assert!(rules.iter().all(|rule| rule["action"] == "SCMP_ACT_ALLOW"));
    let all = on(r#"{"names": ["clone"], "action": "SCMP_ACT_ALLOW"}"#, &["clone"]).unwrap();
    assert_eq!(rules_for(&all, "clone").len(), 1);
    assert_eq!(all.warnings, ["the base profile allows more than the engine's default does: clone"]);
}

#[test]
fn what_the_engine_denies_is_allowed_as_in_the_base_and_pointed_out() {
    let export = on(r#"{"names": ["bpf", "clone3"], "action": "SCMP_ACT_ALLOW"}"#, &["read"]).unwrap();
    for call in ["bpf", "clone3"] {
        assert_eq!(rules_for(&export, call)[0]["action"], "SCMP_ACT_ALLOW", "{call}");
    }
    assert_eq!(export.warnings, ["the base profile allows more than the engine's default does: bpf, clone3"]);
}

#[test]
fn rules_that_are_not_in_force_are_left_out_and_named() {
    let rules = r#"{"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF"]}},
        {"names": ["chroot"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_CHROOT"]}},
        {"names": ["inotify_init"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["s390x"]}},
        {"names": ["inotify_init1"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64", "x32"]}},
        {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}, "args": null},
        {"names": ["cachestat"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "6.5"}},
        {"names": ["swapon"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "includes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["acct"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_CHOWN"]}},
        {"names": ["mincore"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"]}, "includes": {}}"#;
    let export = on(rules, &["read"]).unwrap();
    for call in ["chroot", "inotify_init1", "ptrace", "mincore"] {
        assert!(export.reasons.contains_key(call), "{call}");
    }
    for call in ["bpf", "cachestat", "acct"] {
        assert!(!export.reasons.contains_key(call), "{call}");
        assert!(
            export.warnings.iter().any(|text| text.contains(&format!(": {call}"))),
            "{:?}",
            export.warnings
        );
    }
    assert_eq!(export.warnings.len(), 3, "{:?}", export.warnings);
}

#[test]
fn architectures_of_the_same_machine_are_added() {
    let text = |arches: &str| format!(r#"{{"defaultAction": "SCMP_ACT_ERRNO", {arches}, "syscalls": []}}"#);
    let export = |arches| {
        let base = Some(Base::parse(&text(arches)).unwrap());
        export_with(&seen("x86_64", &["read"]), &Options { base, ..Options::default() })
    };
    let map = r#""archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]}, {"architecture": "SCMP_ARCH_S390X"}]"#;
    assert_eq!(
        export(map).unwrap().profile.architectures,
        ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    );
    let foreign = export(r#""architectures": ["SCMP_ARCH_AARCH64"]"#).unwrap_err();
    assert!(format!("{foreign:#}").contains("it is not for SCMP_ARCH_X86_64"), "{foreign:#}");
    assert_eq!(export(r#""architectures": []"#).unwrap().profile.architectures, ["SCMP_ARCH_X86_64"]);
}

#[test]
fn an_own_profile_is_a_base_that_adds_nothing() {
    let alone = export(&web()).unwrap();
    let base = Some(Base::parse(&serde_json::to_string(&alone.profile).unwrap()).unwrap());
    let again = export_with(&web(), &Options { base, ..Options::default() }).unwrap();
    assert_eq!(alone.profile, again.profile);
}

#[test]
fn what_cannot_be_carried_over_is_refused() {
    let rule =
        |rule: &str| refusal(&format!(r#"{{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{rule}]}}"#));
    assert!(refusal(r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#).contains("SCMP_ACT_ALLOW"));
    assert!(
        refusal(r#"{"defaultAction": "SCMP_ACT_ERRNO", "flags": ["SECCOMP_FILTER_FLAG_LOG"]}"#)
            .contains("flags")
    );
    let both = r#"{"defaultAction": "SCMP_ACT_ERRNO", "architectures": [], "archMap": []}"#;
    assert!(refusal(both).contains("archMap"));
    assert!(refusal("[]").contains("not a seccomp profile"));
    assert!(rule(r#"{"names": ["read"], "action": "SCMP_ACT_NOTIFY"}"#).contains("rule 1"));
    assert!(rule(r#"{"names": [], "action": "SCMP_ACT_ALLOW"}"#).contains("no calls"));
    assert!(rule(r#"{"names": ["read"], "action": "SCMP_ACT_ALLOW", "unless": 1}"#).contains("unless"));
    let includes = r#"{"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"os": "x"}}"#;
    assert!(rule(includes).contains("os"));
    let version = r#"{"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "new"}}"#;
    assert!(rule(version).contains("version"));
    let args =
        |args: &str| rule(&format!(r#"{{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{args}]}}"#));
    assert!(args(r#"{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}"#).contains("six arguments"));
    assert!(args(r#"{"index": 0, "value": 0, "op": "SCMP_CMP_LIKE"}"#).contains("SCMP_CMP_LIKE"));
    let unclear = r#"{"names": ["sync"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["sync"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}]}"#;
    assert!(format!("{:#}", on(unclear, &["read"]).unwrap_err()).contains("sync without a condition"));
}

#[test]
fn what_the_base_both_allows_and_refuses_is_left_out_and_named() {
    let rules = r#"{"names": ["sync", "mincore"], "action": "SCMP_ACT_ALLOW"}, {"names": ["sync"], "action": "SCMP_ACT_ERRNO"}"#;
    let export = on(rules, &["read"]).unwrap();
    assert!(export.reasons.contains_key("mincore") && !export.reasons.contains_key("sync"));
    assert!(export.warnings[0].ends_with("both allows and refuses it: sync"), "{:?}", export.warnings);
}

proptest! {
    #[test]
    fn no_text_panics(text: String) {
        let _ = Base::parse(&text);
    }

    #[test]
    fn nothing_is_allowed_but_what_the_base_or_the_engine_allows(
        names in proptest::collection::btree_set("[a-z]{1,3}|read|bpf|clone3?|mount|sync|socket", 0..6),
    ) {
        let list = serde_json::to_string(&names).unwrap();
        let rule = format!(r#"{{"names": {list}, "action": "SCMP_ACT_ALLOW"}}"#);
        let rules = if names.is_empty() { "" } else { rule.as_str() };
        let export = on(rules, &["read"]).unwrap();
        for name in export.reasons.keys() {
            prop_assert!(passes_engine(name) || names.contains(name), "{name}");
        }
    }
}
