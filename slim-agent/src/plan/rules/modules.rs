//! Where Python finds the modules that kept sources import (importlib's FileFinder).
//!
//! Which directories it searches is known at run time only. They are taken to be those that kept modules were found in,
//! what Python puts beside them, and what the image's `PYTHONPATH`, working directory and `.pth` files name; a module is
//! kept wherever one of them has it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use anyhow::Result;

use super::imports::{Import, imports};
use super::{Work, reason};
use crate::image::{Config, Kind};
use crate::manifest::PathBytes;
use crate::plan::keeper::{Fresh, Keeper};
use crate::plan::reason::Reason;
use crate::resolve::binary;

/// The rule that keeps what kept Python sources import.
pub const PYTHON_IMPORTS: &str = "python-imports";
/// What Python searches as well where it searches the directory above.
const BESIDE: [&[u8]; 3] = [b"lib-dynload", b"site-packages", b"dist-packages"];
/// No source that somebody wrote is longer.
const MAX_SOURCE: u64 = 4 << 20;
/// More names are not remembered for directories that are found later.
const MAX_WANTED: usize = 1_000_000;
/// As much of a file as holds its `#!` line.
const SCRIPT_HEAD: usize = 256;

/// What is known of an image's modules.
#[derive(Default)]
pub(super) struct Modules {
    /// Directories in which top-level modules are looked for.
    roots: BTreeSet<PathBytes>,
    /// Imports from the top, each with a source that has it: they are looked for in roots that are found later, too.
    wanted: BTreeMap<Import, PathBytes>,
    listings: HashMap<PathBytes, Rc<BTreeSet<Vec<u8>>>>,
}

/// Keeps the modules that `file` imports, if it is a Python source.
pub(super) fn python_imports(work: &mut Work<'_, '_>, file: &Fresh) -> Result<()> {
    let (is_source, is_module) = kind(work.keeper, file)?;
    if !is_source && !is_module {
        return Ok(());
    }
    let directories: BTreeSet<PathBytes> =
        [&file.name, &file.entry.path].into_iter().filter_map(PathBytes::parent).collect();
    let modules = &mut work.modules;
    if modules.roots.is_empty() {
        modules.preset(work.keeper, work.config)?;
    }
    for directory in &directories {
        modules.root_of(work.keeper, directory)?;
    }
    if !is_source || file.entry.size > MAX_SOURCE {
        return Ok(());
    }
    let source = work.keeper.source().read_at(&file.entry, 0, usize::try_from(file.entry.size)?)?;
    for import in imports(&source) {
        modules.import(work.keeper, &directories, import, &file.entry.path)?;
    }
    Ok(())
}

/// Whether a file is a Python source, and whether it is a module.
fn kind(keeper: &Keeper<'_>, file: &Fresh) -> Result<(bool, bool)> {
    let name = file.entry.path.file_name();
    if name.ends_with(b".py") {
        return Ok((true, true));
    }
    if is_extension(name) || name.contains(&b'.') || file.entry.mode & 0o111 == 0 {
        return Ok((false, is_extension(name)));
    }
    let words = binary::script_words(&keeper.source().read_at(&file.entry, 0, SCRIPT_HEAD)?);
    let is_python = |word: &Vec<u8>| PathBytes::new(&word[..]).file_name().starts_with(b"python");
    Ok((words.iter().any(is_python), false))
}

/// Whether this is a compiled module: `NAME.cpython-311-x86_64-linux-gnu.so`, `NAME.abi3.so`.
fn is_extension(name: &[u8]) -> bool {
    let Some(stem) = name.strip_suffix(b".so") else { return false };
    let tag = stem.iter().position(|&byte| byte == b'.').map(|dot| &stem[dot + 1..]);
    tag.is_some_and(|tag| [&b"cpython-"[..], b"abi3", b"pypy"].iter().any(|known| tag.starts_with(known)))
}

impl Modules {
    /// Begins with what the image's config names.
    fn preset(&mut self, keeper: &mut Keeper<'_>, config: &Config) -> Result<()> {
        let working_dir = PathBytes::new(format!("/{}", config.working_dir));
        let path = config.environment.get("PYTHONPATH").map(String::as_str).unwrap_or_default();
        for dir in path.split(':').filter(|dir| dir.starts_with('/')) {
            self.root(keeper, dir.into())?;
        }
        self.root(keeper, working_dir)
    }

    /// Searches from now on where the modules in `directory` were found.
    fn root_of(&mut self, keeper: &mut Keeper<'_>, directory: &PathBytes) -> Result<()> {
        let mut top = directory.clone();
        while self.is_package(keeper, &top)?
            && let Some(above) = top.parent()
        {
            top = above;
        }
        self.root(keeper, top)?;
        // Above packages without an `__init__`.
        let mut above = directory.parent();
        while let Some(dir) = above {
            if BESIDE.contains(&dir.file_name()) {
                self.root(keeper, dir.clone())?;
            }
            above = dir.parent();
        }
        Ok(())
    }

