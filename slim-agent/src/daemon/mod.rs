//! The daemon: watches containers for days, and can be asked at any time what it knows.

pub mod api;
pub mod client;
pub mod control;
pub mod metrics;
pub mod model;
pub mod notify;
