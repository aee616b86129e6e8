//! The file system that keeps programs and maps alive when nobody holds them: found mounted, or mounted here.

use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use nix::fcntl::Flock;
use nix::mount::{MsFlags, mount, umount};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use crate::exit::{Exit, tag};
use crate::flock;

/// Where a bpffs is mounted by convention; the kernel makes the directory.
const USUAL: &str = "/sys/fs/bpf";

/// Makes `dir`, on a bpffs: on the one that is mounted there or above, else on one that is mounted for it, at
/// /sys/fs/bpf for directories below and at `dir` itself for others. It is mounted for this process's mount namespace: in
/// a namespace of a service's own, what is pinned there ends with the service.
///
/// # Errors
/// The kernel has no bpffs, or the directory cannot be made.
pub(super) fn prepare(dir: &Path) -> Result<()> {
    if !is_on_bpffs(dir)? {
        let at = if dir.starts_with(USUAL) { Path::new(USUAL) } else { dir };
        make(at)?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some("bpf"), at, Some("bpf"), flags, Some("mode=0700")).map_err(|error| {
            tag(
                Exit::Host,
                format!("cannot mount a bpffs at {}, to keep programs there: {error}", at.display()),
            )
        })?;
        if !is_host_s_namespace() {
            tracing::warn!(
                "a bpffs was mounted at {} in a mount namespace that is not the host's: what is pinned there ends with the \
                 last process in it, and records nothing then; `mount -t bpf bpf {USUAL}` on the host first",
                at.display()
            );
        }
    }
    make(dir)
}

/// Whether what is mounted here is mounted for the host: its first process sees it.
fn is_host_s_namespace() -> bool {
    let of = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
    of("self") == of("1")
}

fn make(dir: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.with_context(|| format!("cannot make the directory {}", dir.display()))
}

/// Whether `dir`, or where it would be made, is on a bpffs.
fn is_on_bpffs(dir: &Path) -> Result<bool> {
    let existing = dir.ancestors().find(|dir| dir.exists());
    let existing = existing.with_context(|| format!("{} is no absolute path", dir.display()))?;
    let kind = statfs(existing).with_context(|| format!("cannot look at {}", existing.display()))?;
    Ok(kind.filesystem_type() == BPF_FS_MAGIC)
}

/// The right to change what is pinned in a directory, as long as this is held and the process lives.
pub(super) type Lock = Flock<File>;

/// Takes the directory for this process alone: two agents would take each other's records.
///
/// # Errors
/// Another process has it.
pub(super) fn lock(dir: &Path) -> Result<Lock> {
    let file = File::open(dir).with_context(|| format!("cannot open {}", dir.display()))?;
    flock::lock(file).map_err(|error| {
        anyhow!("another slim-agent uses the programs pinned in {} ({error}): stop it first", dir.display())
    })
}

/// Removes the empty directory, and the bpffs that was mounted for it alone.
///
/// # Errors
/// It is in use.
pub(super) fn remove(dir: &Path) -> Result<()> {
    let device = |path: &Path| fs::metadata(path).map(|file| file.dev());
    let is_mount_point = dir.parent().is_some_and(|above| device(above).ok() != device(dir).ok());
    if is_mount_point && is_on_bpffs(dir)? && dir != Path::new(USUAL) {
        umount(dir).with_context(|| format!("cannot unmount {}", dir.display()))?;
    }
    match fs::remove_dir(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}
