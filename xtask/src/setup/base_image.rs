//! `debian:bookworm-slim`, the base of the test images: pulled, or made here where no registry can be reached.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use super::Gap;
use super::mirrors::{Mirrors, SUITE, mirrors};
use crate::docker::{self, docker};
use crate::process::{as_root, command, output, run, succeeds};

const NAME: &str = "debian:bookworm-slim";

/// What a published slim image leaves out too, and the package lists and archives of the installation.
const TRIMMED: &[&str] = &[
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt/archives",
    "var/lib/apt/lists",
    "var/log",
];

/// Keeps later package installations as slim as the base. Licences stay, as Debian's policy wants.
const DPKG_EXCLUDES: &str = "path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/man/*
";

/// Keeps what apt downloads and computes out of the layers built on the base.
const APT_LEAN: &str = "APT::Keep-Downloaded-Packages \"false\";
Dir::Cache::pkgcache \"\";
Dir::Cache::srcpkgcache \"\";
";

/// The gap, when the engine does not have the image.
pub fn gap() -> Option<Gap> {
    if docker::has_image(NAME) {
        return None;
    }
    let remedy = format!("pull {NAME}, or else make it with debootstrap (a minute)");
    Some(Gap::fixable(&format!("the image {NAME}, the base of the test images"), remedy, make))
}

fn make() -> Result<()> {
    if succeeds(&mut command("timeout", ["60", "docker", "pull", "--quiet", NAME])) {
        return Ok(());
    }
    // Not under the target directory: that may be on a file system that device nodes cannot be made on.
    let place = PathBuf::from(format!("/var/tmp/slim-base-{}", std::process::id()));
    let made = bootstrap(&place).and_then(|()| import(&place));
    run(&mut as_root("rm", &["-rf", "--one-file-system", spelled(&place)?]))?;
    made
}

fn bootstrap(root: &Path) -> Result<()> {
    let mirror = mirrors().main;
    run(&mut as_root("debootstrap", &["--variant=minbase", SUITE, spelled(root)?, &mirror]))
        .context("cannot make a base image: debootstrap failed (root and a Debian mirror are needed)")?;
    for directory in TRIMMED {
        // The directories stay, with their own modes: apt and dpkg expect some of them.
        let path = root.join(directory);
        run(&mut as_root(
            "find",
            &[spelled(&path)?, "-mindepth", "1", "(", "-not", "-type", "d", ")", "-delete"],
        ))?;
    }
    let settings = [
        ("etc/dpkg/dpkg.cfg.d/slim", DPKG_EXCLUDES),
        ("etc/apt/apt.conf.d/slim", APT_LEAN),
        ("etc/apt/sources.list", &sources()),
    ];
    settings.iter().try_for_each(|(path, text)| {
        fs::write(root.join(path), text)
            .with_context(|| format!("cannot write the base image's /{path}: be root"))
    })
}

fn import(root: &Path) -> Result<()> {
    let mut tar = as_root("tar", &["--numeric-owner", "-C", spelled(root)?, "-c", "."])
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run tar")?;
    let archive = tar.stdout.take().context("tar has no output")?;
    let imported = output(docker(&["import", "--change", "CMD [\"bash\"]", "-", NAME]).stdin(archive));
    if !tar.wait().context("cannot wait for tar")?.success() {
        bail!("tar could not read all of {}", root.display());
    }
    imported.map(drop)
}

fn sources() -> String {
    let Mirrors { main, security } = mirrors();
    format!(
        "deb {main} {SUITE} main\ndeb {main} {SUITE}-updates main\ndeb {security} {SUITE}-security main\n"
    )
}

fn spelled(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}
