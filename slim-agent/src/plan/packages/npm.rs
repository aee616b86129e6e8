//! Packages of Node.js: the `package.json` of each of which something is kept, which is also what `require` reads.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::Value;

use super::{Named, Package, is_content};
use crate::manifest::PathBytes;
use crate::plan::keeper::Keeper;
use crate::plan::pattern::Pattern;
use crate::plan::reason::Reason;

/// Where Debian has packages.
const DEBIAN: &str = "/usr/share/nodejs";

pub(super) fn describe(keeper: &mut Keeper<'_>) -> Result<Vec<Package>> {
    let mut roots = BTreeSet::new();
    for path in keeper.paths() {
        let above = std::iter::successors(path.parent(), PathBytes::parent);
        roots.extend(above.filter(is_root));
    }
    let mut packages = Vec::new();
    for root in roots {
        let Some((name, version)) = named(keeper, &root)? else { continue };
        keeper.keep_if_there(&root.join(b"package.json"), &Reason::PackageMetadata(name.clone()))?;
        packages.push(Package { kind: "npm", name, version, files: None });
    }
    Ok(packages)
}

/// What those of `homes` are that are directories of packages.
pub(super) fn names_of_all(keeper: &Keeper<'_>, homes: &[PathBytes]) -> Result<Vec<Named>> {
    let roots = homes.iter().filter(|home| is_root(home));
    roots.filter_map(|root| named(keeper, root).transpose()).collect()
}

/// The name and the version of the package in a directory, if it tells them.
fn named(keeper: &Keeper<'_>, root: &PathBytes) -> Result<Option<Named>> {
    let Some((_, text)) = keeper.text(root.join(b"package.json").as_bytes())? else { return Ok(None) };
    let Ok(described) = serde_json::from_slice::<Value>(&text) else { return Ok(None) };
    let version = described["version"].as_str().unwrap_or_default().to_owned();
    Ok(described["name"].as_str().map(|name| (name.to_owned(), version)))
}

/// The names of all that lies in packages called `wanted`.
pub(super) fn files(keeper: &Keeper<'_>, wanted: &str) -> Result<Vec<PathBytes>> {
    let name = globset::escape(wanted);
    let mut found = Vec::new();
    for pattern in [format!("/**/node_modules/{name}"), format!("{DEBIAN}/{name}")] {
        let Ok(pattern) = pattern.parse::<Pattern>() else { continue };
        let mut todo = pattern.find(keeper.source(), pattern.base())?;
        while let Some(path) = todo.pop() {
            todo.extend(keeper.source().children(&path)?.iter().map(|name| path.join(name)));
            if keeper.find(path.as_bytes())?.as_ref().is_some_and(is_content) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// Whether `dir` is the directory of a package: `node_modules/NAME` or `node_modules/@SCOPE/NAME`.
pub(super) fn is_root(dir: &PathBytes) -> bool {
    let is_home = |dir: &PathBytes| dir.file_name() == b"node_modules" || *dir == PathBytes::from(DEBIAN);
    let Some(above) = dir.parent() else { return false };
    let is_scope = dir.file_name().starts_with(b"@");
    let in_scope = above.file_name().starts_with(b"@") && above.parent().as_ref().is_some_and(is_home);
    (is_home(&above) && !is_scope) || in_scope
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_lie_below_node_modules() {
        for (dir, expected) in [
            ("/srv/node_modules/a", true),
            ("/srv/node_modules/@s", false),
            ("/srv/node_modules/@s/a", true),
            ("/srv/node_modules/a/lib", false),
            ("/usr/share/nodejs/express", true),
            ("/srv", false),
        ] {
            assert_eq!(is_root(&dir.into()), expected, "{dir}");
        }
    }
}
