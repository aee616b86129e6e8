//! Which shared libraries an ELF file brings, looked for as ld.so(8) and musl's loader do.
//!
//! What a loader would find in any environment is found: the directories of the image's `LD_LIBRARY_PATH` as well as
//! those without it do not exclude each other, but the first that has the library ends the search.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use anyhow::Result;

use super::loader_config::{system_directories, triplets};
use crate::image::{Config, Entry, Kind};
use crate::manifest::PathBytes;
use crate::plan::keeper::{Fresh, Keeper};
use crate::resolve::elf::{self, Form, Linking};

/// As many directories as the run paths of a file and of what loaded it may name.
const MAX_CHAIN: usize = 256;

/// Where an image has libraries, and what is known of them.
pub(super) struct Libraries {
    /// `LD_LIBRARY_PATH`.
    preset: Vec<u8>,
    working_dir: PathBytes,
    system: Vec<PathBytes>,
    /// What `$LIB` may stand for.
    lib: Vec<Vec<u8>>,
    parsed: HashMap<PathBytes, Option<Rc<Linking>>>,
    /// Directory -> those below it with builds for newer processors.
    variants: HashMap<PathBytes, Vec<PathBytes>>,
}

/// A file as the loader has it.
struct Loaded {
    path: PathBytes,
    /// The directories that `$ORIGIN` may stand for.
    origins: Vec<PathBytes>,
    linking: Rc<Linking>,
    /// `DT_RPATH` of what loaded it.
    inherited: Vec<PathBytes>,
}

impl Libraries {
    pub fn new(keeper: &Keeper<'_>, config: &Config) -> Result<Self> {
        let mut lib = vec![b"lib".to_vec(), b"lib64".to_vec()];
        lib.extend(triplets(keeper)?.iter().map(|triplet| [b"lib/", &triplet[..]].concat()));
        let preset = config.environment.get("LD_LIBRARY_PATH").map(String::as_str).unwrap_or_default();
        Ok(Self {
            preset: preset.replace(';', ":").into_bytes(),
            working_dir: PathBytes::new(format!("/{}", config.working_dir)),
            system: system_directories(keeper)?,
            lib,
            parsed: HashMap::new(),
            variants: HashMap::new(),
        })
    }

    /// The directories in which the system's loaders look.
    pub fn system(&self) -> &[PathBytes] {
        &self.system
    }

    /// What `entry` names for the dynamic linker, if it is an ELF file.
    pub fn linking(&mut self, keeper: &Keeper<'_>, entry: &Entry) -> Result<Option<Rc<Linking>>> {
        if let Some(known) = self.parsed.get(&entry.path) {
            return Ok(known.clone());
        }
        let source = keeper.source();
        let found = elf::linking(|offset, len| source.read_at(entry, offset, len))?.map(Rc::new);
        self.parsed.insert(entry.path.clone(), found.clone());
        Ok(found)
    }

