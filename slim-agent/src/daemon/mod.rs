//! The daemon: watches containers for days, and can be asked at any time what it knows.
//!
//! The kernel programs are pinned and find containers by themselves, so that recordings go on while no daemon lives
//! ([`crate::probe`]). The engine takes what they tell, writes it to the journal of the recording ([`journal`]), folds it,
//! and now and then writes a checkpoint. A recording that has ended is united with its profile ([`store`]).

mod active;
pub mod api;
pub mod client;
pub mod config;
pub mod control;
pub mod engine;
mod journal;
pub mod memory;
pub mod metrics;
pub mod model;
pub mod notify;
mod rules;
mod store;
mod summary;
mod wishes;

/// How the name begins of a file beside the socket that tells that a recording is in memory only.
pub const MARKER: &str = "unsaved-";

/// Where a daemon listens unless its configuration says otherwise.
pub const SOCKET: &str = "/run/slim-agent/control.sock";
