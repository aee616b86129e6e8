//! `cargo xtask runtimes`: what runc and crun call after they installed a container's filter, found by tracing them, and
//! written into the exporter's sources.

mod bundle;
mod trace;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use self::bundle::{Bundle, Way};
use crate::cargo::{root, target_dir};
use crate::process::{command, output};
use crate::setup;
use crate::style::step;

/// The runtimes: their names, which are those of their Debian packages, and their programs.
const RUNTIMES: [(&str, &str); 2] = [("runc", "runc"), ("crun", setup::CRUN)];

/// The file that is written, from the workspace's root.
const LISTS: &str = "slim-agent/src/export/seccomp/runtime/traced.rs";

/// Who sees the lists.
const VISIBLE: &str = "pub(in crate::export::seccomp)";

/// Options of `cargo xtask runtimes`.
#[derive(clap::Args)]
pub struct Args {
    /// Print the lists instead of writing them
    #[arg(long)]
    dry_run: bool,
}

/// A runtime, and what it called.
struct Traced {
    name: &'static str,
    version: String,
    package: String,
    calls: BTreeSet<String>,
}

/// The verb.
pub fn run(args: &Args) -> Result<()> {
    setup::ensure()?;
    let place = target_dir()?.join("runtimes");
    let traced: Vec<_> = RUNTIMES
        .into_iter()
        .map(|(name, program)| step(name, || traced(name, program, &place)))
        .collect::<Result<_>>()?;
    let text = source(&traced)?;
    if args.dry_run {
        print!("{text}");
        return Ok(());
    }
    let path = root().join(LISTS);
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    println!("written: {}", path.display());
    Ok(())
}

fn traced(name: &'static str, program: &'static str, place: &Path) -> Result<Traced> {
    let bundle = Bundle::make(program, &place.join(name))?;
    let mut calls = BTreeSet::new();
    for way in Way::all() {
        // One after the other: the second trace takes the place of the first.
        let all = [Bundle::run, Bundle::exec, Bundle::create];
        for start in all.iter().take(if way.terminal { 2 } else { 3 }) {
            let found = start(&bundle, &way).and_then(|trace| trace::confined(&trace));
            let found = found.with_context(|| format!("{name}, {way:?}"))?;
            ensure!(found.contains("execve"), "{name} executes nothing after its filter, {way:?}: {found:?}");
            calls.extend(found);
        }
    }
    Ok(Traced { name, version: version(name)?, package: package(name), calls })
}

/// `runc 1.1.5`, of `runc version 1.1.5+ds1`.
fn version(name: &str) -> Result<String> {
    let said = output(&mut command(name, ["--version"]))?;
    let word = said.lines().next().and_then(|line| line.split_whitespace().nth(2));
    let number: &str = word.and_then(|word| word.split(['+', '-', '~']).next()).unwrap_or_default();
    if number.is_empty() {
        bail!("{name} --version says {said:?}");
    }
    Ok(format!("{name} {number}"))
}

/// The Debian package, where it comes from one.
fn package(name: &str) -> String {
    let format = ["--show", "--showformat", "${Package} ${Version}", name];
    output(&mut command("dpkg-query", format))
        .map_or_else(|_| "no Debian package".to_owned(), |text| format!("Debian's {text}"))
}

/// The lists as Rust.
fn source(traced: &[Traced]) -> Result<String> {
    let of = |program: &str, words: &[&str]| output(&mut command(program, words));
    let strace = of("strace", &["--version"])?;
    let strace = strace.lines().next().unwrap_or_default().replace(" -- version", "");
    let (machine, kernel, date) = (of("uname", &["-m"])?, of("uname", &["-r"])?, of("date", &["-u", "+%F"])?);
    let mut text = format!(
        "//! What container runtimes call after they installed the filter. Written by `cargo xtask runtimes`: run it, do not edit.\n\
         //!\n\
         //! {date}, {machine}, kernel {kernel}, {strace}.\n"
    );
    for Traced { name, version, package, calls } in traced {
        let constant = name.to_uppercase();
        write!(text, "\n/// What made the calls of [`{constant}`].\n")?;
        writeln!(text, "{VISIBLE} const {constant}_VERSION: &str = \"{version}\";")?;
        write!(text, "\n/// {version} ({package}).\n{VISIBLE} const {constant}: &[&str] = &[\n")?;
        calls.iter().try_for_each(|call| writeln!(text, "    \"{call}\","))?;
        text.push_str("];\n");
    }
    Ok(text)
}
