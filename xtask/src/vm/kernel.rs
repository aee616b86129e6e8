//! The kernels: which ones, and where their files are once fetched.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::archive::Archive;

/// A kernel that Debian maintains: the oldest that slim-agent supports, and those that servers mostly run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kernel {
    /// Debian 11
    #[value(name = "5.10")]
    Linux5_10,
    /// Debian 12
    #[value(name = "6.1")]
    Linux6_1,
    /// Debian 13, as backported to 12
    #[value(name = "6.12")]
    Linux6_12,
}

impl Kernel {
    /// Its version, as it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linux5_10 => "5.10",
            Self::Linux6_1 => "6.1",
            Self::Linux6_12 => "6.12",
        }
    }

    /// The processor to emulate.
    pub fn processor(self) -> &'static str {
        match self {
            Self::Linux5_10 | Self::Linux6_1 => "max",
            // It does not boot on all that QEMU 7.2 can emulate.
            Self::Linux6_12 => "Nehalem",
        }
    }

    /// Its unpacked package, if it is below `place`.
    pub fn unpacked(self, place: &Path) -> Option<PathBuf> {
        let path = place.join(self.name());
        path.exists().then_some(path)
    }

    /// Fetches its newest package and unpacks it below `place`.
    pub fn fetch(self, archive: &Archive, place: &Path) -> Result<()> {
        let names = archive.names(&format!("linux-image-{}.", self.name()))?;
        let package = newest(&names)
            .with_context(|| format!("Debian has no linux-image-{}.*-cloud-amd64 any more", self.name()))?;
        archive.unpack(package, &place.join(self.name()))
    }
}

/// The newest of the signed kernels for virtual machines.
fn newest(names: &[String]) -> Option<&str> {
    let version = |name: &&str| -> Vec<u32> {
        name.split(|letter: char| !letter.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
    };
    names.iter().map(String::as_str).filter(|name| name.ends_with("-cloud-amd64")).max_by_key(version)
}

/// The kernel itself in an unpacked package.
pub fn image(package: &Path) -> Result<PathBuf> {
    let boot = package.join("boot");
    find(&boot, "vmlinuz-")?.with_context(|| format!("{} has no vmlinuz", boot.display()))
}

/// The module for overlayfs in an unpacked package: compressed, or not.
pub fn overlay_module(package: &Path) -> Result<PathBuf> {
    let modules = package.join("lib/modules");
    let version =
        find(&modules, "")?.with_context(|| format!("{} has no kernel's modules", modules.display()))?;
    let directory = version.join("kernel/fs/overlayfs");
    find(&directory, "overlay.ko")?.with_context(|| format!("{} has no overlay.ko", directory.display()))
}

fn find(directory: &Path, prefix: &str) -> Result<Option<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let begins =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).find(begins))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_kernel_is_told_by_numbers_and_variants_are_passed_over() {
        let names = [
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-10-cloud-amd64",
            "linux-image-6.1.0-11-cloud-amd64-unsigned",
            "linux-image-6.1.0-12-amd64",
        ]
        .map(str::to_owned);
        assert_eq!(newest(&names), Some("linux-image-6.1.0-10-cloud-amd64"));
        assert_eq!(newest(&names[2..]), None);
    }
}
