//! One virtual machine, from boot to power-off.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::kernel::Kernel;
use crate::process::{command, run};

/// Far more than any task needs under emulation on a busy host.
const SECONDS: &str = "240";
const MEMORY: &str = "1G";
/// Lines of the console that are shown when a machine does not end as it should.
const TAIL: usize = 40;

/// How a machine's task ended.
pub struct Ended {
    /// What it printed.
    pub log: String,
    /// Whether its exit code was 0.
    pub succeeded: bool,
    /// The files that it left in `/out`.
    pub out: PathBuf,
}

/// Boots a kernel with an initramfs and waits for the end of its task; keeps what comes home in the directory `place`.
pub fn boot(kernel: Kernel, image: &Path, initramfs: &Path, place: &Path) -> Result<Ended> {
    let (console, files) = (place.join("console"), place.join("out.tar.gz"));
    // The console first, for what goes wrong; files come over a port of their own, where no kernel message gets in.
    let mut qemu = command("timeout", ["--kill-after=5", SECONDS, "qemu-system-x86_64"]);
    qemu.args(["-accel", "tcg", "-cpu", kernel.processor(), "-smp", "1", "-m", MEMORY]);
    qemu.args(["-display", "none", "-monitor", "none", "-nic", "none", "-no-reboot"]);
    qemu.args(["-append", "console=ttyS0 quiet panic=-1", "-kernel"])
        .arg(image)
        .arg("-initrd")
        .arg(initramfs);
    qemu.arg("-serial").arg(format!("file:{}", console.display()));
    qemu.arg("-serial").arg(format!("file:{}", files.display()));
    let status = qemu.status().context("cannot run timeout")?;
    let told =
        |what: &str| format!("Linux {}: {what}; its console ends with\n{}", kernel.name(), tail(&console));
    if status.code() == Some(124) {
        bail!(told(&format!("the virtual machine did not end within {SECONDS} s")));
    }
    if !status.success() {
        bail!(told(&format!("QEMU ended with {status}")));
    }
    let out = place.join("out");
    unpack(&files, &out).with_context(|| told("the virtual machine sent no files"))?;
    let read = |name| fs::read_to_string(out.join(name)).with_context(|| told("the task did not end"));
    Ok(Ended { log: read("log")?, succeeded: read("status")?.trim() == "0", out })
}

fn unpack(archive: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to).with_context(|| format!("cannot remove {}", to.display()))?;
    }
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    run(command("tar", ["-xzf"]).arg(archive).arg("-C").arg(to))
}

/// The last lines of a console, without what would drive ours.
fn tail(console: &Path) -> String {
    let bytes = fs::read(console).unwrap_or_default();
    let text: String = String::from_utf8_lossy(&bytes)
        .chars()
        .filter(|&letter| letter == '\n' || !letter.is_control())
        .collect();
    let lines: Vec<&str> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(TAIL)..];
    shown.iter().map(|line| format!("  | {line}\n")).collect()
}
