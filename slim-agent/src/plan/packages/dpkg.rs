//! Debian's packages: `/var/lib/dpkg/status`, or a file for each package in `/var/lib/dpkg/status.d`, which is what
//! images without a package manager have and scanners read.

use anyhow::Result;

use super::stanza::{field, lines, stanzas};
use super::{Described, Named, Package, WithFiles, mark, share};
use crate::image::Entry;
use crate::manifest::PathBytes;
use crate::plan::generated::Generated;
use crate::plan::keeper::Keeper;
use crate::plan::reason::Reason;

const DATABASE: &str = "/var/lib/dpkg";

/// A package as the database has it.
struct Installed {
    name: String,
    arch: String,
    stanza: Vec<u8>,
    /// The file that the stanza is from.
    source: Entry,
}

/// The file list of a package and its checksums, where the image has them.
struct Lists {
    files: Option<Vec<PathBytes>>,
    sums: Vec<u8>,
}

pub(super) fn describe(keeper: &mut Keeper<'_>, described: &mut Described) -> Result<()> {
    let database = PathBytes::from(DATABASE);
    let status = keeper.find(database.join(b"status").as_bytes())?;
    let in_use = status.is_some_and(|status| keeper.keeps(&status.path));
    if in_use {
        let note =
            format!("{DATABASE}/status is kept as it was: it also lists packages that are not in the image");
        described.notes.push(note);
    }
    let mut seen = std::collections::BTreeSet::new();
    for package in installed(keeper)? {
        let lists = lists(keeper, &package)?;
        let share = lists.files.as_deref().map(|files| share(keeper, files)).transpose()?;
        if share.is_some_and(|share| share.kept == 0) {
            continue;
        }
        let (name, version) = (package.name.clone(), package.version());
        described.packages.push(Package { kind: "dpkg", name, version, files: share });
        if in_use {
            continue;
        }
        let first = seen.insert(package.name.clone());
        let file = if first { package.name.clone() } else { format!("{}:{}", package.name, package.arch) };
        let mut stanza = package.stanza.clone();
        if let Some(mark) = mark(share) {
            stanza.extend_from_slice(format!("\nX-Slim-Agent: {mark}").as_bytes());
        }
        stanza.push(b'\n');
        write(keeper, described, &package, &file, stanza)?;
        let sums = kept_sums(keeper, &lists.sums)?;
        if !sums.is_empty() {
            write(keeper, described, &package, &format!("{file}.md5sums"), sums)?;
        }
    }
    Ok(())
}

/// The names of all that the package `wanted`, or `NAME:ARCH`, put into the image.
pub(super) fn files(keeper: &Keeper<'_>, wanted: &str) -> Result<Vec<PathBytes>> {
    let mut files = Vec::new();
    for package in installed(keeper)? {
        if wanted == package.name || wanted == format!("{}:{}", package.name, package.arch) {
            files.extend(lists(keeper, &package)?.files.unwrap_or_default());
        }
    }
    Ok(files)
}

/// What is installed.
pub(super) fn names_of_all(keeper: &Keeper<'_>) -> Result<Vec<Named>> {
    let all = installed(keeper)?.into_iter();
    Ok(all.map(|package| (package.name.clone(), package.version())).collect())
}

/// What is installed, with the files of each.
pub(super) fn with_files(keeper: &Keeper<'_>) -> Result<Vec<WithFiles>> {
    let files = |package: Installed| {
        let files = lists(keeper, &package)?.files.unwrap_or_default();
        Ok((package.name, files))
    };
    installed(keeper)?.into_iter().map(files).collect()
}

/// Puts `file` into the directory of packages, which is made when the image has none.
fn write(
    keeper: &mut Keeper<'_>,
    described: &mut Described,
    package: &Installed,
    file: &str,
    content: Vec<u8>,
) -> Result<()> {
    let reason = Reason::PackageMetadata(package.name.clone());
    let dir = PathBytes::from(DATABASE).join(b"status.d");
    let dir = match keeper.find(dir.as_bytes())?.filter(Entry::is_dir) {
        Some(there) => {
            keeper.keep(&dir, &reason)?;
            there.path
        }
        None => {
            let above = PathBytes::from(DATABASE);
            let Some(above) = keeper.keep_if_there(&above, &reason)?.entry() else { return Ok(()) };
            let dir = above.path.join(b"status.d");
            let all = Reason::PackageMetadata("dpkg".into());
            described.generate(keeper, Generated::directory(dir.clone(), &package.source, all));
            dir
        }
    };
    let made = Generated::file(dir.join(file.as_bytes()), content, &package.source, reason);
    described.generate(keeper, made);
    Ok(())
}

