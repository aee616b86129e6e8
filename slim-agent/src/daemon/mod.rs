//! The daemon: watches containers for days, and can be asked at any time what it knows.

pub mod api;
pub mod client;
pub mod control;
pub mod metrics;
pub mod model;
pub mod notify;

/// Where a daemon listens unless its configuration says otherwise.
pub const SOCKET: &str = "/run/slim-agent/control.sock";
