//! The text read back as a scraper reads it.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::daemon::model::{Births, ProgramMeasures};

/// Something of everything.
pub fn measured() -> Measurements {
    let one = |name: &str, count: u64| BTreeMap::from([(name.to_owned(), count)]);
    let outcomes =
        BTreeMap::from([("hits".to_owned(), 7), ("duplicate".to_owned(), 5), ("sent".to_owned(), 2)]);
    let ran = ProgramMeasures { runs: 9, run_nanoseconds: 1_500_000_000 };
    Measurements {
        version: "1.2.3".into(),
        started_unix_seconds: 1.5e9,
        kernel: KernelMeasures {
            hooks: BTreeMap::from([("sys_exit".to_owned(), outcomes)]),
            losses: one("not_delivered", 3),
            programs: BTreeMap::from([("calls".to_owned(), ran)]),
            map_bytes: one("SEEN", 1 << 40),
            adoptions: 1,
        },
        births: Births { recorded: 4, unwanted: 3, unknown: 2, dropped: 1 },
        recordings_ended: 3,
        slots: Room { used: 1, free: 63 },
        scopes: Room { used: 1, free: 1023 },
        store: StoreMeasures { checkpoint_age_seconds: Some(2.5), paused: true, ..StoreMeasures::default() },
        profiles: vec![ProfileMeasures {
            name: "a\"b\\c".into(),
            image: "sha256:1".into(),
            paths: 412,
            last_new_seconds: Some(60),
            unseen_upper: Some(1.5),
            ready: Some(true),
            ..ProfileMeasures::default()
        }],
        engines: BTreeMap::from([("unix:///run/docker.sock".to_owned(), false)]),
        process: ProcessMeasures { resident_bytes: 1 << 24, cpu_seconds: 0.25, open_files: 12 },
        healthy: true,
    }
}

/// Sample with its labels, as written -> its value. Refuses what a scraper would.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let (mut types, mut found) = (BTreeMap::new(), BTreeMap::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} twice");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let name = sample.split('{').next().unwrap();
        assert!(types.contains_key(name), "{name} has no type before it");
        let value: f64 = value.parse().unwrap();
        assert!(value.is_finite() && found.insert(sample.to_owned(), value).is_none(), "{line}");
    }
    assert!(text.ends_with('\n'));
    found
}

#[test]
fn a_scraper_understands_it() {
    let samples = samples(&text(&measured()));
    let value = |sample: &str| *samples.get(sample).unwrap_or_else(|| panic!("no {sample}"));
    assert_eq!(value("slim_agent_hook_hits_total{hook=\"sys_exit\"}"), 7.0);
    assert_eq!(value("slim_agent_hook_outcomes_total{hook=\"sys_exit\",outcome=\"sent\"}"), 2.0);
    assert!(!samples.keys().any(|sample| sample.contains("outcome=\"hits\"")));
    assert_eq!(value("slim_agent_program_run_seconds_total{program=\"calls\"}"), 1.5);
    assert_eq!(value("slim_agent_kernel_map_bytes{map=\"SEEN\"}"), (1_u64 << 40) as f64);
    assert_eq!(value("slim_agent_profile_paths{profile=\"a\\\"b\\\\c\",image=\"sha256:1\"}"), 412.0);
    assert_eq!(value("slim_agent_engine_up{engine=\"unix:///run/docker.sock\"}"), 0.0);
    assert_eq!(value("slim_agent_checkpoint_age_seconds"), 2.5);
    assert_eq!(value("slim_agent_checkpoints_paused"), 1.0);
}

#[test]
fn what_is_not_known_is_not_there() {
    let samples = samples(&text(&Measurements::default()));
    assert!(!samples.contains_key("slim_agent_checkpoint_age_seconds"));
    assert!(samples.contains_key("slim_agent_open_files"));
}

/// Names of metrics in a text: `slim_agent_` and what follows.
fn names(text: &str) -> BTreeSet<&str> {
    let part = |char: char| !(char.is_ascii_alphanumeric() || char == '_');
    text.split(part).filter(|word| word.starts_with("slim_agent_")).collect()
}

#[test]
fn dashboard_and_alerts_ask_for_what_there_is() {
    let text = text(&measured());
    let there = names(&text);
    for (what, asked) in [
        ("dashboard", include_str!("../../../../deploy/grafana/slim-agent.json")),
        ("alerts", include_str!("../../../../deploy/prometheus/alerts.yml")),
    ] {
        let asked = names(asked);
        assert!(asked.len() > 5, "{what}: {asked:?}");
        let unknown: Vec<_> = asked.difference(&there).collect();
        assert!(unknown.is_empty(), "{what}: {unknown:?}");
    }
}