    /// Names of the libraries that `file` brings, each with the file that names it. Those that they bring in turn are
    /// among them only where `file` decides where they are looked for.
    pub fn closure(
        &mut self,
        keeper: &Keeper<'_>,
        file: &Fresh,
        linking: &Rc<Linking>,
    ) -> Result<Vec<(PathBytes, PathBytes)>> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        let mut todo = vec![Loaded::new(&file.name, &file.entry, linking, Vec::new())];
        while let Some(at) = todo.pop() {
            let chain = self.chain(&at);
            for needed in &at.linking.needed {
                if !seen.insert(needed.clone()) {
                    continue;
                }
                for (name, entry, linking) in self.needed(keeper, &at, needed, &chain)? {
                    if !chain.is_empty() {
                        todo.push(Loaded::new(&name, &entry, &linking, chain.clone()));
                    }
                    found.push((name, at.path.clone()));
                }
            }
        }
        Ok(found)
    }

    /// Names under which a library of this form is found in the directory of `beside`, or where the system looks.
    pub fn find(
        &mut self,
        keeper: &Keeper<'_>,
        form: Form,
        beside: &Fresh,
        name: &[u8],
    ) -> Result<Vec<PathBytes>> {
        let mut dirs: Vec<PathBytes> = beside.entry.path.parent().into_iter().collect();
        dirs.extend(self.system.iter().cloned());
        Ok(self.search(keeper, form, &dirs, name)?.into_iter().map(|(name, ..)| name).collect())
    }

    /// The directories that `at` makes the loader search for itself and for all that it loads.
    fn chain(&self, at: &Loaded) -> Vec<PathBytes> {
        let own = if at.linking.runpath.is_empty() { &at.linking.rpath[..] } else { b"" };
        let mut chain = self.expand(own, at);
        chain.extend(at.inherited.iter().cloned());
        chain.truncate(MAX_CHAIN);
        chain
    }

    fn needed(
        &mut self,
        keeper: &Keeper<'_>,
        at: &Loaded,
        needed: &[u8],
        chain: &[PathBytes],
    ) -> Result<Vec<(PathBytes, Entry, Rc<Linking>)>> {
        let form = at.linking.form;
        if needed.contains(&b'/') {
            let mut found = Vec::new();
            for name in self.expand(needed, at) {
                found.extend(self.candidate(keeper, form, name)?);
            }
            return Ok(found);
        }
        let mut dirs = chain.to_vec();
        dirs.extend(self.expand(&self.preset, at));
        dirs.extend(self.expand(&at.linking.runpath, at));
        if at.linking.in_system {
            dirs.extend(self.system.iter().cloned());
        }
        self.search(keeper, form, &dirs, needed)
    }

    /// The library `name` in the first directory that has it, and its builds for other processors on the way there.
    fn search(
        &mut self,
        keeper: &Keeper<'_>,
        form: Form,
        dirs: &[PathBytes],
        name: &[u8],
    ) -> Result<Vec<(PathBytes, Entry, Rc<Linking>)>> {
        let mut found = Vec::new();
        for dir in dirs {
            for variant in self.variants(keeper, dir)? {
                found.extend(self.candidate(keeper, form, variant.join(name))?);
            }
            if let Some(hit) = self.candidate(keeper, form, dir.join(name))? {
                found.push(hit);
                break;
            }
        }
        Ok(found)
    }

    /// `dir/glibc-hwcaps/x86-64-v3` and the like: which one is taken is up to the processor at run time.
    fn variants(&mut self, keeper: &Keeper<'_>, dir: &PathBytes) -> Result<Vec<PathBytes>> {
        if let Some(known) = self.variants.get(dir) {
            return Ok(known.clone());
        }
        let above = dir.join(b"glibc-hwcaps");
        let found: Vec<_> = keeper.list(&above)?.iter().map(|name| above.join(name)).collect();
        self.variants.insert(dir.clone(), found.clone());
        Ok(found)
    }

    fn candidate(
        &mut self,
        keeper: &Keeper<'_>,
        form: Form,
        name: PathBytes,
    ) -> Result<Option<(PathBytes, Entry, Rc<Linking>)>> {
        let entry = keeper.find(name.as_bytes())?.filter(|entry| entry.kind == Kind::File);
        let Some(entry) = entry else { return Ok(None) };
        let linking = self.linking(keeper, &entry)?.filter(|linking| linking.form == form);
        Ok(linking.map(|linking| (name, entry, linking)))
    }

    /// A list of names parted by colons, with all that each may mean in `at`.
    fn expand(&self, list: &[u8], at: &Loaded) -> Vec<PathBytes> {
        let origins: Vec<_> = at.origins.iter().map(|dir| dir.as_bytes().to_vec()).collect();
        let platform = [platform(at.linking.form).to_vec()];
        let mut names = Vec::new();
        for name in list.split(|&byte| byte == b':').filter(|name| !name.is_empty()) {
            let mut all = vec![name.to_vec()];
            all = replaced(&all, "ORIGIN", &origins);
            all = replaced(&all, "LIB", &self.lib);
            all = replaced(&all, "PLATFORM", &platform);
            names.extend(all);
        }
        let absolute = |name: Vec<u8>| {
            if name.starts_with(b"/") { PathBytes::new(name) } else { self.working_dir.join(&name) }
        };
        names.into_iter().map(absolute).collect()
    }
}

impl Loaded {
    fn new(name: &PathBytes, entry: &Entry, linking: &Rc<Linking>, inherited: Vec<PathBytes>) -> Self {
        let mut origins: Vec<_> = [name, &entry.path].into_iter().filter_map(PathBytes::parent).collect();
        origins.dedup();
        Self { path: entry.path.clone(), origins, linking: Rc::clone(linking), inherited }
    }
}

/// `names` with `$TOKEN` and `${TOKEN}` replaced by each of `values`.
fn replaced(names: &[Vec<u8>], token: &str, values: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let (plain, braced) = (format!("${token}"), format!("${{{token}}}"));
    let mut all = Vec::new();
    for name in names {
        let found = [&braced, &plain].into_iter().find(|form| position(name, form.as_bytes()).is_some());
        let Some(form) = found else {
            all.push(name.clone());
            continue;
        };
        for value in values {
            let mut rest = &name[..];
            let mut whole = Vec::new();
            while let Some(at) = position(rest, form.as_bytes()) {
                whole.extend_from_slice(&rest[..at]);
                whole.extend_from_slice(value);
                rest = &rest[at + form.len()..];
            }
            whole.extend_from_slice(rest);
            all.push(whole);
        }
    }
    all
}

fn position(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// What `$PLATFORM` stands for (AT_PLATFORM, getauxval(3)).
fn platform(form: Form) -> &'static [u8] {
    match form.machine {
        3 => b"i686",
        40 => b"v7l",
        62 => b"x86_64",
        183 => b"aarch64",
        _ => b"",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tokens_are_replaced_by_all_they_may_mean() {
        let lib = [b"lib".to_vec(), b"lib64".to_vec()];
        let all = replaced(&[b"/x/$LIB/y/$LIB".to_vec(), b"/z".to_vec()], "LIB", &lib);
        assert_eq!(all, [&b"/x/lib/y/lib"[..], b"/x/lib64/y/lib64", b"/z"]);
        assert_eq!(replaced(&[b"${ORIGIN}/..".to_vec()], "ORIGIN", &[b"/a".to_vec()]), [b"/a/..".to_vec()]);
    }

    proptest! {
        #[test]
        fn replacing_comes_to_an_end(name: Vec<u8>) {
            let values = [b"$LIB".to_vec(), b"".to_vec()];
            prop_assert!(!replaced(&[name], "LIB", &values).is_empty());
        }
    }
}
