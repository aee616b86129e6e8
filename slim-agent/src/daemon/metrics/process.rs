//! What the daemon's own process takes.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};

use crate::daemon::model::ProcessMeasures;

/// Looks at this process.
///
/// # Errors
/// There is no usable /proc.
pub fn measure() -> Result<ProcessMeasures> {
    let statm = fs::read_to_string("/proc/self/statm").context("cannot read /proc/self/statm")?;
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().and_then(|size| u64::try_from(size).ok());
    let resident = pages.zip(page).map(|(pages, page)| pages.saturating_mul(page));
    let open = fs::read_dir("/proc/self/fd").context("cannot list /proc/self/fd")?;
    let used = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).context("cannot tell the processor time")?;
    Ok(ProcessMeasures {
        resident_bytes: resident.context("/proc/self/statm has no number of pages")?,
        cpu_seconds: Duration::from(used).as_secs_f64(),
        // The directory itself was open meanwhile.
        open_files: (open.count() as u64).saturating_sub(1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_something() {
        let before = measure().unwrap();
        assert!(before.resident_bytes > 1 << 20 && before.cpu_seconds > 0.0 && before.open_files > 2);
        let held = fs::File::open("/proc/self/exe").unwrap();
        assert!(measure().unwrap().open_files > 2);
        drop(held);
    }
}
