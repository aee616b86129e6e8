//! When recordings were, and since when things are known: seconds since 1970.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use super::schema::{FileUse, Recording, RecordingId, SyscallUse};

impl Recording {
    /// When it began; `None` where [`Self::started`] is no time.
    pub fn started_unix(&self) -> Option<u64> {
        let started = humantime::parse_rfc3339(&self.started).ok()?;
        started.duration_since(SystemTime::UNIX_EPOCH).ok().map(|since| since.as_secs())
    }

    /// When it ended, or was written while it went on.
    pub fn ended_unix(&self) -> Option<u64> {
        Some(self.started_unix()?.saturating_add(self.duration_ms / 1000))
    }
}

impl FileUse {
    /// Since when its use is known. Where older versions did not date it: at the latest since then.
    pub fn known_since(&self, recordings: &BTreeMap<RecordingId, Recording>) -> Option<u64> {
        let mut seen_in = self.seen_in.iter();
        let only = seen_in.next().filter(|_| seen_in.next().is_none()).and_then(|id| recordings.get(id));
        let dated = only.and_then(|only| Some(only.started_unix()?.saturating_add(self.first_ms / 1000)));
        earliest([self.first_seen, dated, first_end(&self.seen_in, recordings)])
    }
}

impl SyscallUse {
    /// Since when it is known to have been made, as [`FileUse::known_since`].
    pub fn known_since(&self, recordings: &BTreeMap<RecordingId, Recording>) -> Option<u64> {
        earliest([self.first_seen, first_end(&self.seen_in, recordings)])
    }
}

/// The first of some times, as far as they are known.
pub(super) fn earliest<const N: usize>(times: [Option<u64>; N]) -> Option<u64> {
    times.into_iter().flatten().min()
}

fn first_end(ids: &BTreeSet<RecordingId>, recordings: &BTreeMap<RecordingId, Recording>) -> Option<u64> {
    ids.iter().filter_map(|id| recordings.get(id)?.ended_unix()).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Observed;

    #[test]
    fn what_is_not_dated_is_known_when_a_recording_of_it_ended() {
        let recording = |started: &str| Recording {
            started: started.into(),
            duration_ms: 10_900,
            ..Recording::without_events(Observed::Use, true)
        };
        let recordings = [
            ("a".to_owned(), recording("1970-01-01T00:01:40Z")),
            ("b".to_owned(), recording("1970-01-01T00:00:50Z")),
            ("c".to_owned(), recording("once upon a time")),
        ];
        let recordings = BTreeMap::from(recordings);
        let older =
            r#"{"origin": "image", "uses": [], "by": [], "phases": [], "first_ms": 2000, "seen_in": []}"#;
        let mut file: FileUse = serde_json::from_str(older).unwrap();
        let mut since = |ids: &[&str], first_seen| {
            file.seen_in = ids.iter().map(|&id| id.to_owned()).collect();
            file.first_seen = first_seen;
            file.known_since(&recordings)
        };
        assert_eq!(since(&["a"], None), Some(102));
        assert_eq!(since(&["a", "b"], None), Some(60));
        assert_eq!(since(&["a", "b"], Some(55)), Some(55));
        assert_eq!(
            (since(&[], Some(70)), since(&["c", "gone"], None), since(&[], None)),
            (Some(70), None, None)
        );
        let call: SyscallUse =
            serde_json::from_str(r#"{"phases": [], "refused": [], "seen_in": ["a", "b", "c"]}"#).unwrap();
        assert_eq!(call.known_since(&recordings), Some(60));
    }
}
