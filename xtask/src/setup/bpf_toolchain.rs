//! A compiler for the eBPF object: any rustc that may use unstable features and has the core library's sources.
//!
//! Two ways lead there: rustup's nightly with the component rust-src, or Debian's rustc-web packages, which
//! rustup then knows under the name [`LINKED`]. The build script of slim-agent looks for the same.

use std::path::Path;

use anyhow::Result;

use super::{Gap, apt};
use crate::process::{command, found, output, run};

/// The name that rustup knows Debian's compiler by.
const LINKED: &str = "slim-ebpf";

/// Debian's compiler of a recent Rust, with the sources that `-Z build-std` needs.
const DEBIAN: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];

/// Where a usable compiler comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Compiler {
    /// Debian's: its LLVM is Debian's too.
    Debian,
    /// A toolchain that brings its own LLVM.
    Rustup,
}

/// The compiler that the build will use, if there is one.
pub fn usable() -> Option<Compiler> {
    if !found("rustup") {
        return has_core_sources(&["rustc"]).then_some(Compiler::Debian);
    }
    if has_core_sources(&["rustup", "run", LINKED, "rustc"]) {
        return Some(Compiler::Debian);
    }
    has_core_sources(&["rustup", "run", "nightly", "rustc"]).then_some(Compiler::Rustup)
}

/// The gap, when there is no usable compiler.
pub fn gap() -> Option<Gap> {
    if usable().is_some() {
        return None;
    }
    let missing = "a Rust compiler for the eBPF object, with the core library's sources";
    // Whatever apt's missing lists would offer is known only after the first fetch.
    if apt::offers(DEBIAN) || (apt::present() && !apt::has_lists()) {
        let remedy = format!("apt-get install {}, and link it as rustup's {LINKED}", DEBIAN.join(" "));
        return Some(Gap::fixable(missing, remedy, use_debian));
    }
    if found("rustup") {
        let remedy = "run rustup toolchain install nightly --component rust-src".into();
        return Some(Gap::fixable(missing, remedy, use_nightly));
    }
    Some(Gap::by_hand(missing, "install rustup (https://rustup.rs), then run this again"))
}

/// Lists that a machine came with may offer an older compiler than the archive has, so they are fetched anew.
fn use_debian() -> Result<()> {
    apt::refresh()?;
    if !apt::offers(DEBIAN) && found("rustup") {
        return use_nightly();
    }
    apt::install(DEBIAN)?;
    if found("rustup") {
        run(&mut command("rustup", ["toolchain", "link", LINKED, "/usr"]))?;
    }
    Ok(())
}

fn use_nightly() -> Result<()> {
    let install = ["toolchain", "install", "nightly", "--profile", "minimal", "--component", "rust-src"];
    run(&mut command("rustup", install))
}

fn has_core_sources(rustc: &[&str]) -> bool {
    let words = rustc[1..].iter().copied().chain(["--print", "sysroot"]);
    // An absent toolchain must stay absent: looking changes nothing.
    let sysroot = output(command(rustc[0], words).env("RUSTUP_AUTO_INSTALL", "0"));
    sysroot.is_ok_and(|path| Path::new(&path).join("lib/rustlib/src/rust/library/core/src/lib.rs").exists())
        && is_recent(rustc)
}

/// Whether a compiler is at least the workspace's rust-version.
fn is_recent(rustc: &[&str]) -> bool {
    let words = rustc[1..].iter().copied().chain(["--version"]);
    let version = output(&mut command(rustc[0], words)).unwrap_or_default();
    minor(&version)
        .zip(minor(concat!("rustc ", env!("CARGO_PKG_RUST_VERSION"))))
        .is_some_and(|(has, needs)| has >= needs)
}

/// The second number of `rustc 1.88.0 (...)`; the first has been 1 ever since.
fn minor(version: &str) -> Option<u32> {
    version.strip_prefix("rustc 1.")?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_second_number() {
        assert_eq!(minor("rustc 1.96.0-nightly (abc 2026-01-01)"), Some(96));
        assert_eq!(minor("rustc 1.88"), Some(88));
        assert_eq!(minor("clang 1.2"), None);
    }
}
