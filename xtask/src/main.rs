//! Project automation: `cargo xtask <verb>`. One verb per file; this one is only the list.

mod accuracy;
mod bench;
mod cargo;
mod demo;
mod docker;
mod format;
mod images;
mod load;
mod process;
mod readme;
mod recording;
mod runtimes;
mod setup;
mod soak;
mod style;
mod suites;
mod table;
mod test;
mod throughput;
mod verifier;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Sets up, tests, demonstrates and measures slim-agent.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Find what this host lacks to build and test, say what will be done, and do it
    Setup(setup::Args),
    /// Build the container images that tests and the demonstration use
    Images(images::Args),
    /// Set up, then run everything: format, lints, unit tests, tests on real containers
    Test(test::Args),
    /// Record a real nginx, export a slim image and a seccomp profile, and show the gain
    Demo(demo::Args),
    /// Compare recordings of the applications with what strace sees, and write the result into the README
    Accuracy(accuracy::Args),
    /// Slim every application after one test suite, try it with another, and write the result into the README
    Table(suites::Args),
    /// Trace runc and crun, and write what they call under a container's filter into the sources
    Runtimes(runtimes::Args),
    /// Boot other kernels in virtual machines and record the oddity programs there
    Vm(vm::Args),
    /// Say how much the verifiers of several kernels have to do, and compare with the budget
    Verifier(verifier::Args),
    /// Measure
    Bench(bench::Args),
    /// Run a daemon under load for many minutes, and say whether it stays small, quick and complete
    Soak(soak::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().verb {
        Verb::Setup(args) => setup::run(&args),
        Verb::Images(args) => images::run(&args),
        Verb::Test(args) => test::run(&args),
        Verb::Demo(args) => demo::run(&args),
        Verb::Accuracy(args) => accuracy::run(&args),
        Verb::Table(args) => suites::run(&args),
        Verb::Runtimes(args) => runtimes::run(&args),
        Verb::Vm(args) => vm::run(&args),
        Verb::Verifier(args) => verifier::run(&args),
        Verb::Bench(args) => bench::run(&args),
        Verb::Soak(args) => soak::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not by returning it: RUST_BACKTRACE would bury the sentence under frames of this program.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
