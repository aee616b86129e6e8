//! What was cut out of an image and is asked for: entries that the original has, and the slim image made of it does
//! not.

use std::collections::HashSet;
use std::os::unix::fs::FileExt;

use anyhow::Result;

use super::{ImageSource, Kind, Names};
use crate::manifest::{PathBytes, Use};
use crate::resolve::binary::{self, Interpreter, MAX_INTERPRETERS};
use crate::resolve::walk::{Node, Start, Tree, walk_from};
use crate::resolve::{Lookup, Resolver};

/// An image, and a slim one that was made of it.
pub struct Pair {
    original: Box<dyn ImageSource>,
    slim: Box<dyn ImageSource>,
}

/// An entry that only the original has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The entry, by its physical path.
    pub path: PathBytes,
    /// The path that a recording of the original would hold for this: the same, or one that was to be made in the
    /// directory `path`.
    pub wanted: PathBytes,
    /// What for.
    pub usage: Use,
}

/// What a directory lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lacking {
    /// Entries of the original that the slim image does not have.
    pub entries: usize,
    /// Entries of the original.
    pub of: usize,
    /// Whether there are Python's modules among those that it does not have: Python asks only for modules that it found
    /// in a listing (importlib's FileFinder).
    pub has_modules: bool,
}

impl Cut {
    fn new(path: PathBytes, usage: Use) -> Self {
        Self { wanted: path.clone(), path, usage }
    }
}

impl Pair {
    /// The two images.
    pub fn new(original: Box<dyn ImageSource>, slim: Box<dyn ImageSource>) -> Self {
        Self { original, slim }
    }

    /// What a lookup that found nothing would have found in the original, as far as the slim image lacks it; nothing if
    /// it would have found nothing there either. The name is walked through what `live` has now, which may be links
    /// made at run time, and where that ends through the original.
    ///
    /// # Errors
    /// An image cannot be read.
    pub fn cut(&self, lookup: &Lookup, live: &Resolver) -> Result<Vec<Cut>> {
        let names = Names::new(&*self.original);
        let tree = live.over(&names);
        let walked = names.whole(walk_from(&tree, lookup.start.clone(), &lookup.name, lookup.follow))?;
        let mut wanted: Vec<Cut> = walked.hops.into_iter().map(|hop| Cut::new(hop, Use::Hop)).collect();
        if walked.exists {
            if lookup.runs() {
                wanted.extend(self.interpreters(&walked.end, &tree, live)?);
            }
            wanted.push(Cut::new(walked.end, lookup.usage));
        } else {
            let directory = walked.end.parent().filter(|dir| tree.node(dir) == Node::Directory);
            let Some(directory) = directory.filter(|_| lookup.makes) else { return Ok(Vec::new()) };
            wanted.push(Cut { path: directory, wanted: walked.end, usage: lookup.usage });
        }
        let mut found = Vec::new();
        for cut in names.whole(wanted)? {
            if self.original.lookup(&cut.path)?.is_some() && self.slim.lookup(&cut.path)?.is_none() {
                found.push(cut);
            }
        }
        Ok(found)
    }

    /// What of the original's directory at a physical path is not in the slim image.
    ///
    /// # Errors
    /// An image cannot be read.
    pub fn lacking(&self, directory: &PathBytes) -> Result<Lacking> {
        let entries = self.original.children(directory)?;
        let kept: HashSet<Vec<u8>> = self.slim.children(directory)?.into_iter().collect();
        let mut lacking = Lacking { entries: 0, of: entries.len(), has_modules: false };
        for name in entries.iter().filter(|name| !kept.contains(*name)) {
            lacking.entries += 1;
            lacking.has_modules |= is_module(name)
                || self.original.lookup(&directory.join(name).join(b"__init__.py"))?.is_some();
        }
        Ok(lacking)
    }

    /// What the kernel loads to run `program`: when that is missing, it says that the program is.
    fn interpreters(&self, program: &PathBytes, tree: &impl Tree, live: &Resolver) -> Result<Vec<Cut>> {
        let (mut found, mut program) = (Vec::new(), program.clone());
        for _ in 0..MAX_INTERPRETERS {
            let (name, is_last) = match self.interpreter(&program, live)? {
                Some(Interpreter::Script(name)) => (name, false),
                Some(Interpreter::Elf(name)) => (name, true),
                None => break,
            };
            let walked = walk_from(tree, Start::at_root(), &name, true);
            if !walked.exists {
                break;
            }
            found.extend(walked.hops.into_iter().map(|hop| Cut::new(hop, Use::Hop)));
            found.push(Cut::new(walked.end.clone(), Use::Interpreter));
            if is_last {
                break;
            }
            program = walked.end;
        }
        Ok(found)
    }

    /// What interprets a program: the live one, which may have been made at run time, else the image's.
    fn interpreter(&self, program: &PathBytes, live: &Resolver) -> Result<Option<Interpreter>> {
        if let Some(file) = live.live_file(program) {
            return binary::interpreter(|offset, len| {
                let mut bytes = vec![0; len];
                let read = file.read_at(&mut bytes, offset)?;
                bytes.truncate(read);
                Ok(bytes)
            });
        }
        match self.original.lookup(program)? {
            Some(entry) if entry.kind == Kind::File => {
                binary::interpreter(|offset, len| self.original.read_at(&entry, offset, len))
            }
            _ => Ok(None),
        }
    }
}

