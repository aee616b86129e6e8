//! Forgetting old recordings, and nothing that they saw: a bound on what years of observation take.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::schema::{Manifest, Observed, Recording, RecordingId};

impl Manifest {
    /// Forgets all but the newest `most` recordings, those that ended last, and no path, call, socket or capability that
    /// the others saw: an export keeps all it kept. What is known since when stays known, too.
    ///
    /// Kept besides are watches, for what they found is not what was used ([`Self::only_used`]), and one recording each
    /// for what a union knows because of any: that the start-up was observed, that something was, and that there was one
    /// that did not measure capabilities. Why a forgotten recording was not complete is forgotten with it: newer ones have
    /// taken its place as samples. Statistics know only the recordings that are kept: what none of them saw counts as
    /// known, and as seen by none. A union with a manifest that has a forgotten recording has it again.
    pub fn keep_newest(&mut self, most: usize) {
        let kept = self.newest(most);
        if kept.len() == self.recordings.len() {
            return;
        }
        self.date_all();
        self.recordings.retain(|id, _| kept.contains(id));
        for file in self.files.values_mut() {
            file.seen_in.retain(|id| kept.contains(id));
            file.windows.retain(|id, _| kept.contains(id));
        }
        let sockets = self.sockets.values_mut().map(|socket| &mut socket.seen_in);
        let calls = self.syscalls.values_mut().flat_map(|calls| calls.values_mut());
        let capabilities = self.capabilities.values_mut().map(|capability| &mut capability.seen_in);
        for seen_in in sockets.chain(calls.map(|call| &mut call.seen_in)).chain(capabilities) {
            seen_in.retain(|id| kept.contains(id));
        }
    }

    /// Ids of the newest recordings, and of those that are kept whatever their age.
    fn newest(&self, most: usize) -> BTreeSet<RecordingId> {
        let mut by_age: Vec<(&RecordingId, &Recording)> = self.recordings.iter().collect();
        by_age.sort_by_key(|(id, recording)| Reverse((recording.ended_unix(), *id)));
        let (used, watches): (Vec<_>, Vec<_>) =
            by_age.into_iter().partition(|(_, recording)| recording.observed == Observed::Use);
        let signs: [fn(&Recording) -> bool; 3] = [
            |_| true,
            |recording| recording.startup_observed,
            |recording| !recording.measured_capabilities(),
        ];
        let signs = signs.iter().filter_map(|sign| used.iter().find(|(_, recording)| sign(recording)));
        signs.chain(&watches).chain(used.iter().take(most)).map(|(id, _)| (*id).clone()).collect()
    }

    /// Notes since when things are known that older versions did not date, while their recordings are there.
    fn date_all(&mut self) {
        let Self { files, syscalls, recordings, .. } = self;
        for file in files.values_mut() {
            file.first_seen = file.known_since(recordings);
        }
        for call in syscalls.values_mut().flat_map(|calls| calls.values_mut()) {
            call.first_seen = call.known_since(recordings);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::testing::manifest;
    use super::*;

    /// What an export sees: everything but which recordings there were.
    fn seen(manifest: &Manifest) -> Manifest {
        let mut manifest = manifest.clone();
        manifest.recordings = BTreeMap::new();
        for file in manifest.files.values_mut() {
            (file.seen_in, file.windows, file.first_seen) = Default::default();
        }
        manifest.sockets.values_mut().for_each(|socket| socket.seen_in.clear());
        for call in manifest.syscalls.values_mut().flat_map(|calls| calls.values_mut()) {
            (call.seen_in, call.first_seen) = Default::default();
        }
        manifest.capabilities.values_mut().for_each(|capability| capability.seen_in.clear());
        manifest
    }

    fn kept(manifest: &Manifest, most: usize) -> Manifest {
        let mut kept = manifest.clone();
        kept.keep_newest(most);
        kept
    }

    fn united(mut one: Manifest, other: Manifest) -> Manifest {
        one.merge(other).unwrap();
        one
    }

    proptest! {
        #[test]
        fn recordings_are_forgotten_and_nothing_that_they_saw(all in manifest(), most in 0..4usize) {
            let kept = kept(&all, most);
            prop_assert_eq!(seen(&kept), seen(&all));
            prop_assert_eq!(kept.startup_observed(), all.startup_observed());
            prop_assert_eq!(kept.of_use().count() > 0, all.of_use().count() > 0);
            prop_assert_eq!(kept.measured_capabilities(), all.measured_capabilities());
            prop_assert!(kept.of_use().count() <= most + 3);
            for (path, file) in &kept.files {
                prop_assert_eq!(kept.only_used(file), all.only_used(&all.files[path]));
            }
            for (path, file) in &kept.files {
                let since = all.files[path].known_since(&all.recordings);
                prop_assert_eq!(file.known_since(&kept.recordings), since);
            }
        }

        #[test]
        fn a_union_remembers_again(all in manifest(), other in manifest(), most in 0..4usize) {
            let (kept, whole) = (kept(&all, most), united(all.clone(), other.clone()));
            let again = united(united(kept.clone(), other), all);
            prop_assert_eq!(seen(&again), seen(&whole));
            prop_assert_eq!(&again.recordings, &whole.recordings);
            let ids = |manifest: &Manifest| -> Vec<_> {
                manifest.files.values().map(|file| (file.seen_in.clone(), file.windows.clone())).collect()
            };
            prop_assert_eq!(ids(&again), ids(&whole));
            let mut twice = kept.clone();
            twice.keep_newest(most);
            prop_assert_eq!(twice, kept);
        }
    }

    #[test]
    fn the_newest_end_last_and_one_saw_the_startup() {
        let recording = |second: u8, duration_ms, startup_observed| Recording {
            started: format!("2026-01-01T00:00:0{second}Z"),
            duration_ms,
            ..Recording::without_events(Observed::Use, startup_observed)
        };
        let mut manifest = Manifest::new(None);
        let recordings =
            [("long", 0, 60_000, false), ("old", 1, 0, true), ("older", 0, 0, true), ("new", 5, 0, false)];
        for (id, second, duration_ms, startup) in recordings {
            manifest.recordings.insert(id.into(), recording(second, duration_ms, startup));
        }
        manifest.keep_newest(2);
        assert_eq!(manifest.recordings.keys().collect::<Vec<_>>(), ["long", "new", "old"]);
    }
}
