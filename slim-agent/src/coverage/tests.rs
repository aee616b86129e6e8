use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::*;
use crate::manifest::{FileUse, Observed, Origin, PathBytes, Phase, Recording, SyscallUse, Use};

fn recording(second: usize, startup_observed: bool) -> Recording {
    Recording {
        started: format!("2026-01-01T00:{:02}:{:02}Z", second / 60, second % 60),
        duration_ms: 0,
        ..Recording::without_events(Observed::Use, startup_observed)
    }
}

/// A manifest of `samples` recordings, and of files seen by these samples each.
fn manifest(samples: usize, files: &[&[usize]]) -> Manifest {
    let mut manifest = Manifest::new(None);
    // Ids in another order than time.
    let id = |sample: usize| format!("{:03}", 999 - sample);
    for sample in 0..samples {
        manifest.recordings.insert(id(sample), recording(sample, true));
    }
    for (number, seen) in files.iter().enumerate() {
        let file = FileUse {
            origin: Origin::Image,
            uses: [Use::Open].into(),
            by: BTreeSet::new(),
            phases: [Phase::App].into(),
            first_ms: 0,
            first_seen: None,
            seen_in: seen.iter().map(|&sample| id(sample)).collect(),
            windows: BTreeMap::new(),
        };
        manifest.files.insert(PathBytes::from(format!("/{number}").as_str()), file);
    }
    manifest
}

/// Long after the recordings of [`manifest`].
const NOW: u64 = 2_000_000_000;

fn coverage(manifest: &Manifest) -> Coverage {
    Coverage::of(manifest, NOW)
}

#[test]
fn history_goes_by_time_and_counts_what_is_new() {
    let coverage = coverage(&manifest(4, &[&[0, 1, 2, 3], &[1, 3], &[1], &[0]]));
    assert_eq!(coverage.starts, 4);
    let Known { observed, starts, history, .. } = coverage.needed.paths;
    assert_eq!(history.by_start.iter().map(|point| point.known).collect::<Vec<_>>(), [2, 4, 4, 4]);
    assert_eq!((observed, starts.in_one, starts.in_two, history.quiet_starts), (4, 2, 1, 2));
}

#[test]
fn a_start_before_the_last_news_is_not_quiet() {
    let mut manifest = manifest(4, &[&[0, 1, 2, 3], &[0]]);
    let start = manifest.recordings["999"].started_unix().unwrap();
    manifest.recordings.get_mut("999").unwrap().duration_ms = 10_000;
    let late = manifest.files.get_mut(&PathBytes::from("/1")).unwrap();
    late.first_seen = Some(start + 2);
    late.seen_in.insert("of another start-up, forgotten".into());
    assert_eq!(coverage(&manifest).needed.paths.history.quiet_starts, 2);
}

#[test]
fn no_news_count_while_somebody_looks() {
    let mut manifest = manifest(3, &[&[0, 1, 2]]);
    let begins = ["00:00:00", "00:50:00", "23:00:00"];
    for (recording, begin) in manifest.recordings.values_mut().zip(begins) {
        recording.started = format!("2026-01-01T{begin}Z");
        recording.duration_ms = 3_600_000;
    }
    let first = manifest.recordings.values().filter_map(Recording::started_unix).min().unwrap();
    let history = |manifest: &Manifest, now| Coverage::of(manifest, now).needed.paths.history;
    manifest.files.values_mut().for_each(|file| file.first_seen = Some(first + 600));
    let found = history(&manifest, first + 86_400);
    assert_eq!(found.last_new, Some(first + 600));
    assert_eq!((found.since_new_s, found.quiet_s), (Some(85_800), Some(110 * 60 - 600 + 3600)));
    assert_eq!(
        history(&manifest, first + 23 * 3600).quiet_s,
        Some(100 * 60),
        "what is to come does not count"
    );
    assert_eq!(Coverage::of(&manifest, NOW).observed_s, 170 * 60);
    // What nobody can date may have come a moment ago.
    let file = manifest.files.values_mut().next().unwrap();
    (file.first_seen, file.seen_in) = Default::default();
    let found = history(&manifest, NOW);
    assert_eq!((found.last_new, found.quiet_s, found.quiet_starts), (None, None, 0));
}

