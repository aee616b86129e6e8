//! promtool, which checks metrics and alerts as Prometheus reads them. Only the tool: Debian's package is a service.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{Gap, apt};
use crate::cargo::root;
use crate::process::{command, run, succeeds};

/// The package that has it.
const PACKAGE: &str = "prometheus";

/// The gap, when it is not there.
pub fn gap() -> Option<Gap> {
    if place().join("promtool").exists() {
        return None;
    }
    let missing = "promtool, to check metrics and alerts";
    if !apt::present() {
        let remedy = format!("put Prometheus' promtool into {}", place().display());
        return Some(Gap::by_hand(missing, remedy));
    }
    let remedy = format!("take it out of the Debian package {PACKAGE}, into {}", place().display());
    Some(Gap::fixable(missing, remedy, install))
}

/// Tests look for it here, whatever the target directory is.
fn place() -> PathBuf {
    root().join("target/promtool")
}

fn install() -> Result<()> {
    let place = place();
    std::fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    let download = || {
        let mut download = command("apt-get", ["download", "--quiet", PACKAGE]);
        download.current_dir(&place);
        download
    };
    if !succeeds(&mut download()) {
        apt::refresh()?;
        run(&mut download())?;
    }
    let script = "dpkg-deb --fsys-tarfile ./*.deb | tar --extract --strip-components=3 ./usr/bin/promtool && rm ./*.deb";
    run(command("sh", ["-euc", script]).current_dir(&place))
}
