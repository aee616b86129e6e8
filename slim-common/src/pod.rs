//! `aya::Pod` for the types that the agent reads from or writes to maps.

use crate::{call::Call, config::Config, counters::Counters, record::Key, scope};

// SAFETY: repr(C), only integers and arrays of integers, no implicit padding: every bit pattern is valid.
unsafe impl aya::Pod for Call {}
// SAFETY: as above; the u64 comes first and `pad` fills the tail.
unsafe impl aya::Pod for Config {}
// SAFETY: as above.
unsafe impl aya::Pod for Counters {}
// SAFETY: as above.
unsafe impl aya::Pod for Key {}
// SAFETY: as above.
unsafe impl aya::Pod for scope::Command {}
// SAFETY: as above.
unsafe impl aya::Pod for scope::NearScope {}
// SAFETY: as above.
unsafe impl aya::Pod for scope::Scope {}
// SAFETY: as above.
unsafe impl aya::Pod for scope::Slot {}
// SAFETY: as above.
unsafe impl aya::Pod for scope::Auto {}
// SAFETY: as above.
unsafe impl aya::Pod for scope::Birth {}
// SAFETY: as above.
unsafe impl aya::Pod for scope::Meta {}