#[test]
fn curves_are_bounded() {
    let every: Vec<&[usize]> = vec![&[0]; 5000];
    let mut manifest = manifest(150, &every);
    let first = manifest.recordings["999"].started_unix().unwrap();
    for (hour, file) in (0..).zip(manifest.files.values_mut()) {
        file.first_seen = Some(first - 3600 * 5000 + hour * 3600);
    }
    let history = coverage(&manifest).needed.paths.history;
    for curve in [&history.by_start, &history.by_time] {
        assert!(curve.len() <= 100 && curve.len() >= 50, "{}", curve.len());
        assert!(curve.is_sorted_by_key(|point| (point.at, point.known)));
        assert_eq!(curve.last().unwrap().known, 5000);
    }
}

#[test]
fn what_is_no_need_of_the_application_does_not_count() {
    let mut manifest = manifest(3, &[&[0, 1, 2], &[0], &[1], &[2]]);
    let mut files = manifest.files.values_mut();
    files.next().unwrap().phases = [Phase::Healthcheck].into();
    files.next().unwrap().phases = [Phase::Exec].into();
    files.next().unwrap().phases = [Phase::RuntimeInit].into();
    files.next().unwrap().origin = Origin::Volume;
    let coverage = coverage(&manifest);
    assert_eq!(coverage.needed.paths.observed, 1);
    assert_eq!(coverage.phases.keys().collect::<Vec<_>>(), [&Phase::Healthcheck]);
}

#[test]
fn phases_are_told_apart() {
    let mut manifest = manifest(3, &[&[0, 1, 2], &[0], &[1], &[2]]);
    let mut files = manifest.files.values_mut();
    files.next().unwrap().phases = [Phase::Healthcheck, Phase::App].into();
    files.next().unwrap().phases = [Phase::Healthcheck].into();
    let coverage = coverage(&manifest);
    let of =
        |phase: Phase| (coverage.phases[&phase].paths.observed, coverage.phases[&phase].paths.starts.in_one);
    assert_eq!((of(Phase::App), of(Phase::Healthcheck)), ((3, 2), (2, 1)));
}

#[test]
fn recordings_without_startup_and_watches_are_no_samples() {
    let mut manifest = manifest(3, &[&[0, 1, 2]]);
    manifest.recordings.insert("late".into(), recording(9, false));
    let watch = Recording { observed: Observed::Missing, node: Some("n".into()), ..recording(9, true) };
    manifest.recordings.insert("watch".into(), watch);
    let coverage = coverage(&manifest);
    assert_eq!((coverage.starts, coverage.without_startup, coverage.nodes), (3, 1, 0));
}

#[test]
fn nodes_are_samples_of_their_own() {
    let mut manifest = manifest(6, &[&[0, 1, 2, 3, 4, 5], &[0, 3], &[0, 1]]);
    for (number, recording) in manifest.recordings.values_mut().rev().enumerate() {
        recording.node = Some(format!("node{}", number % 3));
    }
    let coverage = coverage(&manifest);
    let nodes = coverage.needed.paths.nodes;
    assert_eq!((coverage.nodes, nodes.samples, nodes.in_one, nodes.in_two), (3, 3, 1, 1));
    assert!(nodes.estimate.is_some());
}

/// A manifest of one start that went on for `windows` hours, and of files first used after some hours, and in so many
/// later hours.
fn hourly(windows: u32, files: &[(u64, u32)]) -> Manifest {
    let all: Vec<&[usize]> = vec![&[0]; files.len()];
    let mut manifest = manifest(1, &all);
    manifest.recordings.values_mut().for_each(|recording| recording.windows = windows);
    for (file, &(hour, hours)) in manifest.files.values_mut().zip(files) {
        file.first_ms = hour * 3_600_000;
        file.windows = [("999".to_owned(), hours)].into();
    }
    manifest
}

#[test]
fn hours_tell_of_what_no_start_had() {
    let known =
        coverage(&hourly(10, &[(0, 0), (0, 1), (0, 9), (1, 1), (5, 1), (5, 1), (2, 2), (3, 7)])).needed.paths;
    let hours = known.hours.unwrap();
    assert_eq!((hours.samples, hours.in_one, hours.in_two), (10, 3, 1));
    let estimate = hours.estimate.unwrap();
    assert!((estimate.new_in_next - 0.3).abs() < 1e-9 && (estimate.chance_of_new - 0.3).abs() < 1e-9);
    assert!((estimate.unseen - 0.9 * 9.0 / 2.0).abs() < 1e-9, "{estimate:?}");
    assert_eq!(known.estimate.unwrap().over, Over::Hours, "one start says nothing");
    assert_eq!(coverage(&hourly(2, &[(0, 2)])).needed.paths.estimate, None);
    let mut starts = manifest(3, &[&[0, 1, 2]]);
    starts.recordings.values_mut().for_each(|recording| recording.windows = 5);
    assert_eq!(coverage(&starts).needed.paths.estimate.unwrap().over, Over::Starts);
}

