//! What a plan or a manifest is turned into: one file for each format.

pub mod apparmor;
pub mod bundle;
pub mod compose;
pub mod deployment;
mod directory;
pub mod docker_run;
pub mod dockerfile;
pub mod image;
pub mod kubernetes;
pub mod output;
mod registry;
pub mod seccomp;
pub mod systemd;
mod yaml;
