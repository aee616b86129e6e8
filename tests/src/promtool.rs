//! Prometheus' own checker.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

/// promtool, ready for arguments.
pub fn promtool() -> Result<Command> {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/promtool/promtool");
    ensure!(tool.exists(), "promtool is not there: cargo xtask setup");
    Ok(Command::new(tool))
}
