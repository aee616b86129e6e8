//! Python's packages: a directory `NAME-VERSION.dist-info` beside the modules of each, kept as it is when one of its
//! modules is kept. Programs read it, too (`importlib.metadata`).

use std::collections::BTreeSet;

use anyhow::Result;

use super::stanza::{field, lines};
use super::{Named, Package, share};
use crate::manifest::PathBytes;
use crate::plan::keeper::Keeper;
use crate::plan::pattern::Pattern;
use crate::plan::reason::Reason;

/// The files of a dist-info or egg-info directory that say what the package is.
const METADATA: [&str; 8] = [
    "METADATA",
    "PKG-INFO",
    "RECORD",
    "WHEEL",
    "INSTALLER",
    "direct_url.json",
    "entry_points.txt",
    "top_level.txt",
];

/// A package in a directory of packages.
struct Distribution {
    /// The physical path of its `.dist-info` or `.egg-info`.
    info: PathBytes,
    name: String,
    version: String,
    /// What it put into the image.
    files: Vec<PathBytes>,
}

pub(super) fn describe(keeper: &mut Keeper<'_>) -> Result<Vec<Package>> {
    let is_home = |path: &PathBytes| is_home(path.file_name());
    let above = |path: &PathBytes| std::iter::successors(path.parent(), PathBytes::parent).find(is_home);
    let homes: BTreeSet<PathBytes> = keeper.paths().filter_map(above).collect();
    let mut packages = Vec::new();
    for distribution in distributions(keeper, homes)? {
        let Distribution { info, name, version, files } = distribution;
        let share = share(keeper, &files)?;
        if share.kept == 0 {
            continue;
        }
        let reason = Reason::PackageMetadata(name.clone());
        // An egg-info may be a file.
        keeper.keep_if_there(&info, &reason)?;
        for file in METADATA {
            keeper.keep_if_there(&info.join(file.as_bytes()), &reason)?;
        }
        packages.push(Package { kind: "pip", name, version, files: Some(share) });
    }
    Ok(packages)
}

/// The names of all that the package `wanted` put into the image.
pub(super) fn files(keeper: &Keeper<'_>, wanted: &str) -> Result<Vec<PathBytes>> {
    let Ok(anywhere) = "/**/{site,dist}-packages".parse::<Pattern>() else { return Ok(Vec::new()) };
    let homes = anywhere.find(keeper.source(), anywhere.base())?;
    let mut found = Vec::new();
    for distribution in distributions(keeper, homes.into_iter().collect())? {
        if normal(&distribution.name) == normal(wanted) {
            found.extend(distribution.files);
            found.push(distribution.info.clone());
            found.extend(METADATA.iter().map(|file| distribution.info.join(file.as_bytes())));
        }
    }
    Ok(found)
}

/// What lies in those of `homes` that are pip's.
pub(super) fn names_of_all(keeper: &Keeper<'_>, homes: &[PathBytes]) -> Result<Vec<Named>> {
    let homes = homes.iter().filter(|home| is_home(home.file_name())).cloned().collect();
    let all = distributions(keeper, homes)?.into_iter();
    Ok(all.map(|Distribution { name, version, .. }| (name, version)).collect())
}

/// Whether a directory of this name holds packages.
pub(super) fn is_home(name: &[u8]) -> bool {
    name == b"site-packages" || name == b"dist-packages"
}

fn distributions(keeper: &Keeper<'_>, homes: BTreeSet<PathBytes>) -> Result<Vec<Distribution>> {
    let mut found = Vec::new();
    for home in homes {
        let names = keeper.list(&home)?;
        for name in &names {
            let stem = name.strip_suffix(b".dist-info").or(name.strip_suffix(b".egg-info"));
            if let Some(stem) = stem {
                found.push(distribution(keeper, &home, home.join(name), stem)?);
            }
        }
    }
    Ok(found)
}

fn distribution(keeper: &Keeper<'_>, home: &PathBytes, info: PathBytes, stem: &[u8]) -> Result<Distribution> {
    let text = |name: &[u8]| anyhow::Ok(keeper.text(info.join(name).as_bytes())?.map(|(_, text)| text));
    let metadata = match text(b"METADATA")? {
        Some(metadata) => Some(metadata),
        None => text(b"PKG-INFO")?,
    };
    let metadata = metadata.unwrap_or_default();
    let head = metadata.split(|&byte| byte == b'\n').take_while(|line| !line.is_empty());
    let head = head.collect::<Vec<_>>().join(&b'\n');
    let stem = String::from_utf8_lossy(stem);
    let (name, version) = stem.split_once('-').unwrap_or((&stem, ""));
    let files = match text(b"RECORD")? {
        Some(record) => recorded(home, &record),
        None => {
            // Debian's packages have no RECORD: then it is what lies under the names of the modules.
            let modules =
                text(b"top_level.txt")?.unwrap_or_else(|| normal(name).replace('-', "_").into_bytes());
            below(keeper, home, &modules)?
        }
    };
    Ok(Distribution {
        name: field(&head, "Name").unwrap_or(name).to_owned(),
        version: field(&head, "Version").unwrap_or(version).to_owned(),
        info,
        files,
    })
}

/// The paths in a RECORD: comma separated, relative to the directory of packages, quoted where they have a comma.
fn recorded(home: &PathBytes, record: &[u8]) -> Vec<PathBytes> {
    let path = |line: &[u8]| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (line, end) = line.strip_prefix(b"\"").map_or((line, b','), |rest| (rest, b'"'));
        let end = line.iter().position(|&byte| byte == end)?;
        let path = &line[..end];
        Some(if path.starts_with(b"/") { PathBytes::from(path) } else { home.join(path) })
    };
    lines(record).filter_map(path).collect()
}

/// All files of the modules that a text names, one a line.
fn below(keeper: &Keeper<'_>, home: &PathBytes, modules: &[u8]) -> Result<Vec<PathBytes>> {
    let mut found = Vec::new();
    // A name leads out of the directory only with a slash or as "..".
    let is_module = |name: &&[u8]| !name.contains(&b'/') && *name != b".." && *name != b".";
    for module in lines(modules).map(<[u8]>::trim_ascii).filter(is_module) {
        found.push(home.join(&[module, b".py"].concat()));
        let mut todo = vec![home.join(module)];
        while let Some(dir) = todo.pop() {
            for name in keeper.source().children(&dir)? {
                let path = dir.join(&name);
                match keeper.physical(&path)? {
                    Some((_, true)) => todo.push(path),
                    Some((_, false)) => found.push(path),
                    None => {}
                }
            }
        }
    }
    Ok(found)
}

/// A name as packages are compared: lower case, and one `-` for any run of `-`, `_` and `.`.
fn normal(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn records_as_pip_writes_them() {
        let record = b"x/__init__.py,sha256=a,1\r\n\"x/a,b.py\",,\n/abs,,\n../../bin/x,sha256=b,2\n";
        let paths: Vec<String> = recorded(&"/p".into(), record).iter().map(ToString::to_string).collect();
        assert_eq!(paths, ["/p/x/__init__.py", "/p/x/a,b.py", "/abs", "/p/../../bin/x"]);
        assert_eq!(normal("Zope.Interface__x"), "zope-interface-x");
    }

    proptest! {
        #[test]
        fn any_record_is_fine(record: Vec<u8>) {
            recorded(&"/p".into(), &record);
        }
    }
}
