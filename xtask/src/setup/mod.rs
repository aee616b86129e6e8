//! `cargo xtask setup`: what building and testing need of the host.
//!
//! Each part looks at the host and names its gaps; a gap knows its remedy. Looking changes nothing, so
//! `--check` is the same code without the remedies, and running setup twice does nothing the second time.

mod apt;
mod base_image;
mod bpf_linker;
mod bpf_toolchain;
mod components;
mod engine;
pub mod mirrors;
mod packages;
mod pip;
mod promtool;
mod runtime;

use anyhow::{Result, bail};

use crate::style;

pub use runtime::PROGRAM as CRUN;

/// Options of `cargo xtask setup`.
#[derive(clap::Args)]
pub struct Args {
    /// Only report; exit with 1 when something is missing
    #[arg(long)]
    check: bool,
}

/// Something that this host lacks.
struct Gap {
    /// What is missing, and what for.
    missing: String,
    /// What will be done about it, or what a person must do.
    remedy: String,
    /// How to do it; `None` when only a person can.
    fix: Option<Box<dyn Fn() -> Result<()>>>,
}

impl Gap {
    fn fixable(missing: &str, remedy: String, fix: impl Fn() -> Result<()> + 'static) -> Self {
        Self { missing: missing.to_owned(), remedy, fix: Some(Box::new(fix)) }
    }

    fn by_hand(missing: &str, remedy: impl Into<String>) -> Self {
        Self { missing: missing.to_owned(), remedy: remedy.into(), fix: None }
    }
}

/// Looks at one part of the host.
type Part = fn() -> Option<Gap>;

/// In the order in which they can be filled: the base image needs both debootstrap and an engine, and a runtime is added to
/// an engine that answers.
const PARTS: &[Part] = &[
    components::gap,
    packages::gap,
    promtool::gap,
    pip::kubernetes_gap,
    pip::registry_gap,
    bpf_toolchain::gap,
    bpf_linker::gap,
    engine::installed_gap,
    engine::running_gap,
    runtime::gap,
    base_image::gap,
];

/// The verb.
pub fn run(args: &Args) -> Result<()> {
    let gaps: Vec<Gap> = PARTS.iter().filter_map(|part| part()).collect();
    if gaps.is_empty() {
        println!("nothing is missing");
        return Ok(());
    }
    for gap in &gaps {
        let actor = if gap.fix.is_some() { "will" } else { "you must" };
        println!("missing: {}\n  {actor} {}", style::bold(&gap.missing), gap.remedy);
    }
    if args.check {
        bail!("{} missing here; `cargo xtask setup` does what it can", gaps.len());
    }
    ensure()
}

/// Fills every gap; says nothing when there is none.
pub fn ensure() -> Result<()> {
    let mut left = Vec::new();
    for part in PARTS {
        let Some(gap) = part() else { continue };
        let Some(fix) = &gap.fix else {
            left.push(format!("{}: {}", gap.missing, gap.remedy));
            continue;
        };
        if let Err(error) = style::step(&gap.remedy, fix) {
            left.push(format!("{}: {error:#}", gap.missing));
        } else if let Some(still) = part() {
            left.push(format!("{} (still, after: {}): {}", still.missing, gap.remedy, still.remedy));
        }
    }
    if !left.is_empty() {
        bail!("setup cannot do these by itself:\n  {}", left.join("\n  "));
    }
    Ok(())
}
