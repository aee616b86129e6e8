//! Waiting for what a test expects, instead of sleeping and hoping.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Far longer than anything takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits until `condition` holds; an error that names `what` when it does not come to be.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let began = Instant::now();
    while !condition()? {
        if began.elapsed() > LIMIT {
            bail!("waited {} s in vain: {what}", LIMIT.as_secs());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
