//! The kernel side: what this host offers, and the programs that are loaded into it.

pub mod support;
