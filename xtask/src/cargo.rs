//! The cargo that runs us, and where this workspace keeps things.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// The workspace's top directory.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

/// The same cargo as ours, in the workspace's top directory.
pub fn cargo(args: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = process::command(program, args);
    command.current_dir(root());
    command
}

/// The target directory, wherever the user's configuration puts it.
pub fn target_dir() -> Result<PathBuf> {
    let text = process::output(&mut cargo(&["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&text).context("cargo metadata is not JSON")?;
    metadata["target_directory"]
        .as_str()
        .map(PathBuf::from)
        .context("cargo metadata names no target directory")
}

/// Builds slim-agent in release and says where it is; SLIM_AGENT names a finished one instead.
pub fn release_agent() -> Result<PathBuf> {
    if let Some(finished) = std::env::var_os("SLIM_AGENT") {
        return Ok(finished.into());
    }
    process::run(&mut cargo(&["build", "--release", "--package", "slim-agent"]))?;
    Ok(target_dir()?.join("release/slim-agent"))
}
