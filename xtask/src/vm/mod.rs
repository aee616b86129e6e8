//! `cargo xtask vm`: other kernels than this host's, each in an emulated machine, with the oddity programs recorded there
//! and an agent's programs pinned.

mod archive;
mod compare;
mod initramfs;
mod kernel;
mod machine;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde_json::Value;

use archive::Archive;
use initramfs::Initramfs;
pub use kernel::Kernel;
pub use machine::Ended;

use crate::cargo::{cargo, release_agent, root, target_dir};
use crate::process;
use crate::setup;
use crate::style::step;

/// The tiers of hooks that every kernel runs the programs with.
const TIERS: &[&str] = &["base", "fentry"];
/// The shell of the guests.
const BUSYBOX: &str = "busybox-static";

/// Options of `cargo xtask vm`.
#[derive(clap::Args)]
pub struct Args {
    /// Only these kernels; all of them without
    #[arg(value_enum, value_name = "KERNEL")]
    kernels: Vec<Kernel>,
}

/// The verb.
pub fn run(args: &Args) -> Result<()> {
    setup::ensure()?;
    let agent = step("release build of slim-agent", release_agent)?;
    let kernels = if args.kernels.is_empty() { Kernel::value_variants() } else { args.kernels.as_slice() };
    oddities(&agent, kernels)
}

/// What keeps this host from running other kernels.
pub fn obstacle() -> Option<String> {
    if !cfg!(target_arch = "x86_64") {
        return Some("the kernels are for x86-64, and this host's programs are not".to_owned());
    }
    let needed = ["qemu-system-x86_64", "apt-get", "dpkg-deb"];
    let missing: Vec<&str> = needed.into_iter().filter(|program| !process::found(program)).collect();
    (!missing.is_empty()).then(|| format!("no {} here", missing.join(", no ")))
}

/// Records the oddity programs under each kernel, with every tier.
pub fn oddities(agent: &Path, kernels: &[Kernel]) -> Result<()> {
    let guests = Guests::prepare(kernels)?;
    let initramfs = guests.initramfs(agent)?;
    step("the oddity programs", || add_oddities(&initramfs, &guests.place))?;
    step("what pins programs", || add_pinner(&initramfs))?;
    let partial = partial()?;
    let mut failed = Vec::new();
    for &kernel in kernels {
        let ended = step(&format!("the oddity programs under Linux {}", kernel.name()), || {
            guests.boot(kernel, &initramfs, &task())
        })?;
        report(&ended);
        let differences = differences(&ended, &partial)?;
        differences.iter().for_each(|line| println!("  {line}"));
        if !ended.succeeded || !differences.is_empty() {
            failed.push(kernel.name());
        }
    }
    if !failed.is_empty() {
        bail!("oddity programs failed, or tiers of hooks differ, under Linux {}", failed.join(", "));
    }
    Ok(())
}

fn add_oddities(initramfs: &Initramfs, place: &Path) -> Result<()> {
    process::run(&mut cargo(&["build", "--package", "slim-tests", "--bin", "oddities"]))?;
    let program = target_dir()?.join("debug/oddities");
    let tree = place.join("tree");
    if tree.exists() {
        fs::remove_dir_all(&tree).with_context(|| format!("cannot remove {}", tree.display()))?;
    }
    process::run(process::command(&program, ["--lay-down"]).arg(&tree))?;
    initramfs.tree(&tree)?;
    initramfs.program(&program, "oddities")
}

/// What pins programs. In release: it reads the kernel's types, which takes long under emulation.
fn add_pinner(initramfs: &Initramfs) -> Result<()> {
    process::run(&mut cargo(&["build", "--release", "--package", "slim-tests", "--bin", "pinner"]))?;
    initramfs.program(&target_dir()?.join("release/pinner"), "pinner")
}

/// Every tier has a root of its own, as programs leave things behind.
fn task() -> String {
    let mut task = "failed=0\npinner check || failed=1\n".to_owned();
    for tier in TIERS {
        // `record` has no option for the tier while there is only one.
        let option = if TIERS.len() > 1 { format!("--tier {tier} ") } else { String::new() };
        task += &format!(
            "echo 'tier {tier}'\nfresh_root {tier}\n\
             oddities --agent /bin/slim-agent --root \"$root\" {option}--dump /out/{tier}.json || failed=1\n"
        );
    }
    task + "exit $failed\n"
}

