//! Sections of the README that verbs write.

use std::fs;

use anyhow::{Context, Result};

use crate::cargo::root;

/// Puts `text` in place of what `cargo xtask VERB` wrote into the README before.
pub fn write(verb: &str, text: &str) -> Result<()> {
    let path = root().join("README.md");
    let readme = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let readme =
        replaced(&readme, verb, text).with_context(|| format!("{} has no place for it", path.display()))?;
    fs::write(&path, readme).with_context(|| format!("cannot write {}", path.display()))
}

/// `readme` with `text` between the verb's markers; `None` when it has none.
fn replaced(readme: &str, verb: &str, text: &str) -> Option<String> {
    let (begin, end) =
        (format!("<!-- {verb}: written by cargo xtask {verb} -->\n"), format!("<!-- {verb}: end -->"));
    let (before, rest) = readme.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{text}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_replaces_the_one_before_and_nothing_else() {
        let readme = |text: &str| {
            format!(
                "# A\n<!-- b: written by cargo xtask b -->\n{text}<!-- b: end -->\nmore\n<!-- c: end -->\n"
            )
        };
        assert_eq!(replaced(&readme("| old |\n"), "b", "| new |\n").unwrap(), readme("| new |\n"));
        assert!(replaced(&readme(""), "c", "| new |\n").is_none());
    }
}
