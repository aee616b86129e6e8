//! A slim image against the one it was made from.

use std::path::Path;

use anyhow::{Result, bail};

use crate::tree::Tree;

/// How many differences an error lists.
const LISTED: usize = 20;

/// An error that lists the differences, when there are any: see [`differences`].
pub fn kept_entries_equal(fat: &Tree, slim: &Tree, added: &dyn Fn(&Path) -> bool) -> Result<()> {
    let found = differences(fat, slim, added);
    if found.is_empty() {
        return Ok(());
    }
    let listed = found.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join("\n  ");
    bail!("{} kept entries differ from the original, the first of them:\n  {listed}", found.len());
}

/// Whether an export adds `path` by itself: it says which packages are left.
pub fn is_package_metadata(path: &Path) -> bool {
    path.starts_with("var/lib/dpkg/status.d")
}

/// Where an entry of `slim` is not what it is in `fat`: one sentence each.
///
/// `added` names the paths that an export may add of its own; everything else must be in `fat`.
pub fn differences(fat: &Tree, slim: &Tree, added: &dyn Fn(&Path) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (path, kept) in slim.iter() {
        match fat.get(path) {
            Some(original) if original == kept => {}
            Some(original) => {
                found.push(format!("/{}: expected {original:?}, found {kept:?}", path.display()));
            }
            None if added(path) => {}
            None => found.push(format!("/{}: not in the original", path.display())),
        }
    }
    found.extend(link_differences(fat, slim));
    found
}

fn link_differences(fat: &Tree, slim: &Tree) -> Vec<String> {
    let differing = |from: &Tree, to: &Tree, fault: &str| {
        let mut found = Vec::new();
        for names in from.links() {
            // Names that were not kept say nothing.
            let kept: Vec<&Path> = names.into_iter().filter(|name| to.get(name).is_some()).collect();
            let split = kept.windows(2).filter(|pair| !to.are_linked(pair[0], pair[1]));
            found.extend(
                split.map(|pair| format!("/{} and /{}: {fault}", pair[0].display(), pair[1].display())),
            );
        }
        found
    };
    let mut found = differing(fat, slim, "hard links in the original, two files now");
    found.extend(differing(slim, fat, "two files in the original, hard links now"));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::{layer, merged};

    #[test]
    fn what_was_not_kept_is_no_difference() {
        let fat = merged(&[layer(&[("a", "1"), ("b", "2"), ("c", "-> a")])]);
        let slim = merged(&[layer(&[("a", "1")])]);
        assert!(differences(&fat, &slim, &|_| false).is_empty());
    }

    #[test]
    fn changed_and_foreign_entries_are_named() {
        let fat = merged(&[layer(&[("a", "1")])]);
        let slim = merged(&[layer(&[("a", "x"), ("b", "2"), ("c", "3")])]);
        let found = differences(&fat, &slim, &|path| path == Path::new("c"));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("/a: expected") && found[1] == "/b: not in the original", "{found:?}");
    }

    #[test]
    fn links_must_neither_split_nor_appear() {
        let linked = merged(&[layer(&[("a", "1"), ("b", "-> a")])]);
        let split = merged(&[layer(&[("a", "1"), ("b", "1")])]);
        assert_eq!(
            differences(&linked, &split, &|_| false),
            ["/a and /b: hard links in the original, two files now"]
        );
        assert_eq!(
            differences(&split, &linked, &|_| false),
            ["/a and /b: two files in the original, hard links now"]
        );
    }
}
