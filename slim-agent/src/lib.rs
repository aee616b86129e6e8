#![doc = include_str!("../ARCHITECTURE.md")]

pub mod capability;
pub mod cli;
pub mod commands;
pub mod container;
pub mod coverage;
pub mod daemon;
pub mod decode;
pub mod exit;
pub mod export;
mod flock;
pub mod harden;
pub mod image;
pub mod manifest;
pub mod plan;
pub mod probe;
pub mod recording;
pub mod registry;
pub mod resolve;
pub mod share;
pub mod surface;
pub mod syscall_table;
