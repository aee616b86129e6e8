//! The kernel's path walk (path_resolution(7)) over any tree of names: the live root of a container, or an
//! image. Pure but for the tree it asks.

use crate::manifest::PathBytes;

/// As many symbolic links as the kernel follows in one walk (MAXSYMLINKS, include/linux/namei.h).
const MAX_LINKS: usize = 40;

/// What a tree holds at a path whose parents are real directories, links not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// No such entry.
    Missing,
    /// A directory.
    Directory,
    /// A symbolic link and its target, verbatim.
    Symlink(Vec<u8>),
    /// Anything else.
    Other,
}

/// A tree of names that can be walked.
pub trait Tree {
    /// What is at `path`: absolute, without `.`, `..` and repeated slashes.
    fn node(&self, path: &PathBytes) -> Node;
}

/// Where a walk led.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked {
    /// Symbolic links passed, in order, each by its own physical path.
    pub hops: Vec<PathBytes>,
    /// The physical path that the walk reached. When `exists` is false: the path that is missing, with what
    /// was still to be walked behind it.
    pub end: PathBytes,
    /// Whether there is something at `end`.
    pub exists: bool,
}

/// Where the walk of a name starts: path_resolution(7), step 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The root directory of whoever asks: absolute links lead there, and `..` ends there.
    pub root: PathBytes,
    /// The directory that the name itself starts from, by its physical path.
    pub directory: PathBytes,
}

impl Start {
    /// The tree's root.
    pub fn at_root() -> Self {
        Self { root: "/".into(), directory: "/".into() }
    }
}

/// Walks `path` from the tree's root. `follow_last` says whether a symbolic link as last component is followed
/// (open, stat) or meant itself (lstat, readlink, unlink); a trailing slash follows it in any case.
pub fn walk(tree: &impl Tree, path: &[u8], follow_last: bool) -> Walked {
    walk_from(tree, Start::at_root(), path, follow_last)
}

/// The same from any directory: it is taken as it is, also when it is gone by now.
pub fn walk_from(tree: &impl Tree, start: Start, path: &[u8], follow_last: bool) -> Walked {
    let follow_last = follow_last || path.ends_with(b"/");
    let mut todo = reversed(path);
    let mut at = start.directory;
    let mut hops = Vec::new();
    while let Some(part) = todo.pop() {
        if part == b".." {
            if at != start.root {
                at = at.parent().unwrap_or(at);
            }
            continue;
        }
        let next = at.join(&part);
        match tree.node(&next) {
            Node::Symlink(target) if follow_last || !todo.is_empty() => {
                hops.push(next);
                if target.starts_with(b"/") {
                    at = start.root.clone();
                }
                if hops.len() > MAX_LINKS || target.is_empty() {
                    return broken(hops, at, todo);
                }
                todo.extend(reversed(&target));
            }
            Node::Directory => at = next,
            Node::Symlink(_) | Node::Other if todo.is_empty() => at = next,
            Node::Missing | Node::Symlink(_) | Node::Other => return broken(hops, next, todo),
        }
    }
    Walked { hops, end: at, exists: true }
}

fn reversed(path: &[u8]) -> Vec<Vec<u8>> {
    let parts = path.split(|&b| b == b'/').filter(|part| !part.is_empty() && *part != b".");
    parts.rev().map(<[u8]>::to_vec).collect()
}

fn broken(hops: Vec<PathBytes>, at: PathBytes, todo: Vec<Vec<u8>>) -> Walked {
    let end = todo.iter().rev().fold(at, |path, part| path.join(part));
    Walked { hops, end, exists: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    struct Names(HashMap<&'static str, Node>);

    impl Tree for Names {
        fn node(&self, path: &PathBytes) -> Node {
            let name = path.as_path().to_str().unwrap_or("?");
            self.0.get(name).cloned().unwrap_or(Node::Missing)
        }
    }

    fn tree() -> Names {
        let link = |to: &str| Node::Symlink(to.as_bytes().to_vec());
        Names(HashMap::from([
            ("/usr", Node::Directory),
            ("/usr/lib", Node::Directory),
            ("/usr/lib/libc.so.6", Node::Other),
            ("/usr/lib/libc.so", link("libc.so.6")),
            ("/lib", link("usr/lib")),
            ("/abs", link("/lib/../lib/libc.so")),
            ("/loop", link("loop")),
        ]))
    }

    fn ends(path: &str, follow: bool) -> (String, Vec<String>, bool) {
        let walked = walk(&tree(), path.as_bytes(), follow);
        (walked.end.to_string(), walked.hops.iter().map(ToString::to_string).collect(), walked.exists)
    }

    #[test]
    fn follows_links_as_the_kernel_does() {
        let hops = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            ends("/lib/libc.so", true),
            ("/usr/lib/libc.so.6".into(), hops(&["/lib", "/usr/lib/libc.so"]), true)
        );
        assert_eq!(ends("/lib/libc.so", false), ("/usr/lib/libc.so".into(), hops(&["/lib"]), true));
        assert_eq!(ends("/lib", false), ("/lib".into(), hops(&[]), true));
        assert_eq!(ends("/lib/", false), ("/usr/lib".into(), hops(&["/lib"]), true));
        assert_eq!(ends("//lib/.././usr//lib", true).0, "/usr/usr/lib");
        assert_eq!(ends("/abs", true).1, hops(&["/abs", "/lib", "/usr/lib/libc.so"]));
        assert_eq!(ends("/../../usr", true), ("/usr".into(), hops(&[]), true));
    }

    #[test]
    fn a_root_of_its_own_is_never_left() {
        let tree = Names(HashMap::from([
            ("/jail/data", Node::Other),
            ("/jail/link", Node::Symlink(b"/data".to_vec())),
            ("/data", Node::Other),
        ]));
        let start = Start { root: "/jail".into(), directory: "/jail".into() };
        for name in [&b"/link"[..], b"/../../data"] {
            assert_eq!(walk_from(&tree, start.clone(), name, true).end, "/jail/data".into());
        }
    }

    #[test]
    fn a_start_that_is_gone_still_has_a_parent() {
        let start = Start { directory: "/usr/gone".into(), ..Start::at_root() };
        assert_eq!(walk_from(&tree(), start, b"../lib/libc.so", true).end, "/usr/lib/libc.so.6".into());
    }

    #[test]
    fn missing_ends_keep_the_rest_of_the_name() {
        assert_eq!(ends("/lib/new/file", true), ("/usr/lib/new/file".into(), vec!["/lib".into()], false));
        assert!(!ends("/loop", true).2);
        assert!(!ends("/usr/lib/libc.so.6/x", true).2);
    }

    proptest! {
        #[test]
        fn any_bytes_end_somewhere(path: Vec<u8>, follow: bool) {
            let walked = walk(&tree(), &path, follow);
            prop_assert!(walked.end.as_bytes().starts_with(b"/"));
        }
    }
}
