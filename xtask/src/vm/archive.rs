//! Packages of several Debian releases, without this host's apt knowing of them: nothing is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::process::{command, output, run};
use crate::setup::mirrors::{Mirrors, SUITE, mirrors};

/// What signs Debian's archives.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// The release before, for its older kernel.
const OLD_SUITE: &str = "bullseye";

/// A private configuration of apt, with its lists fetched.
pub struct Archive {
    place: PathBuf,
}

impl Archive {
    /// Fetches the lists, into the directory `place`.
    pub fn open(place: &Path) -> Result<Self> {
        for directory in ["lists/partial", "cache/archives/partial", "parts"] {
            let path = place.join(directory);
            fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        }
        let archive = Self { place: place.to_owned() };
        fs::write(archive.file("sources.list"), sources()).context("cannot write apt's sources")?;
        // An empty list of what is installed: downloads depend on nothing here.
        fs::write(archive.file("status"), "").context("cannot write apt's status")?;
        run(&mut archive.apt("apt-get", &["update", "--quiet=2", "--error-on=any"]))
            .context("cannot fetch Debian's package lists: a Debian mirror is needed")?;
        Ok(archive)
    }

    /// Names of the packages that begin with `prefix`.
    pub fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let names = output(&mut self.apt("apt-cache", &["pkgnames", prefix]))?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// Downloads a package and unpacks it as the directory `to`, which comes to be whole or not at all.
    pub fn unpack(&self, package: &str, to: &Path) -> Result<()> {
        let download = self.file("download");
        let unpacked = self.file("unpacked");
        for directory in [&download, &unpacked] {
            if directory.exists() {
                fs::remove_dir_all(directory)
                    .with_context(|| format!("cannot remove {}", directory.display()))?;
            }
            fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        }
        run(self.apt("apt-get", &["download", "--quiet=2", package]).current_dir(&download))
            .with_context(|| format!("cannot download the Debian package {package}"))?;
        let file = only_entry(&download)?;
        run(command("dpkg-deb", ["--extract"]).args([&file, &unpacked]))?;
        fs::rename(&unpacked, to).with_context(|| format!("cannot make {}", to.display()))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.place.join(name)
    }

    fn apt(&self, program: &str, words: &[&str]) -> Command {
        let mut apt = command(program, std::iter::empty::<&str>());
        let ours = [
            ("Dir::Etc::SourceList", "sources.list"),
            ("Dir::Etc::SourceParts", "parts"),
            ("Dir::State::Lists", "lists"),
            ("Dir::State::Status", "status"),
            ("Dir::Cache", "cache"),
        ];
        for (key, name) in ours {
            apt.arg("-o").arg(format!("{key}={}", self.file(name).display()));
        }
        // apt's own user may not write here, and not every host's apt is of this architecture.
        apt.args([
            "-o",
            "APT::Sandbox::User=",
            "-o",
            "APT::Architecture=amd64",
            "-o",
            "Acquire::Languages=none",
        ]);
        apt.args(words);
        apt
    }
}

fn sources() -> String {
    let Mirrors { main, security } = mirrors();
    let of = |suite| {
        format!(
            "deb [signed-by={KEYRING}] {main} {suite} main\n\
             deb [signed-by={KEYRING}] {security} {suite}-security main\n"
        )
    };
    of(OLD_SUITE) + &of(SUITE)
}

fn only_entry(directory: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let paths: Result<Vec<PathBuf>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.with_context(|| format!("cannot list {}", directory.display()))?;
    ensure!(paths.len() <= 1, "{} has more than one entry", directory.display());
    let Some(path) = paths.pop() else { bail!("{} is empty", directory.display()) };
    Ok(path)
}
