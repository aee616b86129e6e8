//! Records the programs of `tests/programs` without a container engine, and says of each whether the manifest has what
//! it must have.
//!
//! `--lay-down DIR` makes a root directory with the compiled programs, where there are compilers and the sources;
//! `--agent PATH --root DIR` needs nothing but that directory, the agent and root.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use slim_tests::oddities::{Verdict, conduct, in_jail, lay_down};

const USAGE: &str = "usage: oddities --lay-down DIR
       oddities --agent PATH --root DIR [--tier NAME] [--dump FILE]";

/// What was typed.
#[derive(Default)]
struct Args {
    lay_down: Option<PathBuf>,
    agent: Option<PathBuf>,
    root: Option<PathBuf>,
    tier: Option<String>,
    dump: Option<PathBuf>,
    conduct: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    let args = Args::parse(std::env::args().skip(1))?;
    match (&args.lay_down, &args.conduct, &args.agent, &args.root) {
        (Some(directory), None, None, None) => lay_down(directory).map(|()| true),
        (None, Some(address), None, None) => conduct(address).map(|()| true),
        (None, None, Some(agent), Some(root)) => report(agent, root, &args),
        _ => bail!("{USAGE}"),
    }
}

fn report(agent: &Path, root: &Path, args: &Args) -> Result<bool> {
    let recorded = in_jail(agent, root, args.tier.as_deref(), args.dump.as_deref())?;
    let (mut passed, mut failed) = (0, 0);
    for (name, verdict) in &recorded.verdicts {
        match verdict {
            Verdict::Passed => {
                passed += 1;
                println!("ok {name}");
            }
            Verdict::Absent(since) => println!("absent {name} (needs Linux {since})"),
            Verdict::Failed(faults) => {
                failed += 1;
                println!("FAILED {name}: {}", faults.join("\n    "));
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(failed == 0)
}

impl Args {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut args = Self::default();
        while let Some(option) = words.next() {
            let Some(value) = words.next() else { bail!("{option} needs a value\n{USAGE}") };
            match option.as_str() {
                "--lay-down" => args.lay_down = Some(value.into()),
                "--agent" => args.agent = Some(value.into()),
                "--root" => args.root = Some(value.into()),
                "--tier" => args.tier = Some(value),
                "--dump" => args.dump = Some(value.into()),
                "--conduct" => args.conduct = Some(value.into()),
                _ => bail!("{option} is not known\n{USAGE}"),
            }
        }
        Ok(args)
    }
}
