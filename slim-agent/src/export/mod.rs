//! What a manifest is turned into: one file for each format.

pub mod seccomp;