#[test]
fn one_line_says_it() {
    let mut many = manifest(14, &vec![&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13][..]; 412]);
    for (number, recording) in many.recordings.values_mut().enumerate() {
        recording.node = Some(format!("node{}", number % 3));
        recording.duration_ms = 273_700_000;
    }
    let first = many.recordings.values().filter_map(Recording::started_unix).min().unwrap();
    many.files.values_mut().for_each(|file| file.first_seen = Some(first));
    assert_eq!(
        coverage(&many).line(),
        "412 paths, nothing new for 3 d 4 h, an estimated 0-3 unseen; 14 starts, 3 nodes"
    );
    assert_eq!(coverage(&Manifest::new(None)).line(), "0 paths; 0 starts");
    let few = coverage(&manifest(1, &[&[0]])).line();
    assert_eq!(few, "1 path, something new just now, too few starts for an estimate (3 are needed); 1 start");
    let hours = coverage(&hourly(24, &[(0, 3), (0, 1)])).line();
    assert!(hours.ends_with("an estimated 0-3 unseen by its hours; 1 start"), "{hours}");
}

#[test]
fn times_are_spelled_in_two_units() {
    let spelled: Vec<_> = [0, 59, 60, 3599, 3600, 7290, 86_400, 90_000, 273_600].map(spell).into();
    assert_eq!(
        spelled,
        ["0 s", "59 s", "1 min", "59 min 59 s", "1 h", "2 h 1 min", "1 d", "1 d 1 h", "3 d 4 h"]
    );
}

#[test]
fn rules_say_why_they_are_not_met() {
    let some = coverage(&manifest(4, &[&[0, 1, 2, 3], &[3], &[2], &[1]]));
    assert_eq!(Rules::default().unmet(&some), [""; 0]);
    let rules = Rules {
        quiet: Some(Duration::from_secs(48 * 3600)),
        quiet_starts: Some(1),
        starts: Some(5),
        nodes: Some(2),
        hours: Some(24),
        unseen_upper: Some(1.0),
    };
    let unmet = rules.unmet(&some).join("\n");
    for part in [
        "4 starts seen, and 5",
        "0 nodes known",
        "0 s observed, and 24 h",
        "no new paths for 0 s, and 2 d are",
        "not known when the last of the system calls",
        "0 starts at the end without new paths, and 1",
        "paths may be unseen",
        "too few starts to estimate how many system calls",
    ] {
        assert!(unmet.contains(part), "{part}: {unmet}");
    }
}

#[test]
fn rules_that_hold_are_met() {
    let all: Vec<usize> = (0..9).collect();
    let mut manifest = manifest(9, &[&all, &all]);
    for (number, recording) in manifest.recordings.values_mut().enumerate() {
        recording.node = Some(format!("node{}", number % 2));
        recording.duration_ms = 72 * 3_600_000;
    }
    let seen_in = manifest.recordings.keys().cloned().collect();
    let first_seen = manifest.recordings["999"].started_unix();
    let call = SyscallUse { phases: [Phase::App].into(), refused: BTreeSet::new(), first_seen, seen_in };
    manifest.syscalls.insert("x86_64".into(), [("read".to_owned(), call)].into());
    manifest.files.values_mut().for_each(|file| file.first_seen = first_seen);
    let rules: Rules = toml::from_str(
        "quiet = \"48h\"\nquiet_starts = 3\nstarts = 5\nnodes = 2\nhours = 24\nunseen_upper = 3",
    )
    .unwrap();
    assert_eq!(rules.unmet(&coverage(&manifest)), [""; 0]);
}

#[test]
fn wrong_rules_are_refused_with_what_is_wrong() {
    for (text, part) in [
        ("quiet = \"soon\"", "\"soon\" is no duration such as \"48h\""),
        ("quiet = 48", "invalid type: integer `48`, expected a string"),
        ("starts = -1", "invalid value: integer `-1`"),
        ("unseen_upper = -0.5", "-0.5 is no number from 0 up"),
        ("unseen = 3", "unknown field `unseen`, expected one of `quiet`"),
    ] {
        let error = toml::from_str::<Rules>(text).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("line 1"), "{error}");
    }
}

