//! `cargo xtask accuracy`: what recordings hold of what strace sees, as a table in the README.

use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::cargo::{cargo, release_agent, target_dir};
use crate::style::{headline, step};
use crate::{images, process, readme, setup};

/// Options of `cargo xtask accuracy`.
#[derive(clap::Args)]
pub struct Args {
    /// Leave the README as it is
    #[arg(long)]
    check: bool,
    /// Only these images, which leaves the README as it is too; all of them without
    names: Vec<String>,
}

/// The verb. Recall below 100 % is an error, whatever is done with the table.
pub fn run(args: &Args) -> Result<()> {
    setup::ensure()?;
    step("images", images::build_all)?;
    let agent = step("release build of slim-agent", release_agent)?;
    let words = ["build", "--package", "slim-tests", "--bin", "accuracy"];
    step("the comparison", || process::run(&mut cargo(&words)))?;

    headline("the same work under strace and under slim-agent");
    let place = target_dir()?.join("accuracy");
    let mut compare = process::command(target_dir()?.join("debug/accuracy"), [&place]);
    compare.args(&args.names).env("SLIM_AGENT", agent).stderr(Stdio::inherit());
    let compared = compare.output().context("cannot run the comparison")?;
    let table = String::from_utf8(compared.stdout).context("the table is not UTF-8")?;
    print!("{table}");
    if !compared.status.success() {
        bail!("the comparison failed, as said above; its traces and manifests: {}", place.display());
    }
    if args.check || !args.names.is_empty() { Ok(()) } else { readme::write("accuracy", &table) }
}