    /// Searches `root` from now on, and looks there for what was imported before.
    fn root(&mut self, keeper: &mut Keeper<'_>, root: PathBytes) -> Result<()> {
        let mut todo = vec![root];
        while let Some(root) = todo.pop() {
            if self.listing(keeper, &root)?.is_empty() || !self.roots.insert(root.clone()) {
                continue;
            }
            for (import, of) in self.wanted.clone() {
                self.keep(keeper, root.clone(), &import, &reason(PYTHON_IMPORTS, &of))?;
            }
            todo.extend(BESIDE.iter().map(|name| root.join(name)));
            for name in self.listing(keeper, &root)?.iter().filter(|name| name.ends_with(b".pth")) {
                let text = keeper.text(root.join(name).as_bytes())?.map(|(_, text)| text);
                todo.extend(text.as_deref().map(|text| named(&root, text)).unwrap_or_default());
            }
        }
        Ok(())
    }

    /// Keeps what a source in `directories` imports.
    fn import(
        &mut self,
        keeper: &mut Keeper<'_>,
        directories: &BTreeSet<PathBytes>,
        import: Import,
        of: &PathBytes,
    ) -> Result<()> {
        let reason = reason(PYTHON_IMPORTS, of);
        if import.level > 0 {
            for directory in directories {
                let base = (1..import.level).try_fold(directory.clone(), |dir, _| dir.parent());
                let Some(base) = base else { continue };
                self.keep(keeper, base, &import, &reason)?;
            }
            return Ok(());
        }
        if self.wanted.contains_key(&import) {
            return Ok(());
        }
        if self.wanted.len() < MAX_WANTED {
            self.wanted.insert(import.clone(), of.clone());
        }
        for root in self.roots.clone() {
            self.keep(keeper, root, &import, &reason)?;
        }
        Ok(())
    }

    /// Keeps what `import` means below `base`: the packages on the way to it, and the module.
    fn keep(
        &mut self,
        keeper: &mut Keeper<'_>,
        base: PathBytes,
        import: &Import,
        reason: &Reason,
    ) -> Result<()> {
        let mut dir = base;
        for part in import.name.split(|&byte| byte == b'.').filter(|part| !part.is_empty()) {
            let listing = self.listing(keeper, &dir)?;
            keep_module(keeper, &dir, &listing, part, reason)?;
            if !listing.contains(part) {
                return Ok(());
            }
            dir = dir.join(part);
            let listing = self.listing(keeper, &dir)?;
            keep_module(keeper, &dir, &listing, b"__init__", reason)?;
        }
        if import.any_below {
            for name in self.listing(keeper, &dir)?.iter().filter(|name| is_source_or_extension(name)) {
                keeper.keep_if_there(&dir.join(name), reason)?;
            }
        }
        Ok(())
    }

    fn is_package(&mut self, keeper: &Keeper<'_>, dir: &PathBytes) -> Result<bool> {
        let listing = self.listing(keeper, dir)?;
        Ok(listing.contains(&b"__init__.py"[..]) || listing.contains(&b"__init__.pyc"[..]))
    }

    fn listing(&mut self, keeper: &Keeper<'_>, dir: &PathBytes) -> Result<Rc<BTreeSet<Vec<u8>>>> {
        if let Some(known) = self.listings.get(dir) {
            return Ok(known.clone());
        }
        let found: Rc<BTreeSet<Vec<u8>>> = Rc::new(keeper.list(dir)?.into_iter().collect());
        self.listings.insert(dir.clone(), found.clone());
        Ok(found)
    }
}

/// Keeps the files of the module `stem` in `dir`, whose entries are `listing`.
fn keep_module(
    keeper: &mut Keeper<'_>,
    dir: &PathBytes,
    listing: &BTreeSet<Vec<u8>>,
    stem: &[u8],
    reason: &Reason,
) -> Result<()> {
    let start = [stem, b"."].concat();
    for name in listing.range(start.clone()..).take_while(|name| name.starts_with(&start)) {
        let is_plain = [&b"py"[..], b"pyc", b"so"].contains(&&name[start.len()..]);
        if is_plain || is_extension(name) {
            let path = dir.join(name);
            if keeper.find(path.as_bytes())?.is_some_and(|entry| entry.kind == Kind::File) {
                keeper.keep(&path, reason)?;
            }
        }
    }
    Ok(())
}

fn is_source_or_extension(name: &[u8]) -> bool {
    name.ends_with(b".py") || name.ends_with(b".pyc") || is_extension(name)
}

/// The directories that a `.pth` file in `dir` names; lines that are code or comment do not (the module `site`).
fn named(dir: &PathBytes, text: &[u8]) -> Vec<PathBytes> {
    let lines = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let names = lines.filter(|line| {
        !line.is_empty() && !line.starts_with(b"#") && !line.starts_with(b"import") && !line.contains(&0)
    });
    names.map(|name| if name.starts_with(b"/") { PathBytes::new(name) } else { dir.join(name) }).collect()
}
