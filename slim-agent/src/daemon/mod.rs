//! The daemon: watches containers for days, and can be asked at any time what it knows.

pub mod control;
pub mod model;
