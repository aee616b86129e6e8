//! Which packages are in the new image, in the form that scanners read. An image without a package database reads as
//! "no packages, no known weaknesses", which would be untrue.
//!
//! Databases of one file for each package are kept as they are where something of the package is kept (pip, npm).
//! Databases of one file for all are written anew with what is left (dpkg, apk), and each package that is not whole is
//! marked so.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use super::generated::Generated;
use super::keeper::Keeper;
use super::reason::Reason;
use crate::image::{Entry, ImageSource, Kind};
use crate::manifest::PathBytes;

mod apk;
mod dpkg;
mod npm;
mod pip;
mod stanza;

/// How scanners tell the distribution, without which they look up nothing.
const DISTRIBUTION: [&str; 9] = [
    "/etc/os-release",
    "/usr/lib/os-release",
    "/etc/debian_version",
    "/etc/lsb-release",
    "/etc/alpine-release",
    "/etc/redhat-release",
    "/etc/system-release",
    "/etc/centos-release",
    "/etc/SuSE-release",
];

/// The databases of rpm, of all its versions.
const RPM: [&str; 2] = ["/var/lib/rpm", "/usr/lib/sysimage/rpm"];

/// A package of which something is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Package {
    /// `apk`, `dpkg`, `npm` or `pip`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its version, where the database tells it in so many words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// How much of it is kept; none when it is not known which files it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Share>,
}

/// How many files of a package are kept, of those that the original image has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Share {
    /// Kept.
    pub kept: usize,
    /// In the original image.
    pub of: usize,
}

/// A package's name, and its files as the database spells them.
type WithFiles = (String, Vec<PathBytes>);

/// A package's name and version.
type Named = (String, String);

/// What was found out about packages.
#[derive(Debug, Default)]
pub(super) struct Described {
    pub packages: Vec<Package>,
    pub generated: BTreeMap<PathBytes, Generated>,
    pub notes: Vec<String>,
}

impl Described {
    /// Takes a made up entry in, unless a pattern excludes it.
    fn generate(&mut self, keeper: &mut Keeper<'_>, generated: Generated) {
        if !keeper.excludes(&generated.entry.path, &generated.reason) {
            self.generated.insert(generated.entry.path.clone(), generated);
        }
    }
}

/// Sees to it that the new image tells which packages are in it.
///
/// # Errors
/// The image cannot be read. What is not understood in a database is passed over.
pub(super) fn describe(keeper: &mut Keeper<'_>) -> Result<Described> {
    let mut described = Described::default();
    // These keep files that belong to packages of the databases below, so they come first.
    described.packages.extend(pip::describe(keeper)?);
    described.packages.extend(npm::describe(keeper)?);
    for name in DISTRIBUTION {
        keeper.keep_if_there(&name.into(), &Reason::PackageMetadata("distribution".into()))?;
    }
    dpkg::describe(keeper, &mut described)?;
    apk::describe(keeper, &mut described)?;
    for name in RPM {
        let kept = keeper.keep_tree(&name.into(), &Reason::PackageMetadata("rpm".into()))?;
        if kept.entry().is_some() {
            described
                .notes
                .push(format!("{name} is kept whole: it also lists packages that are not in the image"));
        }
    }
    described.packages.sort();
    Ok(described)
}

/// Keeps all files of the package `name`, or of the one that `KIND:NAME` names; whether there is one.
///
/// # Errors
/// The image cannot be read.
pub(super) fn include(keeper: &mut Keeper<'_>, name: &str) -> Result<bool> {
    type Files = fn(&Keeper<'_>, &str) -> Result<Vec<PathBytes>>;
    let kinds: [(&str, Files); 4] =
        [("apk", apk::files), ("dpkg", dpkg::files), ("npm", npm::files), ("pip", pip::files)];
    let (wanted, plain) = match name.split_once(':') {
        Some((kind, rest)) if kinds.iter().any(|(known, _)| *known == kind) => (Some(kind), rest),
        _ => (None, name),
    };
    let reason = Reason::IncludedPackage(name.to_owned());
    let mut found = false;
    for (kind, files) in kinds {
        if wanted.is_none_or(|wanted| wanted == kind) {
            for file in files(keeper, plain)? {
                found |= keeper.keep_if_there(&file, &reason)?.is_there();
            }
        }
    }
    Ok(found)
}

/// Every package that the databases of an image name, sorted; `homes` are the directories of which [`is_home`] holds.
///
/// # Errors
/// The image cannot be read.
pub fn installed(image: &dyn ImageSource, homes: &[PathBytes]) -> Result<Vec<Package>> {
    let keeper = Keeper::new(image, &[])?;
    let mut found = Vec::new();
    for (kind, names) in [
        ("apk", apk::names_of_all(&keeper)?),
        ("dpkg", dpkg::names_of_all(&keeper)?),
        ("npm", npm::names_of_all(&keeper, homes)?),
        ("pip", pip::names_of_all(&keeper, homes)?),
    ] {
        found.extend(names.into_iter().map(|(name, version)| Package { kind, name, version, files: None }));
    }
    found.sort();
    Ok(found)
}

/// Whether packages of pip lie in `dir`, or one of npm: those databases have no fixed place.
pub fn is_home(dir: &PathBytes) -> bool {
    pip::is_home(dir.file_name()) || npm::is_root(dir)
}

/// The packages of dpkg and apk that put the physical path `path` into the image, as `KIND:NAME`.
///
/// # Errors
/// The image cannot be read.
pub fn owners(image: &dyn ImageSource, path: &PathBytes) -> Result<Vec<String>> {
    let keeper = Keeper::new(image, &[])?;
    let mut found = Vec::new();
    for (kind, packages) in [("apk", apk::with_files(&keeper)?), ("dpkg", dpkg::with_files(&keeper)?)] {
        for (name, files) in packages {
            for file in files.iter().filter(|file| file.file_name() == path.file_name()) {
                if keeper.physical(file)?.is_some_and(|(physical, _)| physical == *path) {
                    found.push(format!("{kind}:{name}"));
                    break;
                }
            }
        }
    }
    Ok(found)
}

/// How many of the files `names` are kept. Directories do not count: they are shared.
fn share(keeper: &Keeper<'_>, names: &[PathBytes]) -> Result<Share> {
    let mut share = Share::default();
    for name in names {
        if let Some((path, is_dir)) = keeper.physical(name)?
            && !is_dir
        {
            share.of += 1;
            share.kept += usize::from(keeper.keeps(&path));
        }
    }
    Ok(share)
}

/// The note on a package that is not whole; none when it is.
fn mark(share: Option<Share>) -> Option<String> {
    match share {
        Some(Share { kept, of }) => (kept < of).then(|| format!("partial {kept}/{of} files")),
        None => Some("files unknown".to_owned()),
    }
}

/// Whether something kept is a regular file or a link, and not just a directory.
fn is_content(entry: &Entry) -> bool {
    !matches!(entry.kind, Kind::Directory)
}

#[cfg(test)]
mod tests;
