//! Builds the kernel programs for the bpf target and leaves the object where the agent embeds it.
//!
//! Two toolchains can do it: rustup's nightly with rust-src, or a distribution's compiler with the core sources,
//! known to rustup as `slim-ebpf` (`cargo xtask setup` sets up whichever is missing) or used as it is where there
//! is no rustup. `SLIM_EBPF_TOOLCHAIN` names another one.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use aya_build::{Package, Toolchain};

/// Candidates of rustup, the first that has the core sources wins.
const TOOLCHAINS: [&str; 2] = ["slim-ebpf", "nightly"];

fn main() -> Result<()> {
    println!("cargo:rerun-if-env-changed=SLIM_EBPF_TOOLCHAIN");
    println!("cargo:rerun-if-changed=../slim-common/src");
    println!("cargo:rerun-if-changed=build.rs");
    let toolchain = toolchain()?;
    find_installed_programs()?;
    if !runs(Command::new("bpf-linker").arg("--version")) {
        bail!("bpf-linker is missing, so the kernel programs cannot be built: run `cargo xtask setup` once");
    }
    // SAFETY: a build script's only thread. Building core needs unstable options, also on a stable compiler.
    unsafe { std::env::set_var("RUSTC_BOOTSTRAP", "1") };
    // SAFETY: as above. What the inner cargo says about its progress would arrive as warnings.
    unsafe { std::env::set_var("CARGO_TERM_QUIET", "true") };
    let package = Package { name: "slim-ebpf", root_dir: "../slim-ebpf", ..Package::default() };
    let built = aya_build::build_ebpf([package], Toolchain::Custom(&toolchain));
    built.context("cannot build the kernel programs: does `cargo xtask setup --check` say that all is there?")
}

fn toolchain() -> Result<String> {
    if let Ok(name) = std::env::var("SLIM_EBPF_TOOLCHAIN") {
        return Ok(name);
    }
    if !runs(Command::new("rustup").arg("--version")) {
        // Without rustup, aya-build takes the compiler that is there and ignores the name.
        return if has_core_sources(Command::new("rustc")) { Ok("default".into()) } else { missing() };
    }
    let mut found = TOOLCHAINS.iter().filter(|name| {
        let mut rustc = Command::new("rustup");
        rustc.args(["run", name, "rustc"]);
        has_core_sources(rustc)
    });
    found.next().map_or_else(missing, |name| Ok((*name).to_owned()))
}

/// Puts cargo's own bin directory, where `cargo install` leaves bpf-linker, on the search path.
fn find_installed_programs() -> Result<()> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(home.map(|home| home.join("bin")));
    let joined = std::env::join_paths(dirs).context("PATH has a directory with a colon in its name")?;
    // SAFETY: a build script's only thread.
    unsafe { std::env::set_var("PATH", joined) };
    Ok(())
}

fn missing() -> Result<String> {
    bail!(
        "no Rust toolchain with the core sources (rust-src) is here, so the kernel programs cannot be built: run `cargo xtask setup` once"
    )
}

fn has_core_sources(mut rustc: Command) -> bool {
    let Ok(output) = rustc.args(["--print", "sysroot"]).output() else { return false };
    let sysroot = String::from_utf8_lossy(&output.stdout);
    Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core/src/lib.rs").exists()
}

fn runs(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
