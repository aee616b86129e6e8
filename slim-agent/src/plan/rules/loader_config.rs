//! Where the system's dynamic loader looks for libraries: `/etc/ld.so.conf` (ldconfig(8)), `/etc/ld-musl-*.path`, and
//! what is built in.

use std::collections::HashSet;

use anyhow::Result;

use crate::manifest::PathBytes;
use crate::plan::keeper::Keeper;
use crate::plan::pattern::Pattern;

/// As many files as `ld.so.conf` may include, and as many directories as are searched: an image may come from anyone.
const MAX_FILES: usize = 256;
const MAX_DIRECTORIES: usize = 256;
/// As many names of architectures as an image may have.
const MAX_TRIPLETS: usize = 16;

/// Built into the loaders of all distributions together; files of another form than asked for are passed over.
const BUILT_IN: [&str; 9] = [
    "/lib",
    "/usr/lib",
    "/lib64",
    "/usr/lib64",
    "/lib32",
    "/usr/lib32",
    "/libx32",
    "/usr/libx32",
    "/usr/local/lib",
];

/// A line of `ld.so.conf`.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Directory(&'a [u8]),
    Include(&'a [u8]),
}

/// The directories in which the loaders of an image look, in order.
///
/// # Errors
/// The image cannot be read.
pub(super) fn system_directories(keeper: &Keeper<'_>) -> Result<Vec<PathBytes>> {
    let mut dirs = configured(keeper)?;
    for file in files(keeper, "/etc/ld-musl-*.path")? {
        let text = keeper.text(file.as_bytes())?.map(|(_, text)| text).unwrap_or_default();
        dirs.extend(text.split(|byte| b":\n".contains(byte)).map(PathBytes::from));
    }
    // What is built in has its place however much is configured.
    dirs.truncate(MAX_DIRECTORIES / 2);
    dirs.extend(triplets(keeper)?.iter().flat_map(|triplet| {
        [PathBytes::from("/lib").join(triplet), PathBytes::from("/usr/lib").join(triplet)]
    }));
    dirs.extend(BUILT_IN.map(PathBytes::from));
    let mut seen = HashSet::new();
    dirs.retain(|dir| dir.as_bytes().starts_with(b"/") && seen.insert(dir.clone()));
    dirs.truncate(MAX_DIRECTORIES);
    Ok(dirs)
}

/// Names like `x86_64-linux-gnu`, which Debian's loaders have built in.
///
/// # Errors
/// The image cannot be read.
pub(super) fn triplets(keeper: &Keeper<'_>) -> Result<Vec<Vec<u8>>> {
    let mut names = keeper.list(&"/usr/lib".into())?;
    names.extend(keeper.list(&"/lib".into())?);
    names.retain(|name| name.windows(7).any(|part| part == b"-linux-"));
    names.sort();
    names.dedup();
    names.truncate(MAX_TRIPLETS);
    Ok(names)
}

/// The directories that `ld.so.conf` and what it includes name.
fn configured(keeper: &Keeper<'_>) -> Result<Vec<PathBytes>> {
    let (mut dirs, mut seen) = (Vec::new(), HashSet::new());
    let mut todo = vec![PathBytes::from("/etc/ld.so.conf")];
    while let Some(file) = todo.pop() {
        if seen.len() == MAX_FILES || !seen.insert(file.clone()) {
            continue;
        }
        let Some((_, text)) = keeper.text(file.as_bytes())? else { continue };
        let mut included = Vec::new();
        for line in lines(&text).into_iter().take(MAX_FILES + MAX_DIRECTORIES) {
            match line {
                Line::Directory(dir) => dirs.push(PathBytes::from(dir)),
                Line::Include(name) => {
                    let name = String::from_utf8_lossy(name);
                    let above = file.parent().unwrap_or_default();
                    let pattern =
                        if name.starts_with('/') { name.into_owned() } else { format!("{above}/{name}") };
                    included.extend(files(keeper, &pattern)?);
                }
            }
        }
        todo.extend(included.into_iter().rev());
    }
    Ok(dirs)
}

/// What a pattern in a file of the image means; nothing if it is none.
fn files(keeper: &Keeper<'_>, pattern: &str) -> Result<Vec<PathBytes>> {
    let Ok(pattern) = pattern.parse::<Pattern>() else { return Ok(Vec::new()) };
    match keeper.find(pattern.base().as_bytes())? {
        Some(base) => pattern.find(keeper.source(), &base.path),
        None => Ok(Vec::new()),
    }
}

fn lines(text: &[u8]) -> Vec<Line<'_>> {
    let mut found = Vec::new();
    for line in text.split(|&byte| byte == b'\n') {
        let line = line.split(|&byte| byte == b'#').next().unwrap_or_default();
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).peekable();
        match words.peek() {
            Some(&b"include") => found.extend(words.skip(1).map(Line::Include)),
            Some(&b"hwcap") => {}
            _ => {
                let names = words.flat_map(|word| word.split(|byte| b":,".contains(byte)));
                // A directory may be followed by the kind of library that it is for.
                let names = names.filter_map(|name| name.split(|&byte| byte == b'=').next());
                found.extend(names.filter(|name| name.starts_with(b"/")).map(Line::Directory));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::testing::Layers;
    use proptest::prelude::*;

    #[test]
    fn lines_as_ldconfig_reads_them() {
        let text = b"# x\n/a/b # y\ninclude c.d/*.conf /d\nhwcap 1 nosegneg\n  /e:/f /g=libc6\nrelative\n";
        let dir = |name: &'static str| Line::Directory(name.as_bytes());
        let include = |name: &'static str| Line::Include(name.as_bytes());
        assert_eq!(
            lines(text),
            [dir("/a/b"), include("c.d/*.conf"), include("/d"), dir("/e"), dir("/f"), dir("/g")]
        );
    }

    #[test]
    fn includes_are_followed_once_and_what_is_built_in_comes_last() {
        let image = Layers::new().layer(|dir| {
            dir.file("etc/ld.so.conf", "/first\ninclude ld.so.conf.d/*.conf\n");
            dir.file("etc/ld.so.conf.d/b.conf", "/b\n")
                .file("etc/ld.so.conf.d/a.conf", "/a\ninclude /etc/ld.so.conf\n");
            dir.file("etc/ld-musl-x86_64.path", "/m1:/m2\n/m3\n").dir("usr/lib/x86_64-linux-gnu");
        });
        let image = image.overlay();
        let dirs = system_directories(&Keeper::new(&image, &[]).unwrap()).unwrap();
        let dirs: Vec<String> = dirs.iter().map(ToString::to_string).collect();
        assert_eq!(
            dirs[..10].join(" "),
            "/first /a /b /m1 /m2 /m3 /lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu /lib /usr/lib"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_fine(text: Vec<u8>) {
            for line in lines(&text) {
                let (Line::Directory(word) | Line::Include(word)) = line;
                prop_assert!(!word.is_empty());
            }
        }
    }
}