/// The installed packages, in the order of the database.
fn installed(keeper: &Keeper<'_>) -> Result<Vec<Installed>> {
    let database = PathBytes::from(DATABASE);
    let single = database.join(b"status.d");
    let mut sources = vec![database.join(b"status")];
    let names = keeper.list(&single)?;
    sources.extend(names.iter().filter(|name| !name.ends_with(b".md5sums")).map(|name| single.join(name)));
    let mut found = Vec::new();
    for file in sources {
        let Some((source, text)) = keeper.text(file.as_bytes())? else { continue };
        found.extend(stanzas(&text).filter_map(|stanza| Installed::read(stanza, &source)));
    }
    Ok(found)
}

impl Installed {
    fn read(stanza: &[u8], source: &Entry) -> Option<Self> {
        let name = field(stanza, "Package").filter(|name| is_name(name))?;
        // Files in status.d need not tell the state.
        let status = field(stanza, "Status").unwrap_or("install ok installed");
        let arch = field(stanza, "Architecture").filter(|arch| is_name(arch)).unwrap_or_default();
        let is_there = !matches!(status.split_whitespace().last(), Some("not-installed" | "config-files"));
        let (name, arch) = (name.to_owned(), arch.to_owned());
        is_there.then(|| Self { name, arch, stanza: stanza.to_vec(), source: source.clone() })
    }

    fn version(&self) -> String {
        field(&self.stanza, "Version").unwrap_or_default().to_owned()
    }
}

/// Whether this may be the name of a package (deb-control(5)), and with it that of a file.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    name.bytes().all(allowed) && name.starts_with(|first: char| first.is_ascii_alphanumeric())
}

fn lists(keeper: &Keeper<'_>, package: &Installed) -> Result<Lists> {
    let info = PathBytes::from(DATABASE).join(b"info");
    let (name, both) = (&package.name, format!("{}:{}", package.name, package.arch));
    let text = |file: PathBytes| anyhow::Ok(keeper.text(file.as_bytes())?.map(|(_, text)| text));
    let either = |suffix: &str| match text(info.join(format!("{both}{suffix}").as_bytes()))? {
        Some(found) => anyhow::Ok(Some(found)),
        None => text(info.join(format!("{name}{suffix}").as_bytes())),
    };
    let single = PathBytes::from(DATABASE).join(b"status.d").join(format!("{name}.md5sums").as_bytes());
    let sums = match either(".md5sums")? {
        Some(sums) => Some(sums),
        None => text(single)?,
    };
    let files = match either(".list")? {
        Some(list) => Some(lines(&list).filter(|line| line.starts_with(b"/")).map(PathBytes::from).collect()),
        None => sums.as_deref().map(|sums| lines(sums).filter_map(summed).collect()),
    };
    Ok(Lists { files, sums: sums.unwrap_or_default() })
}

/// The path of a line of md5sums.
fn summed(line: &[u8]) -> Option<PathBytes> {
    let cut = line.windows(2).position(|pair| pair == b"  ")?;
    Some(PathBytes::from("/").join(&line[cut + 2..]))
}

fn kept_sums(keeper: &Keeper<'_>, sums: &[u8]) -> Result<Vec<u8>> {
    let mut kept = Vec::new();
    for line in lines(sums) {
        let Some(name) = summed(line) else { continue };
        if keeper.physical(&name)?.is_some_and(|(path, _)| keeper.keeps(&path)) {
            kept.extend_from_slice(line);
            kept.push(b'\n');
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::testing::Layers;
    use proptest::prelude::*;

    #[test]
    fn only_names_that_are_names_become_files() {
        assert!(is_name("libstdc++6") && is_name("0ad"));
        assert!(!is_name("../x") && !is_name("a/b") && !is_name("") && !is_name(".hidden"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn no_database_is_fatal(status: Vec<u8>, sums in "[a-f0-9]{0,4} {0,3}[a-z/.]{0,6}\n") {
            let image = Layers::new().layer(|dir| {
                dir.file("var/lib/dpkg/status", &status).file("var/lib/dpkg/status.d/x", b"Package: x\n");
                dir.file("var/lib/dpkg/status.d/x.md5sums", sums.as_bytes());
            });
            let image = image.overlay();
            let mut keeper = Keeper::new(&image, &[]).unwrap();
            describe(&mut keeper, &mut Described::default()).unwrap();
        }
    }
}
