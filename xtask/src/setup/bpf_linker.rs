//! bpf-linker, which turns the compiler's bitcode into the eBPF object.

use std::path::PathBuf;

use anyhow::Result;

use super::bpf_toolchain::{Compiler, usable};
use super::{Gap, apt};
use crate::cargo::cargo;
use crate::process::{found, run};

/// The version that the eBPF object is known to link with.
const VERSION: &str = "0.13.0";

/// bpf-linker must read the bitcode of Debian's rustc-web, so it is built on the same LLVM.
const DEBIAN_LLVM: &[&str] = &["llvm-22-dev", "libpolly-22-dev", "libzstd-dev"];

/// The gap, when it is nowhere.
pub fn gap() -> Option<Gap> {
    if found("bpf-linker") || cargo_bin().is_some_and(|directory| directory.join("bpf-linker").exists()) {
        return None;
    }
    let missing = "bpf-linker, to link the eBPF object";
    // The compiler may be missing too; setup fills that gap first and asks again.
    if usable() == Some(Compiler::Rustup) || !apt::present() {
        let remedy = format!("run cargo install bpf-linker@{VERSION} (some minutes)");
        return Some(Gap::fixable(missing, remedy, || install(&[])));
    }
    let packages = DEBIAN_LLVM.join(" ");
    let remedy = format!("apt-get install {packages}, and run cargo install bpf-linker@{VERSION} on it");
    Some(Gap::fixable(missing, remedy, || {
        apt::install(DEBIAN_LLVM)?;
        install(&["--no-default-features", "--features", "llvm-22"])
    }))
}

fn install(features: &[&str]) -> Result<()> {
    let version = format!("bpf-linker@{VERSION}");
    let words = [&["install", "--locked", version.as_str()], features].concat();
    let mut command = cargo(&words);
    if !features.is_empty() {
        command.env("LLVM_PREFIX", "/usr/lib/llvm-22");
    }
    run(&mut command)
}

fn cargo_bin() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))?;
    Some(home.join("bin"))
}
