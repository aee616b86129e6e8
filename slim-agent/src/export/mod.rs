//! What a plan or a manifest is turned into: one file for each format.

pub mod image;
pub mod output;
mod registry;
pub mod seccomp;