/// Shows what is not as it should be, and the sums.
fn report(ended: &Ended) {
    for line in ended.log.lines().filter(|line| !line.starts_with("ok ")) {
        println!("  {line}");
    }
}

/// What each other tier saw that the first did not, and the reverse.
fn differences(ended: &Ended, partial: &[String]) -> Result<Vec<String>> {
    let manifest = |tier: &str| -> Result<Value> {
        let path = ended.out.join(format!("{tier}.json"));
        let bytes = fs::read(&path)
            .with_context(|| format!("no manifest with tier {tier}; the task said: {}", ended.log))?;
        serde_json::from_slice(&bytes).with_context(|| format!("{} is not JSON", path.display()))
    };
    let Some((first, others)) = TIERS.split_first() else { return Ok(Vec::new()) };
    let first = manifest(first)?;
    let mut found = Vec::new();
    for tier in others {
        let lines = compare::differences(&first, &manifest(tier)?, partial);
        found.extend(lines.into_iter().map(|line| format!("tier {tier} {line}")));
    }
    Ok(found)
}

/// The programs that say of themselves that a recording with the base tier does not see all that they do.
fn partial() -> Result<Vec<String>> {
    let programs = root().join("tests/programs");
    let entries = fs::read_dir(&programs).with_context(|| format!("cannot list {}", programs.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("cannot list {}", programs.display()))?.path();
        if path.extension().is_none_or(|extension| extension != "c") {
            continue;
        }
        let source = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if source.lines().any(|line| line.starts_with(" * partial[base]:")) {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    Ok(names)
}

/// What the virtual machines need of Debian, fetched and unpacked.
pub struct Guests {
    place: PathBuf,
}

impl Guests {
    /// Fetches what is not there yet.
    pub fn prepare(kernels: &[Kernel]) -> Result<Self> {
        if let Some(obstacle) = obstacle() {
            bail!("cannot run other kernels: {obstacle}");
        }
        let place = target_dir()?.join("vm");
        let guests = Self { place };
        let packages = guests.packages();
        fs::create_dir_all(&packages).with_context(|| format!("cannot make {}", packages.display()))?;
        let missing: Vec<Kernel> =
            kernels.iter().copied().filter(|kernel| kernel.unpacked(&packages).is_none()).collect();
        let busybox = packages.join(BUSYBOX);
        if missing.is_empty() && busybox.exists() {
            return Ok(guests);
        }
        step("Debian's kernels", || {
            let archive = Archive::open(&guests.place.join("apt"))?;
            if !busybox.exists() {
                archive.unpack(BUSYBOX, &busybox)?;
            }
            missing.iter().try_for_each(|kernel| kernel.fetch(&archive, &packages))
        })?;
        Ok(guests)
    }

    /// A guest's root that has the agent as `/bin/slim-agent`.
    pub fn initramfs(&self, agent: &Path) -> Result<Initramfs> {
        let busybox = self.packages().join(BUSYBOX).join("bin/busybox");
        let initramfs = Initramfs::new(&self.place.join("initramfs"), &busybox)?;
        initramfs.program(agent, "slim-agent")?;
        Ok(initramfs)
    }

    /// Boots a kernel and runs a shell script in it.
    pub fn boot(&self, kernel: Kernel, initramfs: &Initramfs, task: &str) -> Result<Ended> {
        let package = kernel.unpacked(&self.packages()).context("the kernel was not fetched")?;
        let place = self.place.join("run").join(kernel.name());
        fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
        initramfs.module(&kernel::overlay_module(&package)?)?;
        initramfs.write("task.sh", task)?;
        let packed = place.join("initramfs.cpio");
        initramfs.pack(&packed)?;
        machine::boot(kernel, &kernel::image(&package)?, &packed, &place)
    }

    fn packages(&self) -> PathBuf {
        self.place.join("packages")
    }
}
