//! The running kernel's constants: read-only data that the agent fills in before loading.

use slim_common::config::Config;

// SAFETY: `Config` consists of integers only; all-zero is a valid value.
#[unsafe(no_mangle)]
static CONFIG: Config = unsafe { core::mem::zeroed() };

/// One constant. The volatile read keeps the compiler from folding the zeroes of this file into the programs; the
/// verifier folds the real value instead.
macro_rules! constant {
    ($($field:tt)+) => {{
        // SAFETY: a reference to a static is valid, aligned and initialised.
        unsafe { core::ptr::read_volatile(&raw const (*$crate::config::address()).$($field)+) }
    }};
}
pub(crate) use constant;

/// Where the constants are.
#[inline(always)]
pub fn address() -> *const Config {
    &raw const CONFIG
}
