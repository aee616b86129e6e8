#![doc = include_str!("../ARCHITECTURE.md")]

pub mod capability;
pub mod cli;
pub mod commands;
pub mod container;
pub mod coverage;
pub mod decode;
pub mod exit;
pub mod export;
pub mod harden;
pub mod image;
pub mod manifest;
pub mod plan;
pub mod probe;
pub mod resolve;
pub mod surface;
pub mod syscall_table;
