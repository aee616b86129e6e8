//! `cargo xtask accuracy`: what recordings hold of what strace sees, as a table in the README.

use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::cargo::{cargo, release_agent, root, target_dir};
use crate::process;
use crate::style::{headline, step};
use crate::{images, setup};

/// What the table stands between.
const BEGIN: &str = "<!-- accuracy: written by cargo xtask accuracy -->\n";
const END: &str = "<!-- accuracy: end -->";

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
    if args.check || !args.names.is_empty() { Ok(()) } else { write(&table) }
}

fn write(table: &str) -> Result<()> {
    let path = root().join("README.md");
    let readme = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let readme =
        replaced(&readme, table).with_context(|| format!("{} has no place for it", path.display()))?;
    fs::write(&path, readme).with_context(|| format!("cannot write {}", path.display()))
}

/// `text` with `table` between the markers; `None` when it has none.
fn replaced(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{table}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_replaces_the_one_before_and_nothing_else() {
        let text = format!("# A\n{BEGIN}| old |\n{END}\nmore\n");
        assert_eq!(replaced(&text, "| new |\n").unwrap(), format!("# A\n{BEGIN}| new |\n{END}\nmore\n"));
        assert_eq!(replaced(&replaced(&text, "x\n").unwrap(), "| old |\n").unwrap(), text);
        assert!(replaced("# A\n", "| new |\n").is_none());
    }
}
