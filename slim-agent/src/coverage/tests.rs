use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::manifest::{FileUse, Observed, Origin, PathBytes, Phase, Recording, Use};

fn recording(second: usize, startup_observed: bool) -> Recording {
    Recording {
        started: format!("2026-01-01T00:{:02}:{:02}Z", second / 60, second % 60),
        ..Recording::without_events(Observed::Use, startup_observed)
    }
}

/// A manifest of `samples` recordings, and of files seen by these samples each.
fn manifest(samples: usize, files: &[&[usize]]) -> Manifest {
    let mut manifest = Manifest::new(None);
    // Ids in another order than time.
    let id = |sample: usize| format!("{:02}", 99 - sample);
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

#[test]
fn history_goes_by_time_and_counts_what_is_new() {
    let coverage = Coverage::of(&manifest(4, &[&[0, 1, 2, 3], &[1, 3], &[1], &[0]]));
    assert_eq!(coverage.recordings, 4);
    assert_eq!(coverage.paths.history, History { new: vec![2, 2, 0, 0], quiet: 2 });
    let Known { observed, in_one, in_two, .. } = coverage.paths;
    assert_eq!((observed, in_one, in_two), (4, 2, 1));
}

#[test]
fn what_is_no_need_of_the_application_does_not_count() {
    let mut manifest = manifest(3, &[&[0, 1, 2], &[0], &[1], &[2]]);
    let mut files = manifest.files.values_mut();
    files.next().unwrap().phases = [Phase::Healthcheck].into();
    files.next().unwrap().phases = [Phase::Exec].into();
    files.next().unwrap().phases = [Phase::RuntimeInit].into();
    files.next().unwrap().origin = Origin::Volume;
    assert_eq!(Coverage::of(&manifest).paths.observed, 1);
}

#[test]
fn recordings_without_startup_and_watches_are_no_samples() {
    let mut manifest = manifest(3, &[&[0, 1, 2]]);
    manifest.recordings.insert("late".into(), recording(9, false));
    manifest
        .recordings
        .insert("watch".into(), Recording { observed: Observed::Missing, ..recording(9, true) });
    let coverage = Coverage::of(&manifest);
    assert_eq!((coverage.recordings, coverage.without_startup), (3, 1));
}

#[test]
fn rules_say_why_they_are_not_met() {
    let coverage = Coverage::of(&manifest(4, &[&[0, 1, 2, 3], &[3], &[2], &[1]]));
    assert_eq!(Rules::default().unmet(&coverage), [""; 0]);
    let rules = Rules { recordings: Some(5), quiet: Some(1), unseen: Some(1.0) };
    let unmet = rules.unmet(&coverage).join("\n");
    for part in ["4 recordings", "no new paths in the last 0", "paths may be unseen"] {
        assert!(unmet.contains(part), "{unmet}");
    }
    assert!(!unmet.contains("system calls may"), "{unmet}");
    let enough = Coverage::of(&manifest(9, &[&[0, 1, 2, 3, 4, 5, 6, 7, 8], &[0, 1, 2, 3, 4, 5, 6, 7, 8]]));
    assert_eq!(Rules { unseen: Some(0.1), ..rules }.unmet(&enough), [""; 0]);
}

/// Reckoned by hand from the formulas.
#[test]
fn estimates_are_those_of_the_formulas() {
    // Ten samples; five things seen once, two twice, three by all.
    let counts = [1, 1, 1, 1, 1, 2, 2, 10, 10, 10];
    let found = estimate::estimate(&counts, 10).unwrap();
    assert!((found.unseen - 0.9 * 25.0 / 4.0).abs() < 1e-9, "{found:?}");
    assert!((found.new_in_next - 0.5).abs() < 1e-9);
    let variance = 2.0 * (0.45 * 6.25 + 0.81 * 15.625 + 0.81 / 4.0 * 39.0625);
    let spread = (1.96 * (1.0 + variance / 5.625f64.powi(2)).ln().sqrt()).exp();
    assert!((found.unseen_upper - 5.625 * spread).abs() < 1e-9, "{found:?}");
    assert!((found.unseen_lower - 5.625 / spread).abs() < 1e-9, "{found:?}");
}

#[test]
fn few_samples_and_no_things_are_not_estimated() {
    assert_eq!(estimate::estimate(&[1, 2], 2), None);
    assert_eq!(estimate::estimate(&[], 9), None);
    let complete = estimate::estimate(&[14; 400], 14).unwrap();
    assert_eq!((complete.unseen, complete.chance_of_new), (0.0, 0.0));
    assert!(complete.unseen_upper < 0.1, "{complete:?}");
}

/// Recordings of applications of which 40 files are needed always and 20 with chances from 5 to 65 %. Chao2 estimates
/// from below: of the intervals from five recordings, 6 % end below the truth here instead of 2.5.
#[test]
fn the_interval_holds_what_more_samples_find() {
    let mut random = Random(7);
    let (mut inside, mut above, runs) = (0, 0, 400);
    for _ in 0..runs {
        let chances: Vec<f64> =
            (0..60).map(|file| if file < 40 { 1.0 } else { random.next() * 0.6 + 0.05 }).collect();
        let seen =
            |random: &mut Random| chances.iter().map(|&chance| random.next() < chance).collect::<Vec<_>>();
        let mut counts = vec![0; chances.len()];
        for _ in 0..5 {
            seen(&mut random)
                .into_iter()
                .zip(&mut counts)
                .for_each(|(seen, count)| *count += usize::from(seen));
        }
        let unseen = counts.iter().filter(|&&count| count == 0).count() as f64;
        counts.retain(|&count| count > 0);
        let found = estimate::estimate(&counts, 5).unwrap();
        inside += usize::from((found.unseen_lower..=found.unseen_upper).contains(&unseen));
        above += usize::from(unseen > found.unseen_upper);
    }
    assert!(above * 10 <= runs, "{above} of {runs} above the interval");
    assert!(inside * 5 >= runs * 4, "{inside} of {runs} inside the interval");
}

/// xorshift64*: reproducible, and good enough to draw from.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    }
}

proptest! {
    #[test]
    fn any_counts_give_numbers(counts in proptest::collection::vec(1usize..20, 1..200)) {
        let found = estimate::estimate(&counts, 20).unwrap();
        prop_assert!(found.unseen >= 0.0 && found.unseen_upper.is_finite());
        prop_assert!(found.unseen_lower <= found.unseen_upper);
        prop_assert!((0.0..=1.0).contains(&found.chance_of_new));
    }
}
