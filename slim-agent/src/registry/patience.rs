//! Pauses between attempts: random, so that those who met once do not meet again.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::thread;
use std::time::Duration;

/// What the pause after the first attempt is at most; it doubles with each.
const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);

/// Waits before attempt `number` + 1, counted from 0.
pub fn pause(number: u32) {
    let most = FIRST.saturating_mul(2_u32.saturating_pow(number)).min(LONGEST);
    thread::sleep(random(most));
}

/// Any time up to `most`.
fn random(most: Duration) -> Duration {
    // The standard library seeds its hash tables at random.
    let number = RandomState::new().build_hasher().finish();
    let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(number % most)
}
