//! What options change, and what none of them may.

use proptest::prelude::*;

use super::*;

/// The calls that rules with `action` name.
fn named(profile: &Profile, action: Action) -> BTreeSet<&str> {
    let rules = profile.syscalls.iter().filter(|rule| rule.action == action);
    rules.flat_map(|rule| rule.names.iter().map(String::as_str)).collect()
}

fn trial(calls: &[&str]) -> Profile {
    let options = Options { trial: true, ..Options::default() };
    export_with(&seen("x86_64", calls), &options).unwrap().profile
}

#[test]
fn a_trial_logs_what_would_be_refused_and_denies_what_the_engine_denies() {
    let (tried, strict) = (trial(&["read"]), export(&seen("x86_64", &["read"])).unwrap().profile);
    assert_eq!(named(&tried, Action::Allow), named(&strict, Action::Allow));
    let logged = named(&tried, Action::Log);
    assert!(logged.contains("inotify_init1") && logged.contains("ptrace"));
    for call in ["bpf", "clone3", "mount"] {
        assert!(!logged.contains(call), "{call}");
    }
    let never = tried.syscalls.iter().find(|rule| rule.names == [engine::NEVER]).unwrap();
    assert_eq!(never.errno_ret, Some(ENOSYS));
}

#[test]
fn a_trial_keeps_the_conditions_of_calls_that_nobody_made() {
    let tried = trial(&["read"]);
    let of = |name: &'static str| tried.syscalls.iter().filter(move |rule| rule.names == [name]);
    for (name, conditions) in [("clone", 8), ("personality", 5), ("socket", 2)] {
        assert_eq!(of(name).count(), conditions, "{name}");
        assert!(of(name).all(|rule| !rule.args.is_empty()), "{name}");
    }
    // The runtime needs clone at any rate.
    assert!(of("personality").all(|rule| rule.action == Action::Log));
}

#[test]
fn without_runtime_calls_the_program_itself_can_still_be_executed() {
    let manifest = web();
    let options = Options { no_runtime_calls: true, no_relatives: true, ..Options::default() };
    let export = export_with(&manifest, &options).unwrap();
    assert!(export.reasons.contains_key("execve") && export.reasons.contains_key("exit_group"));
    // Observed of the runtime alone, and on its lists.
    for call in ["fchown", "capset"] {
        assert!(!export.reasons.contains_key(call), "{call}: {:?}", export.reasons[call]);
    }
    let reasons = export.reasons.values().flatten();
    assert!(reasons.into_iter().all(|why| !why.contains("runtime")), "{:?}", export.reasons);
}

#[test]
fn the_explanation_tells_in_how_many_recordings_a_call_was_made() {
    let export = export(&web()).unwrap();
    let told = serde_json::to_value(export.explain()).unwrap();
    assert_eq!(told["recordings"], 2);
    assert_eq!(told["calls"]["openat"]["coverage"], 2);
    assert_eq!(told["calls"]["set_thread_area"]["coverage"], 1);
    assert_eq!(told["calls"]["sigaltstack"]["coverage"], 0);
    assert!(told["calls"]["openat"]["reasons"].as_array().is_some_and(|reasons| !reasons.is_empty()));
}

fn manifests() -> impl Strategy<Value = Manifest> {
    let calls: Vec<_> = syscall_table::names(Abi::X86_64).into_iter().collect();
    let phases = [Phase::RuntimeInit, Phase::RuntimeConfined, Phase::App, Phase::Exec, Phase::Healthcheck];
    let phases = proptest::collection::btree_set(proptest::sample::select(phases.to_vec()), 0..3);
    let used = (phases.clone(), phases);
    let made = proptest::collection::btree_map(proptest::sample::select(calls), used, 1..40);
    let abi = proptest::sample::select(vec!["x86_64", "i386", "x32"]);
    (made, abi).prop_map(|(made, abi)| {
        let mut manifest = Manifest::new(None);
        let used = made.into_iter().map(|(name, (phases, refused))| {
            (
                name.to_owned(),
                SyscallUse { phases, refused, first_seen: None, seen_in: ["a".to_owned()].into() },
            )
        });
        manifest.syscalls.insert(abi.to_owned(), used.collect());
        manifest
    })
}

proptest! {
    #[test]
    fn nothing_is_broader_than_the_engines_default_but_what_was_observed(
        manifest in manifests(), trial: bool, no_relatives: bool, no_runtime_calls: bool,
    ) {
        let options = Options { trial, no_relatives, no_runtime_calls, base: None };
        let export = export_with(&manifest, &options).unwrap();
        let observed = |name: &str| manifest.syscalls.values().any(|calls| {
            calls.get(name).is_some_and(|used| used.phases.iter().any(|phase| *phase != Phase::RuntimeInit))
        });
        for action in [Action::Allow, Action::Log] {
            for name in named(&export.profile, action) {
                let told = || export.warnings.iter().any(|text| text.starts_with(&format!("{name} is allowed as observed")));
                prop_assert!(passes_engine(name) || observed(name) && told(), "{name}");
            }
        }
        // The engine's conditions stand wherever the call passes.
        for rule in export.profile.syscalls.iter().filter(|rule| rule.action != Action::Errno) {
            let bound = rule.names.iter().any(|name| engine::BOUND.contains(&name.as_str()));
            prop_assert!(!bound || !rule.args.is_empty(), "{rule:?}");
        }
        // One answer for each call: libseccomp takes no other.
        let all = [Action::Allow, Action::Log, Action::Errno].map(|action| {
            let plain = export.profile.syscalls.iter().filter(|rule| rule.action == action && rule.args.is_empty());
            plain.flat_map(|rule| rule.names.clone()).collect::<Vec<_>>()
        }).concat();
        let distinct: BTreeSet<_> = all.iter().collect();
        prop_assert_eq!(distinct.len(), all.len());
    }
}
