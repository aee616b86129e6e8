//! What a plan or a manifest is turned into: one file for each format.

mod directory;
pub mod dockerfile;
pub mod image;
pub mod output;
mod registry;
pub mod seccomp;
