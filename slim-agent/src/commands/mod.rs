//! One file for each subcommand: its arguments, and what it does.

pub mod completions;
pub mod coverage;
pub mod daemon;
pub mod doctor;
pub mod export_all;
pub mod export_dockerfile;
pub mod export_hardening;
pub mod export_image;
pub mod export_seccomp;
pub mod forget;
mod interrupt;
pub mod list;
mod manifests;
pub mod merge;
pub mod policy;
pub mod pull;
pub mod push;
pub mod record;
mod runtime;
pub mod show;
pub mod slim;
pub mod snapshot;
mod socket;
pub mod start;
pub mod status;
pub mod stop;
pub mod uninstall;
pub mod watch;

use std::io;
use std::path::Path;

use anyhow::{Context, Result};

use crate::manifest::io as manifest_io;

/// Writes a command's result to `path`, whole or not at all; `-` is standard output, whose reader may close it early
/// without harm.
fn emit(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = manifest_io::write(path, bytes);
    let closed = |error: &anyhow::Error| {
        let cause = error.root_cause().downcast_ref::<io::Error>();
        cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
    };
    match written {
        Err(error) if manifest_io::is_stdout(path) && closed(&error) => Ok(()),
        written => written,
    }
}

/// Pretty JSON with a final newline.
fn json(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value).context("cannot serialise the result")?;
    bytes.push(b'\n');
    Ok(bytes)
}