/// Whether a name is that of a Python module: source, bytecode, or an extension.
fn is_module(name: &[u8]) -> bool {
    let ends = |end: &[u8]| name.ends_with(end);
    let extension = ends(b".so") && [&b".cpython-"[..], b".abi3."].iter().any(|tag| holds(name, tag));
    ends(b".py") || ends(b".pyc") || extension
}

fn holds(name: &[u8], part: &[u8]) -> bool {
    name.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{LayerDir, Layers};
    use super::*;

    #[test]
    fn a_directory_that_was_kept_may_lack_entries() {
        let (original, slim) = (
            Layers::new().layer(|dir| {
                dir.file("d/a", "").file("d/b", "").link("d/c", "a").file("pure/x.py", "");
                dir.file("built/x.cpython-311-x86_64-linux-gnu.so", "").file("package/x/__init__.py", "");
                dir.file("kept/x.py", "").file("kept/libx.so", "");
            }),
            Layers::new().layer(|dir| {
                dir.file("d/a", "").file("d/made", "").file("kept/x.py", "");
            }),
        );
        let pair = Pair::new(Box::new(original.overlay()), Box::new(slim.overlay()));
        let lacking = |path: &str| pair.lacking(&path.into()).unwrap();
        assert_eq!(lacking("/d"), Lacking { entries: 2, of: 3, has_modules: false });
        assert_eq!(lacking("/none"), Lacking::default());
        for (directory, has_modules) in
            [("/pure", true), ("/built", true), ("/package", true), ("/kept", false)]
        {
            assert_eq!(lacking(directory).has_modules, has_modules, "{directory}");
        }
    }

    /// What was cut of what a lookup wants, between images with these entries; no container lives.
    fn cut(original: impl Fn(&LayerDir), slim: impl Fn(&LayerDir), lookup: &Lookup) -> Vec<String> {
        let (original, slim) = (Layers::new().layer(original), Layers::new().layer(slim));
        let pair = Pair::new(Box::new(original.overlay()), Box::new(slim.overlay()));
        let found = pair.cut(lookup, &Resolver::new(Vec::new())).unwrap();
        found.iter().map(|cut| format!("{} for {:?} of {}", cut.path, cut.usage, cut.wanted)).collect()
    }

    fn lookup(name: &str, usage: Use, makes: bool) -> Lookup {
        let start = Start { root: "/".into(), directory: "/".into() };
        Lookup { call: "openat", usage, name: name.into(), start, follow: true, makes }
    }

    fn everything(dir: &LayerDir) {
        dir.file("usr/lib/libc.so.6", "").link("usr/lib/libc.so", "libc.so.6").link("lib", "usr/lib");
        dir.dir("var").dir("var/log").file("run.sh", "#!/bin/one\n").file("bin/one", "#!/bin/two -x\n");
        dir.file("bin/two", "");
    }

    #[test]
    fn what_only_the_original_has_is_told_with_the_links_to_it() {
        let open = lookup("/lib/libc.so", Use::Open, false);
        let all = [
            "/lib for Hop of /lib",
            "/usr/lib/libc.so for Hop of /usr/lib/libc.so",
            "/usr/lib/libc.so.6 for Open of /usr/lib/libc.so.6",
        ];
        assert_eq!(
            cut(
                everything,
                |dir| {
                    dir.dir("usr");
                },
                &open
            ),
            all
        );
        let without_links = |dir: &LayerDir| {
            dir.file("usr/lib/libc.so.6", "");
        };
        assert_eq!(cut(everything, without_links, &open), all[..2]);
        assert_eq!(cut(everything, everything, &open), [""; 0]);
    }

    #[test]
    fn what_neither_has_is_nothing() {
        let nothing = |_: &LayerDir| {};
        for name in ["/etc/none", "/lib/none", "/var/log/app/x", "/run.sh/x"] {
            assert_eq!(cut(everything, nothing, &lookup(name, Use::Open, false)), [""; 0], "{name}");
        }
        assert_eq!(cut(everything, nothing, &lookup("/var/log/app/x", Use::Write, true)), [""; 0]);
    }

    #[test]
    fn what_is_to_be_made_needs_its_directory() {
        let write = lookup("/var/log/today", Use::Write, true);
        assert_eq!(cut(everything, |_| {}, &write), ["/var/log for Write of /var/log/today"]);
        assert_eq!(
            cut(
                everything,
                |dir| {
                    dir.dir("var").dir("var/log");
                },
                &write
            ),
            [""; 0]
        );
    }

    #[test]
    fn a_script_that_is_there_lacks_its_interpreters() {
        let run = lookup("/run.sh", Use::Exec, false);
        let slim = |dir: &LayerDir| {
            dir.file("run.sh", "#!/bin/one\n");
        };
        let interpreters = ["/bin/one for Interpreter of /bin/one", "/bin/two for Interpreter of /bin/two"];
        assert_eq!(cut(everything, slim, &run), interpreters);
        assert_eq!(cut(everything, slim, &lookup("/run.sh", Use::Open, false)), [""; 0]);
    }
}