/// Reckoned by hand from the formulas.
#[test]
fn estimates_are_those_of_the_formulas() {
    // Ten samples; five things seen once, two twice, three by all.
    let counts = [1, 1, 1, 1, 1, 2, 2, 10, 10, 10];
    let found = Frequencies::of_counts(counts.into_iter(), 10).estimate(10).unwrap();
    assert!((found.unseen - 0.9 * 25.0 / 4.0).abs() < 1e-9, "{found:?}");
    assert!((found.new_in_next - 0.5).abs() < 1e-9);
    let variance = 2.0 * (0.45 * 6.25 + 0.81 * 15.625 + 0.81 / 4.0 * 39.0625);
    let spread = (1.96 * (1.0 + variance / 5.625f64.powi(2)).ln().sqrt()).exp();
    let bounds = ((5.625 / spread).floor(), (5.625 * spread).ceil());
    assert_eq!((found.unseen_lower, found.unseen_upper), bounds, "{found:?}");
}

#[test]
fn few_samples_are_not_estimated_and_nothing_rare_leaves_little() {
    let of = |counts: &[usize], samples| {
        Frequencies::of_counts(counts.iter().copied(), samples).estimate(counts.len())
    };
    assert_eq!(of(&[1, 2], 2), None);
    let complete = of(&[14; 400], 14).unwrap();
    assert_eq!((complete.unseen, complete.chance_of_new, complete.unseen_upper), (0.0, 0.0, 3.0));
    assert!((complete.chance_upper - 0.215).abs() < 1e-3, "{complete:?}");
}

#[test]
fn things_that_come_together_are_one_chance_and_a_wider_interval() {
    let together =
        vec![&[4][..]; 6].into_iter().chain([&[0, 1, 2, 3, 4][..]; 20]).chain([&[0, 2][..], &[1, 3]]);
    let places = Frequencies::of_places(together.clone(), 5).estimate(28).unwrap();
    let counts = Frequencies::of_counts(together.map(<[usize]>::len), 5).estimate(28).unwrap();
    assert!((places.chance_of_new - 0.2).abs() < 1e-9 && counts.chance_of_new > 0.9);
    assert!(places.unseen_upper > counts.unseen_upper && places.unseen_lower <= counts.unseen_lower);
}

/// What leaving out one sample after another shows, worked out without shortcuts.
#[test]
fn leaving_samples_out_is_what_it_says() {
    let things: [&[usize]; 7] = [&[0], &[0, 1], &[1, 2, 3], &[3], &[0, 2, 3], &[2], &[1, 2]];
    let rare = |left_out: usize| {
        let seen = things.map(|places| places.iter().filter(|&&place| place != left_out).count());
        let with = |count| seen.iter().filter(|&&seen| seen == count).count() as f64;
        let all = seen.iter().filter(|&&seen| seen > 0).count() as f64;
        all + 2.0 / 3.0 * with(1) * with(1) / (2.0 * with(2))
    };
    let found = [0, 1, 2, 3].map(rare);
    let mean = found.iter().sum::<f64>() / 4.0;
    let expected = 0.75 * found.iter().map(|one| (one - mean).powi(2)).sum::<f64>();
    let jackknife = Frequencies::of_places(things.into_iter(), 4).jackknife();
    assert!((jackknife - expected).abs() < 1e-9, "{jackknife} {expected}");
}

proptest! {
    #[test]
    fn any_samples_give_numbers(things in vec(btree_set(0..20usize, 1..20), 0..100)) {
        let places: Vec<Vec<usize>> = things.into_iter().map(|places| places.into_iter().collect()).collect();
        for found in [
            Frequencies::of_places(places.iter().map(Vec::as_slice), 20).estimate(places.len()).unwrap(),
            Frequencies::of_counts(places.iter().map(Vec::len), 20).estimate(places.len()).unwrap(),
        ] {
            prop_assert!(found.unseen >= 0.0 && found.unseen_upper.is_finite());
            prop_assert!(0.0 <= found.unseen_lower && found.unseen_lower <= found.unseen);
            prop_assert!(found.unseen <= found.unseen_upper);
            prop_assert!(found.chance_of_new <= found.chance_upper && found.chance_upper <= 1.0);
        }
    }
}
