//! `cargo xtask table`: every application is recorded under one suite, slimmed, and tried with that suite and with
//! another one that was not recorded.

mod cases;
mod heal;
mod job;
mod report;
mod slim;
mod start;

use std::fs;

use anyhow::{Context, Result, bail, ensure};

use self::job::{Figures, Job};
use crate::cargo::{release_agent, target_dir};
use crate::style::step;
use crate::{images, readme, setup};

/// The applications: the image's name in the corpus, and what it is.
const APPLICATIONS: [(&str, &str); 9] = [
    ("nginx", "nginx"),
    ("flask", "gunicorn + Flask"),
    ("redis", "Redis"),
    ("postgres", "PostgreSQL 15"),
    ("node", "Node.js + Express"),
    ("java", "OpenJDK 17"),
    ("pandas", "pandas + NumPy"),
    ("switch", "bash entrypoint"),
    ("go", "Go, static binary"),
];

/// Options of `cargo xtask table`.
#[derive(clap::Args)]
pub struct Args {
    /// Run suite B under `slim-agent watch` as well, merge what it finds missing, and try suite B again
    #[arg(long)]
    heal: bool,
    /// Leave the README as it is
    #[arg(long)]
    check: bool,
    /// Only these images, which leaves the README as it is too; all of them without
    names: Vec<String>,
}

/// The verb. An error, after the tables, when suite A or what both suites need is not all there.
pub fn run(args: &Args) -> Result<()> {
    let chosen = chosen(&args.names)?;
    setup::ensure()?;
    step("images", || chosen.iter().try_for_each(|(name, _)| images::build(name)))?;
    let agent = step("release build of slim-agent", release_agent)?;
    let place = target_dir()?.join("table");
    fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;

    let (mut rows, mut broken) = (Vec::new(), Vec::new());
    for (name, title) in chosen {
        let job = Job { agent: &agent, name, place: &place };
        match step(title, || job.figures(args.heal)) {
            Ok(figures) => rows.push((title, figures)),
            Err(error) => broken.push(format!("\n  {title}: {error:#}")),
        }
    }
    let text = report::text(&rows);
    print!("{text}");
    println!("\nManifests, profiles and what the suites said: {}", place.display());
    ensure!(broken.is_empty(), "not all could be tried:{}", broken.concat());
    verdict(&rows)?;
    if args.check || !args.names.is_empty() { Ok(()) } else { readme::write("table", &text) }
}

fn chosen(names: &[String]) -> Result<Vec<(&'static str, &'static str)>> {
    let unknown = names.iter().find(|name| APPLICATIONS.iter().all(|(image, _)| image != name));
    ensure!(unknown.is_none(), "no application is called {unknown:?}");
    let wanted = |(image, _): &&(&str, &str)| names.is_empty() || names.iter().any(|name| name == image);
    Ok(APPLICATIONS.iter().filter(wanted).copied().collect())
}

/// What was recorded must work. That suite B fails where it was not recorded is a finding, no error.
fn verdict(rows: &[(&str, Figures)]) -> Result<()> {
    let mut wrong = Vec::new();
    for (title, figures) in rows {
        for (what, score) in [("suite A", &figures.a), ("both suites, recorded", &figures.both)] {
            let failed =
                score.failures.iter().map(|(case, why)| format!("\n  {title}, {what}: {case}: {why}"));
            wrong.extend(failed);
        }
    }
    if wrong.is_empty() { Ok(()) } else { bail!("what was recorded is missing:{}", wrong.concat()) }
}
