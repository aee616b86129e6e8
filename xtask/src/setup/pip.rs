//! Programs from PyPI, each in an environment of its own below the target directory, where tests look for them.

use std::path::PathBuf;

use anyhow::Result;

use super::{Gap, apt};
use crate::cargo::root;
use crate::process::{command, found, run, succeeds};

/// A program.
struct Tool {
    name: &'static str,
    /// Name and version of its package.
    package: &'static str,
    /// What it is for.
    purpose: &'static str,
}

/// Checks documents against the schemas that Kubernetes publishes and that it brings along.
const KUBERNETES_VALIDATE: Tool = Tool {
    name: "kubernetes-validate",
    package: "kubernetes-validate==1.37.0",
    purpose: "to check what is exported for Kubernetes",
};

/// A registry that knows the referrers API of OCI 1.1, which Debian's does not.
const PERYX: Tool =
    Tool { name: "peryx", package: "peryx==2026.1010.0", purpose: "a registry to share recordings through" };

/// The gap, when kubernetes-validate is not there.
pub fn kubernetes_gap() -> Option<Gap> {
    KUBERNETES_VALIDATE.gap()
}

/// The gap, when peryx is not there.
pub fn registry_gap() -> Option<Gap> {
    PERYX.gap()
}

impl Tool {
    fn gap(&'static self) -> Option<Gap> {
        let place = self.place();
        if place.join("bin").join(self.name).exists() {
            return None;
        }
        let missing = format!("{}, {}", self.name, self.purpose);
        if !found("python3") && !apt::present() {
            return Some(Gap::by_hand(&missing, "install Python 3 with venv"));
        }
        let remedy = format!("pip install {} into {}", self.package, place.display());
        Some(Gap::fixable(&missing, remedy, || self.install()))
    }

    /// Whatever the target directory is.
    fn place(&self) -> PathBuf {
        root().join("target").join(self.name)
    }

    fn install(&self) -> Result<()> {
        // Debian has venv in a package of its own, and half of it in Python's.
        if !succeeds(&mut command("python3", ["-c", "import ensurepip, venv"])) {
            apt::install(&["python3-venv"])?;
        }
        run(command("python3", ["-m", "venv"]).arg(self.place()))?;
        run(&mut command(self.place().join("bin/pip"), ["install", "--quiet", self.package]))
    }
}
