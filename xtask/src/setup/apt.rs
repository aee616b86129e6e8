//! Debian packages, on hosts that have apt.

use std::fs;

use anyhow::Result;

use crate::process::{as_root, command, found, run, succeeds};

/// Whether this host installs packages with apt.
pub fn present() -> bool {
    found("apt-get")
}

/// Whether apt has ever fetched its lists: without them it offers nothing, which then means nothing.
pub fn has_lists() -> bool {
    let lists = fs::read_dir("/var/lib/apt/lists").into_iter().flatten().flatten();
    lists.map(|list| list.file_name()).any(|name| name.to_string_lossy().contains("_Packages"))
}

/// Whether apt knows a candidate for every one of `packages`.
pub fn offers(packages: &[&str]) -> bool {
    present()
        && packages.iter().all(|package| succeeds(&mut command("apt-cache", ["show", "--quiet", package])))
}

/// Installs packages, and refreshes apt's lists only when they do not serve.
pub fn install(packages: &[&str]) -> Result<()> {
    if offers(packages) && try_install(packages).is_ok() {
        return Ok(());
    }
    refresh()?;
    try_install(packages)
}

/// Refreshes apt's lists.
pub fn refresh() -> Result<()> {
    run(&mut as_root("apt-get", &["update", "--quiet"]))
}

fn try_install(packages: &[&str]) -> Result<()> {
    let mut words = vec!["DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--quiet", "--yes"];
    words.push("--no-install-recommends");
    words.extend(packages);
    run(&mut as_root("env", &words))
}
