//! `cargo xtask test`: everything that must hold, from format to real containers.

use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;

use crate::cargo::{cargo, release_agent};
use crate::process;
use crate::style::{headline, step};
use crate::vm::Kernel;
use crate::{images, setup, verifier, vm};

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub struct Args {
    /// Only the tests on real containers, and of these only the ones whose name contains this
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

/// The eBPF object is no host program: slim-agent's build script builds it.
const HOST_CRATES: [&str; 3] = ["--workspace", "--exclude", "slim-ebpf"];

/// The verb. The tests on real containers come last, so that their result closes the output.
pub fn run(args: &Args) -> Result<()> {
    step("setup", setup::ensure)?;
    if args.only.is_none() {
        step("format", || process::run(&mut cargo(&["fmt", "--all", "--check"])))?;
        step("lints", lints)?;
        step("unit tests", unit_tests)?;
    }
    step("images", images::build_all)?;
    let agent = step("release build of slim-agent", release_agent)?;
    if args.only.is_none() {
        other_kernels(&agent)?;
    }
    headline("tests on real containers and this kernel");
    privileged_tests(&agent, args.only.as_deref())
}

fn lints() -> Result<()> {
    let words = [&["clippy"], HOST_CRATES.as_slice(), &["--all-targets", "--", "-D", "warnings"]].concat();
    process::run(&mut cargo(&words))
}

fn unit_tests() -> Result<()> {
    let words = [&["test"], HOST_CRATES.as_slice(), &["--exclude", "slim-tests"]].concat();
    process::run(&mut cargo(&words))?;
    process::run(&mut cargo(&["test", "--package", "slim-tests", "--lib", "--bins"]))
}

/// What can be tried without a container engine, under kernels that are not this host's.
fn other_kernels(agent: &Path) -> Result<()> {
    if let Some(obstacle) = vm::obstacle() {
        headline(&format!("NOT TESTED under other kernels: {obstacle}"));
        return Ok(());
    }
    verifier::check(&verifier::measure(agent)?)?;
    vm::oddities(agent, Kernel::value_variants())
}

fn privileged_tests(agent: &Path, only: Option<&str>) -> Result<()> {
    let mut words = vec!["test", "--package", "slim-tests", "--test", "it", "--"];
    words.extend(only);
    // Each test starts containers and puts load on them: more at a time would only wait for each other.
    words.push("--test-threads=2");
    // An error tells its story in sentences; frames of the harness would bury them.
    process::run(cargo(&words).env("SLIM_AGENT", agent).env("RUST_LIB_BACKTRACE", "0"))
}
