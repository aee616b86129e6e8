//! Alpine's packages: one database, written anew with the packages and files that are left.

use std::collections::BTreeSet;

use anyhow::Result;

use super::stanza::{field, lines, stanzas};
use super::{Described, Named, Package, Share, WithFiles, mark, share};
use crate::manifest::PathBytes;
use crate::plan::generated::Generated;
use crate::plan::keeper::Keeper;
use crate::plan::reason::Reason;

const DATABASES: [&str; 2] = ["/lib/apk/db/installed", "/usr/lib/apk/db/installed"];

pub(super) fn describe(keeper: &mut Keeper<'_>, described: &mut Described) -> Result<()> {
    let mut known = BTreeSet::new();
    for name in DATABASES {
        let Some((entry, text)) = keeper.text(name.as_bytes())? else { continue };
        if !known.insert(entry.path.clone()) {
            continue;
        }
        let in_use = keeper.keeps(&entry.path);
        let mut left = Vec::new();
        for stanza in stanzas(&text) {
            let share = share(keeper, &names(stanza))?;
            let Some(package) = field(stanza, "P").filter(|_| share.kept > 0) else { continue };
            left.extend(reduced(stanza, share, |name| {
                anyhow::Ok(keeper.physical(name)?.is_some_and(|(path, _)| keeper.keeps(&path)))
            })?);
            let version = field(stanza, "V").unwrap_or_default().to_owned();
            described.packages.push(Package {
                kind: "apk",
                name: package.to_owned(),
                version,
                files: Some(share),
            });
        }
        if in_use {
            let note = format!("{name} is kept as it was: it also lists packages that are not in the image");
            described.notes.push(note);
            continue;
        }
        let reason = Reason::PackageMetadata("apk".into());
        let above = entry.path.parent().unwrap_or_default();
        keeper.keep(&above, &reason)?;
        described.generate(keeper, Generated::file(entry.path.clone(), left, &entry, reason));
    }
    Ok(())
}

/// The names of all that the package `wanted` put into the image.
pub(super) fn files(keeper: &Keeper<'_>, wanted: &str) -> Result<Vec<PathBytes>> {
    let files = |stanza: &[u8]| (field(stanza, "P") == Some(wanted)).then(|| names(stanza));
    Ok(of_each(keeper, files)?.into_iter().flatten().collect())
}

/// What is installed.
pub(super) fn names_of_all(keeper: &Keeper<'_>) -> Result<Vec<Named>> {
    let version = |stanza: &[u8]| field(stanza, "V").unwrap_or_default().to_owned();
    of_each(keeper, |stanza| Some((field(stanza, "P")?.to_owned(), version(stanza))))
}

/// What is installed, with the files of each.
pub(super) fn with_files(keeper: &Keeper<'_>) -> Result<Vec<WithFiles>> {
    of_each(keeper, |stanza| Some((field(stanza, "P")?.to_owned(), names(stanza))))
}

/// What `read` makes of each paragraph of the databases, which may be the same one under two names.
fn of_each<T>(keeper: &Keeper<'_>, read: impl Fn(&[u8]) -> Option<T>) -> Result<Vec<T>> {
    let (mut found, mut known) = (Vec::new(), BTreeSet::new());
    for database in DATABASES {
        let Some((entry, text)) = keeper.text(database.as_bytes())? else { continue };
        if known.insert(entry.path) {
            found.extend(stanzas(&text).filter_map(&read));
        }
    }
    Ok(found)
}

/// The files of a package: `F:` names a directory, the `R:` behind it what lies there.
fn names(stanza: &[u8]) -> Vec<PathBytes> {
    let (mut dir, mut found) = (PathBytes::from("/"), Vec::new());
    for line in lines(stanza) {
        match line {
            [b'F', b':', rest @ ..] => dir = PathBytes::from("/").join(rest),
            [b'R', b':', rest @ ..] => found.push(dir.join(rest)),
            _ => {}
        }
    }
    found
}

/// The paragraph without the files that `is_kept` does not know, and without directories that have none of them left.
/// Fields with small letters are those that apk passes over when it does not know them.
fn reduced(
    stanza: &[u8],
    share: Share,
    mut is_kept: impl FnMut(&PathBytes) -> Result<bool>,
) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut dir: (PathBytes, Vec<u8>) = (PathBytes::from("/"), Vec::new());
    // Whether the lines go on about a file that is cut, or about a directory.
    let (mut in_cut, mut in_dir, mut before) = (false, false, true);
    for line in lines(stanza) {
        match line {
            [b'F', b':', rest @ ..] => {
                if before && let Some(mark) = mark(Some(share)) {
                    out.extend_from_slice(format!("x:slim-agent {mark}\n").as_bytes());
                }
                before = false;
                dir = (PathBytes::from("/").join(rest), Vec::new());
                (in_dir, in_cut) = (true, false);
            }
            [b'R', b':', rest @ ..] => {
                in_dir = false;
                in_cut = !is_kept(&dir.0.join(rest))?;
                if !in_cut {
                    out.append(&mut dir.1);
                }
            }
            _ => {}
        }
        if in_dir {
            dir.1.extend_from_slice(line);
            dir.1.push(b'\n');
        } else if !in_cut {
            out.extend_from_slice(line);
            out.push(b'\n');
        }
    }
    out.push(b'\n');
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STANZA: &[u8] = b"C:Q1\nP:musl\nV:1.2\nF:lib\nM:0:0:755\nR:libc.so\na:0:0:755\nZ:Q2\nR:ld.so\nF:usr\nF:usr/bin\nR:ldd\nZ:Q3";

    #[test]
    fn what_is_cut_goes_and_what_is_left_stays_as_it_was() {
        let only = |kept: &'static str| move |name: &PathBytes| anyhow::Ok(*name == kept.into());
        let text = reduced(STANZA, Share { kept: 1, of: 3 }, only("/usr/bin/ldd")).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "C:Q1\nP:musl\nV:1.2\nx:slim-agent partial 1/3 files\nF:usr/bin\nR:ldd\nZ:Q3\n\n"
        );
        let text = reduced(STANZA, Share { kept: 1, of: 3 }, only("/lib/libc.so")).unwrap();
        assert!(text.ends_with(b"files\nF:lib\nM:0:0:755\nR:libc.so\na:0:0:755\nZ:Q2\n\n"));
    }

    proptest! {
        #[test]
        fn no_paragraph_is_fatal(stanza: Vec<u8>) {
            names(&stanza);
            reduced(&stanza, Share { kept: 1, of: 1 }, |_| Ok(true)).unwrap();
        }
    }
}
