//! The first filesystem of a virtual machine: busybox, the agent, what else the task runs, and two scripts.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::process::{command, output, run};

const INIT: &str = include_str!("init.sh");
const GUEST: &str = include_str!("guest.sh");
/// Mount points and empty directories of the guest's root.
const SKELETON: [&str; 7] = ["bin", "dev", "out", "proc", "run", "sys", "tmp"];

/// A directory that becomes the initramfs.
pub struct Initramfs {
    place: PathBuf,
    busybox: PathBuf,
}

impl Initramfs {
    /// A new one in the directory `place`, with nothing but what every task needs.
    pub fn new(place: &Path, busybox: &Path) -> Result<Self> {
        if place.exists() {
            fs::remove_dir_all(place).with_context(|| format!("cannot remove {}", place.display()))?;
        }
        let initramfs = Self { place: place.to_owned(), busybox: busybox.to_owned() };
        for directory in SKELETON {
            let path = initramfs.host(directory);
            fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        }
        let init = place.join("init");
        fs::write(&init, INIT).context("cannot write the guest's init")?;
        fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).context("cannot set a mode")?;
        fs::create_dir_all(place.join("bin")).context("cannot make the initramfs's bin")?;
        copy(busybox, &place.join("bin/busybox"))?;
        copy(busybox, &initramfs.host("bin/busybox"))?;
        initramfs.write("guest.sh", GUEST)?;
        Ok(initramfs)
    }

    /// Adds a program as `/bin/NAME`, with the libraries that it is linked with.
    pub fn program(&self, path: &Path, name: &str) -> Result<()> {
        copy(path, &self.host("bin").join(name))?;
        // An error means that it is static, so that it needs none.
        let linked = output(command("ldd", [path]).env("LC_ALL", "C")).unwrap_or_default();
        for library in linked.split_whitespace().filter(|word| word.starts_with('/')) {
            self.file(Path::new(library), library)?;
        }
        Ok(())
    }

    /// Puts the kernel's module for overlayfs in place of another kernel's.
    pub fn module(&self, path: &Path) -> Result<()> {
        for name in ["overlay.ko", "overlay.ko.xz"] {
            let other = self.host(name);
            if other.exists() {
                fs::remove_file(&other).with_context(|| format!("cannot remove {}", other.display()))?;
            }
        }
        let name = path.file_name().context("a module without a name")?.to_string_lossy();
        self.file(path, &name)
    }

    fn file(&self, path: &Path, name: &str) -> Result<()> {
        copy(path, &self.host(name))
    }

    /// Adds a file that holds `text`.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.host(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Adds what a directory holds as the archive `/tree.tar`.
    pub fn tree(&self, directory: &Path) -> Result<()> {
        let archive = self.host("tree.tar");
        run(command("tar", ["--numeric-owner", "-cf"]).arg(archive).arg("-C").arg(directory).arg("."))
    }

    /// Writes the initramfs to `to`.
    pub fn pack(&self, to: &Path) -> Result<()> {
        let archive = File::create(to).with_context(|| format!("cannot create {}", to.display()))?;
        let script = "find . | \"$0\" cpio --quiet -o -H newc -R 0:0";
        let mut shell = command("sh", ["-c", script]);
        let status = shell.arg(&self.busybox).current_dir(&self.place).stdout(archive).status();
        ensure!(status.context("cannot run sh")?.success(), "cannot make the archive {}", to.display());
        Ok(())
    }

    fn host(&self, name: &str) -> PathBuf {
        self.place.join("host").join(name.trim_start_matches('/'))
    }
}

/// Copies a file with its mode, and makes the directories that it needs.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}
