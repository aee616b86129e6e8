//! kubernetes-validate, which checks documents against the schemas that Kubernetes publishes and that it brings along.

use std::path::PathBuf;

use anyhow::Result;

use super::{Gap, apt};
use crate::cargo::root;
use crate::process::{command, found, run, succeeds};

/// From PyPI.
const PACKAGE: &str = "kubernetes-validate==1.37.0";

/// The gap, when it is not in its own environment.
pub fn gap() -> Option<Gap> {
    if place().join("bin/kubernetes-validate").exists() {
        return None;
    }
    let missing = "kubernetes-validate, to check what is exported for Kubernetes";
    if !found("python3") && !apt::present() {
        return Some(Gap::by_hand(missing, "install Python 3 with venv"));
    }
    let remedy = format!("pip install {PACKAGE} into {}", place().display());
    Some(Gap::fixable(missing, remedy, install))
}

/// Tests look for it here, whatever the target directory is.
fn place() -> PathBuf {
    root().join("target/kubernetes-validate")
}

fn install() -> Result<()> {
    // Debian has venv in a package of its own, and half of it in Python's.
    if !succeeds(&mut command("python3", ["-c", "import ensurepip, venv"])) {
        apt::install(&["python3-venv"])?;
    }
    run(command("python3", ["-m", "venv"]).arg(place()))?;
    run(&mut command(place().join("bin/pip"), ["install", "--quiet", PACKAGE]))
}
