//! Entry point: the command line, logs, and the exit code.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use slim_agent::cli::Cli;
use slim_agent::exit::{self, Exit};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logs(&cli);
    match run(&cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("error: {}", printable(&format!("{error:#}")));
            exit::code_of(&error).into()
        }
    }
}

fn run(cli: &Cli) -> Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the event loop")?.block_on(cli.run())
}

/// A message may quote a manifest or an image that someone else made: what they wrote must not steer the terminal.
fn printable(message: &str) -> String {
    let control = |char: char| char.is_control() && char != '\n';
    message.chars().map(|char| if control(char) { char::REPLACEMENT_CHARACTER } else { char }).collect()
}

/// What never logs: the one shows passwords on their way to a registry, the other says what an error says again.
const SILENT: [&str; 2] = ["ureq_proto", "rustls_platform_verifier"];

/// Logs on standard error. `RUST_LOG` has the last word on what is logged.
fn start_logs(cli: &Cli) {
    let level = match (cli.quiet, cli.verbose) {
        (true, _) => "error",
        (false, 0) => "slim_agent=info,warn",
        (false, 1) => "slim_agent=debug,slim_ebpf=debug,info",
        (false, _) => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let silenced = SILENT.iter().filter_map(|module| format!("{module}=off").parse().ok());
    let filter = silenced.fold(filter, EnvFilter::add_directive);
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(cli.verbose > 0)
        .with_ansi(!plain && std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}
