//! Patterns for paths as users write them: `/etc/app/**`, `/usr/lib/*/libx.so.?`, `**/*.conf`.
//!
//! `*` and `?` stay within one name, `**` crosses directories, `[a-z]` and `{a,b}` choose, `\` takes the next character
//! as it is. What a pattern says of a directory it says of everything below it.

use std::fmt;
use std::str::FromStr;

use anyhow::Result;
use globset::{Candidate, GlobBuilder, GlobMatcher};

use crate::image::{Entry, ImageSource};
use crate::manifest::PathBytes;

/// A pattern: the directory that it begins with, and what is to match below it.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    base: PathBytes,
    rest: GlobMatcher,
    /// How many names deep below `base` a match can be; `None` with `**`.
    depth: Option<usize>,
    is_plain: bool,
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("{text:?} is not a pattern for paths: {why}"));
        if !text.starts_with('/') && !text.starts_with("**/") {
            return wrong("begin it with / for a path, or with **/ for a name anywhere");
        }
        let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if parts.contains(&"..") {
            return wrong("write the path without ..");
        }
        let Some(last) = parts.len().checked_sub(1) else { return wrong("write /** to mean everything") };
        let is_plain = |part: &&str| !part.contains(['*', '?', '[', '{', '\\']);
        let plain = parts[..last].iter().take_while(|part| is_plain(part)).count();
        let rest = parts[plain..].join("/");
        let glob = match GlobBuilder::new(&rest).literal_separator(true).build() {
            Ok(glob) => glob.compile_matcher(),
            Err(error) => return wrong(&error.kind().to_string()),
        };
        let base = parts[..plain].iter().fold(PathBytes::from("/"), |dir, part| dir.join(part.as_bytes()));
        Ok(Self {
            text: text.to_owned(),
            base,
            rest: glob,
            depth: (!rest.contains("**")).then(|| rest.matches('/').count() + 1),
            is_plain: parts.iter().all(is_plain),
        })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl Pattern {
    /// The directory that the pattern begins with, as it was written.
    pub fn base(&self) -> &PathBytes {
        &self.base
    }

    /// Whether it is one path and nothing else.
    pub fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Whether the pattern, begun at the physical directory `base`, means `path` or a directory above it.
    pub fn covers(&self, base: &PathBytes, path: &PathBytes) -> bool {
        let Some(rest) = below(base, path) else { return false };
        let ends = (0..rest.len()).filter(|&at| rest[at] == b'/').chain([rest.len()]);
        ends.into_iter().any(|end| self.matches(&rest[..end]))
    }

    /// The topmost entries of `image` that the pattern means, begun at the physical directory `base`; sorted.
    ///
    /// # Errors
    /// The image cannot be read.
    pub fn find(&self, image: &dyn ImageSource, base: &PathBytes) -> Result<Vec<PathBytes>> {
        let mut found = Vec::new();
        let mut todo = vec![(base.clone(), 1)];
        while let Some((dir, depth)) = todo.pop() {
            for name in image.children(&dir)? {
                let path = dir.join(&name);
                if below(base, &path).is_some_and(|rest| self.matches(rest)) {
                    found.push(path);
                } else if self.depth.is_none_or(|most| depth < most)
                    && image.lookup(&path)?.as_ref().is_some_and(Entry::is_dir)
                {
                    todo.push((path, depth + 1));
                }
            }
        }
        found.sort();
        Ok(found)
    }

    fn matches(&self, rest: &[u8]) -> bool {
        self.rest.is_match_candidate(&Candidate::from_bytes(rest))
    }
}

/// What stands behind `base` in `path`, if `path` lies below it.
fn below<'a>(base: &PathBytes, path: &'a PathBytes) -> Option<&'a [u8]> {
    let base = base.as_bytes().strip_suffix(b"/").unwrap_or(base.as_bytes());
    path.as_bytes().strip_prefix(base)?.strip_prefix(b"/").filter(|rest| !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::testing::Layers;
    use proptest::prelude::*;

    fn covers(pattern: &str, path: &[u8]) -> bool {
        let pattern: Pattern = pattern.parse().unwrap();
        pattern.covers(pattern.base(), &path.into())
    }

    #[test]
    fn stars_stay_within_a_name_and_directories_mean_all_below() {
        assert!(covers("/etc/*.conf", b"/etc/a.conf"));
        assert!(!covers("/etc/*.conf", b"/etc/a/b.conf"));
        assert!(covers("/etc/*.d", b"/etc/a.d/deep/er"));
        assert!(covers("/etc/**/x", b"/etc/a/b/x"));
        assert!(covers("/etc/**/x", b"/etc/x"));
        assert!(covers("**/*.so.?", b"/usr/lib/a.so.6"));
        assert!(covers("/a/**", b"/a/\xff/b") && !covers("/a/**", b"/a") && !covers("/a/**", b"/ab"));
        assert!(covers("/a//./b/", b"/a/b") && covers("/{a,b}/c", b"/b/c") && covers("/a\\*", b"/a*"));
        assert!(!covers("/a\\*", b"/ab"));
    }

    #[test]
    fn what_is_no_pattern_is_said() {
        for (text, why) in [("etc/x", "**/"), ("", "**/"), ("/", "/**"), ("/a/../b", ".."), ("/[", "class")] {
            let error = text.parse::<Pattern>().unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn finds_the_topmost_matches_of_an_image() {
        let image = Layers::new().layer(|dir| {
            dir.file("a/b/x.d/deep", "").file("a/x.d", "").file("a/c/d/x.d", "").file("x.d", "");
        });
        let image = image.overlay();
        let find = |text: &str| {
            let pattern: Pattern = text.parse().unwrap();
            let found = pattern.find(&image, pattern.base()).unwrap();
            found.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(find("/a/**/*.d"), "/a/b/x.d /a/c/d/x.d /a/x.d");
        assert_eq!(find("/a/*/x.d"), "/a/b/x.d");
        assert_eq!(find("/a/b/none"), "");
        assert_eq!(find("/a"), "/a");
    }

    proptest! {
        #[test]
        fn any_text_is_a_pattern_or_an_error(text: String, path: Vec<u8>) {
            if let Ok(pattern) = format!("/{text}").parse::<Pattern>() {
                pattern.covers(pattern.base(), &PathBytes::new(path));
            }
        }

        #[test]
        fn a_plain_path_covers_itself_and_what_is_below(path in "(/[a-z.]{3,5}){1,4}") {
            prop_assert!(covers(&path, path.as_bytes()));
            let below = format!("{path}/x");
            prop_assert!(covers(&path, below.as_bytes()));
        }
    }
}
