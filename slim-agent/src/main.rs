//! Entry point: the command line, logs, and the exit code.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use slim_agent::cli::Cli;
use slim_agent::exit::{self, Exit};

mod logs;

fn main() -> ExitCode {
    let cli = Cli::parse();
    logs::start(&cli);
    match run(&cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            logs::failure(&format!("{error:#}"));
            exit::code_of(&error).into()
        }
    }
}

fn run(cli: &Cli) -> Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the event loop")?.block_on(cli.run())
}
