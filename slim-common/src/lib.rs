//! Layouts shared by the kernel programs and the agent of slim-agent: what crosses maps and the ring buffer.
//!
//! Everything here is `repr(C)` with explicit padding, fixed-size and endian-native: kernel and agent run on the
//! same machine. The feature `user` adds `aya::Pod` for the agent.
#![no_std]

pub mod call;
pub mod config;
pub mod counters;
pub mod limits;
pub mod record;
pub mod scope;

#[cfg(feature = "user")]
mod pod;
