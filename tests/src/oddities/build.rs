//! Compiling the programs: one compiler run each.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::directive::{Build, Oddity};
use super::sources;
use crate::command::output;

/// What a program is linked with when it is linked at run time, as the compiler names them.
const LOADER: &str = "ld-linux-x86-64.so.2";
const LIBRARY: &str = "libc.so.6";

/// Compiles a source to `to`.
///
/// # Errors
/// The compiler is missing, or does not like the source.
pub fn compile(source: &Path, build: Build, home: &str, to: &Path) -> Result<()> {
    let mut compiler = compiler(if build == Build::Musl { "musl-gcc" } else { "gcc" });
    match build {
        Build::Static => compiler.args(["-static", "-pthread"]),
        // musl has no headers of the kernel's own.
        Build::Musl => compiler.arg("-static"),
        Build::I386 => {
            compiler.args(["-m32", "-static", "-nostdlib", "-ffreestanding", "-fno-pie", "-no-pie"])
        }
        Build::Dynamic => compiler
            .arg(format!("-Wl,--dynamic-linker={home}/{LOADER}"))
            .arg(format!("-Wl,--disable-new-dtags,-rpath,{home}")),
    };
    run(&mut compiler, source, to)
}

/// Compiles the source of a program to a shared object.
pub fn compile_library(source: &Path, to: &Path) -> Result<()> {
    run(compiler("gcc").args(["-shared", "-fPIC", "-DLIBRARY"]), source, to)
}

/// The loader and the C library that a program linked at run time finds in its own directory.
pub fn libraries(oddity: &Oddity) -> Result<Vec<(&'static str, PathBuf)>> {
    if oddity.build != Build::Dynamic {
        return Ok(Vec::new());
    }
    [LOADER, LIBRARY].into_iter().map(|name| Ok((name, library(name)?))).collect()
}

fn library(name: &str) -> Result<PathBuf> {
    let path = output(Command::new("gcc").arg(format!("-print-file-name={name}")))?;
    // The compiler answers with the bare name when it does not find it.
    if !path.starts_with('/') {
        bail!("gcc does not find {name}: install what Debian calls libc6-dev");
    }
    std::fs::canonicalize(&path).with_context(|| format!("cannot find {path}"))
}

fn compiler(name: &str) -> Command {
    let mut compiler = Command::new(name);
    compiler
        .args(["-std=gnu11", "-Os", "-s", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", "-I"])
        .arg(sources().join("support"));
    compiler
}

fn run(compiler: &mut Command, source: &Path, to: &Path) -> Result<()> {
    compiler.arg("-o").arg(to).arg(source);
    output(compiler).map(drop).with_context(|| {
        format!("cannot compile {}; `cargo xtask setup` installs the compilers", source.display())
    })
}
