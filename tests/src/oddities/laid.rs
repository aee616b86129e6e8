//! The root directory that the programs run in, as a tar archive: an engine imports it as an image, and tar(1) lays it
//! down where there is none. Sources lie beside the programs, so that the directory says what must be seen of it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use tar::{Builder, EntryType, Header};

use super::build::{compile, compile_library, libraries};
use super::directive::{Build, Item, Oddity};
use super::names::Bytes;
use super::{DRIVER, HOME, read_directory, sources};
use crate::command::output;

/// What every file holds.
const CONTENT: &[u8] = b"content\n";
/// Directories that a root must have: mount points, and room for what programs make.
const SKELETON: [&str; 4] = ["/proc", "/sys", "/dev", "/tmp"];

/// Compiles the programs and writes a root directory that holds them, as a tar archive.
///
/// # Errors
/// A program cannot be compiled, or the archive cannot be written.
pub fn write_archive(oddities: &[Oddity], to: &Path) -> Result<()> {
    let place = tempfile::tempdir().context("cannot make a temporary directory")?;
    let file = File::create(to).with_context(|| format!("cannot create {}", to.display()))?;
    let mut root =
        Root { archive: Builder::new(file), directories: BTreeSet::from([Vec::new()]), place: place.path() };
    for directory in SKELETON {
        root.directory(directory.as_bytes(), 0o755)?;
    }
    let driver = sources().join("support").join("driver.c");
    root.program(&driver, Build::Static, &format!("{HOME}/{DRIVER}"), DRIVER)?;
    for oddity in oddities {
        root.oddity(oddity).with_context(|| format!("cannot lay down {}", oddity.name))?;
    }
    root.archive.into_inner().and_then(|mut file| file.flush()).context("cannot finish the archive")
}

/// Compiles the programs of `tests/programs` and lays a root directory down that holds them.
///
/// # Errors
/// As [`write_archive`], or the directory cannot be filled.
pub fn lay_down(directory: &Path) -> Result<()> {
    let place = tempfile::tempdir().context("cannot make a temporary directory")?;
    let archive = place.path().join("root.tar");
    write_archive(&super::all()?, &archive)?;
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    output(Command::new("tar").arg("-xpf").arg(&archive).arg("-C").arg(directory)).map(drop)
}

/// The programs in a root directory that [`lay_down`] filled.
///
/// # Errors
/// It is not such a directory.
pub fn read_laid_down(root: &Path) -> Result<Vec<Oddity>> {
    let home = root.join(HOME.trim_start_matches('/'));
    let entries = fs::read_dir(&home)
        .with_context(|| format!("{} was not made by `oddities --lay-down`", root.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", home.display()))?;
        found.extend(if entry.file_name() == DRIVER { Vec::new() } else { read_directory(&entry.path())? });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// An archive that grows.
struct Root<'a> {
    archive: Builder<File>,
    directories: BTreeSet<Vec<u8>>,
    place: &'a Path,
}

impl Root<'_> {
    fn oddity(&mut self, oddity: &Oddity) -> Result<()> {
        let source = sources().join(format!("{}.c", oddity.name));
        let home = oddity.home();
        self.program(&source, oddity.build, &home, &oddity.name)?;
        let text = fs::read(&source).with_context(|| format!("cannot read {}", source.display()))?;
        self.file(format!("{home}/{}.c", oddity.name).as_bytes(), 0o644, &text)?;
        for (name, path) in libraries(oddity)? {
            let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            self.file(format!("{home}/{name}").as_bytes(), 0o755, &bytes)?;
        }
        oddity.image.iter().try_for_each(|item| self.item(&source, item))
    }

    fn program(&mut self, source: &Path, build: Build, home: &str, name: &str) -> Result<()> {
        let built = self.place.join(name);
        compile(source, build, home, &built)?;
        let bytes = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
        self.file(format!("{home}/{name}").as_bytes(), 0o755, &bytes)
    }

    fn item(&mut self, source: &Path, item: &Item) -> Result<()> {
        match item {
            Item::File(name, mode) => self.file(&name.0, *mode, CONTENT),
            Item::Directory(name, mode) => self.directory(&name.0, *mode),
            Item::Symlink(name, target) => self.link(EntryType::Symlink, name, &target.0),
            Item::Hard(name, existing) => self.link(EntryType::Link, name, relative(&existing.0)),
            Item::Script(name, Bytes(interpreter)) => {
                self.file(&name.0, 0o755, &[b"#!", interpreter.as_slice(), b"\n"].concat())
            }
            Item::Library(name) => {
                let built = self.place.join("library.so");
                compile_library(source, &built)?;
                let bytes = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
                self.file(&name.0, 0o755, &bytes)
            }
        }
    }

    fn file(&mut self, name: &[u8], mode: u32, content: &[u8]) -> Result<()> {
        self.parents(name)?;
        let mut header = header(EntryType::Regular, mode);
        header.set_size(content.len() as u64);
        self.archive.append_data(&mut header, path(name), content).context("cannot archive a file")
    }

    fn directory(&mut self, name: &[u8], mode: u32) -> Result<()> {
        self.parents(name)?;
        self.directories.insert(relative(name).to_vec());
        let mut header = header(EntryType::Directory, mode);
        self.archive
            .append_data(&mut header, path(name), std::io::empty())
            .context("cannot archive a directory")
    }

    fn link(&mut self, kind: EntryType, name: &Bytes, target: &[u8]) -> Result<()> {
        self.parents(&name.0)?;
        let mut header = header(kind, 0o777);
        self.archive.append_link(&mut header, path(&name.0), os(target)).context("cannot archive a link")
    }

    fn parents(&mut self, name: &[u8]) -> Result<()> {
        let name = relative(name);
        let cut = name.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        if self.directories.contains(&name[..cut]) {
            return Ok(());
        }
        self.directory(&name[..cut], 0o755)
    }
}

fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(0);
    header.set_mtime(1_600_000_000);
    header
}

fn relative(name: &[u8]) -> &[u8] {
    name.strip_prefix(b"/").unwrap_or(name)
}

fn path(name: &[u8]) -> &Path {
    os(relative(name))
}

fn os(name: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(name))
}
