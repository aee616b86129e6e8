//! What a recording found, said in a few lines on standard error.

use std::path::Path;

use crate::manifest::{Manifest, Origin, Use, io};
use crate::probe::Tally;

/// Prints the summary.
pub fn print(manifest: &Manifest, tally: &Tally, output: &Path) {
    let files = manifest.files.values();
    let image = files.clone().filter(|file| file.origin == Origin::Image).count();
    let execs = files.filter(|file| file.uses.contains(&Use::Exec)).count();
    let syscalls: usize = manifest.syscalls.values().map(std::collections::BTreeMap::len).sum();
    eprintln!(
        "{} paths ({image} in the image), {execs} programs, {} sockets, {syscalls} system calls",
        manifest.files.len(),
        manifest.sockets.len(),
    );
    eprintln!(
        "{} calls looked at: {} delivered, {} seen before, {} named nothing, {} lost",
        tally.total(|counters| counters.hits),
        tally.total(|counters| counters.sent + counters.deferred + counters.seen_full + counters.truncated),
        tally.total(|counters| counters.duplicate),
        tally.total(|counters| counters.filtered),
        tally.lost,
    );
    caveats(manifest, "start-up was not observed: files read before the recording began are unknown");
    if !io::is_stdout(output) {
        eprintln!("manifest: {}", output.display());
    }
}

/// Prints what was not seen; `late` is said of a recording that began after the start-up.
pub fn caveats(manifest: &Manifest, late: &str) {
    for recording in manifest.recordings.values() {
        if !recording.startup_observed {
            eprintln!("note: {late}");
        }
        for reason in &recording.incomplete {
            eprintln!("incomplete: {reason}");
        }
    }
}
