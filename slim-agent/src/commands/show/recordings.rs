//! The recordings of a manifest: how long each was, and how much of the container's life it saw.

use std::collections::BTreeMap;
use std::time::Duration;

use super::document::{Document, figures, words};
use crate::manifest::{Observed, Recording, schema::RecordingId};

/// Adds a table of them.
pub fn describe(recordings: &BTreeMap<RecordingId, Recording>, document: &mut Document) {
    let all: u64 = recordings.values().fold(0, |all, recording| all.saturating_add(recording.duration_ms));
    let started = recordings.values().filter(|recording| recording.startup_observed).count();
    document.line(match recordings.len() {
        0 => "no recording".to_owned(),
        1 => "1 recording".to_owned(),
        count => {
            format!("{count} recordings, {} in all, {started} of which observed the start-up", lasted(all))
        }
    });
    let row = |(id, recording): (&RecordingId, &Recording)| {
        let Recording { container_name, started, duration_ms, startup_observed, complete, .. } = recording;
        let seen = match recording.observed {
            Observed::Use if *startup_observed => "start-up observed",
            Observed::Use => "start-up not observed",
            Observed::Missing => "what was missing (watch)",
        };
        let complete = if *complete { "complete" } else { "not complete" };
        vec![
            id.clone(),
            container_name.clone(),
            started.clone(),
            lasted(*duration_ms),
            seen.into(),
            complete.into(),
        ]
    };
    let columns = [
        words("recording"),
        words("container"),
        words("started"),
        figures("lasted"),
        words("seen"),
        words("events"),
    ];
    document.table(&columns, recordings.iter().map(row).collect());
}

/// Milliseconds in hours, minutes and seconds.
fn lasted(duration_ms: u64) -> String {
    humantime::format_duration(Duration::from_millis(duration_ms)).to_string()
}
