//! Names of images: `[HOST[:PORT]/]PATH[/PATH]...:TAG`, as the distribution specification defines them.

use std::fmt;
use std::str::FromStr;

/// Longest name without its tag.
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// A valid name with a tag; `latest` when none was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    name: String,
    tag: String,
}

impl Reference {
    /// The reference as a file name.
    pub fn file_name(&self) -> String {
        self.to_string().replace(['/', ':'], "_")
    }

    /// What comes after the colon.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The registry's `host[:port]`; `docker.io` when the name has none.
    pub fn registry(&self) -> &str {
        self.split().0
    }

    /// Whether a registry was named, and not only meant.
    pub fn names_registry(&self) -> bool {
        self.split().1.len() < self.name.len()
    }

    /// The name within its registry.
    pub fn repository(&self) -> String {
        match self.split() {
            ("docker.io", path) if !path.contains('/') => format!("library/{path}"),
            (_, path) => path.to_owned(),
        }
    }

    /// With the registry, as containerd spells it: `docker.io/library/app:slim`.
    pub fn full(&self) -> String {
        format!("{}/{}:{}", self.registry(), self.repository(), self.tag)
    }

    fn split(&self) -> (&str, &str) {
        self.name.split_once('/').filter(|(first, _)| is_registry(first)).unwrap_or(("docker.io", &self.name))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.name, self.tag)
    }
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("{text:?} is not an image name: {why}; write it like app:slim"));
        // A colon before the last slash belongs to a port.
        let (name, tag) = match text.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (text, "latest"),
        };
        if text.contains('@') {
            return wrong("a digest cannot be chosen");
        }
        if !is_tag(tag) {
            return wrong(
                "a tag is 1 to 128 letters, digits, '_', '.' and '-', not beginning with '.' or '-'",
            );
        }
        let (host, path) = match name.split_once('/') {
            Some((first, path)) if is_registry(first) => (Some(first), path),
            _ => (None, name),
        };
        if host.is_some_and(|host| !is_host(host)) {
            return wrong("what comes before the first slash is no host[:port]");
        }
        if name.len() > MAX_NAME || !path.split('/').all(is_component) {
            return wrong("a name is lowercase letters and digits, parted by single '.', '_', '/' or by '-'");
        }
        if host.is_none() && path.len() == 64 && path.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return wrong("64 hexadecimal digits are an image id");
        }
        Ok(Self { name: name.to_owned(), tag: tag.to_owned() })
    }
}

/// Whether what comes before the first slash is a registry and not a part of the path.
fn is_registry(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost"
}

fn is_tag(tag: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    !tag.is_empty() && tag.len() <= MAX_TAG && !tag.starts_with(['.', '-']) && tag.bytes().all(allowed)
}

fn is_host(host: &str) -> bool {
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    let number = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    name.split('.').all(label) && port.is_none_or(number)
}

/// Runs of letters and digits, parted by `.`, `_`, `__` or any number of `-`.
fn is_component(component: &str) -> bool {
    let letter = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends = [bytes.first(), bytes.last()].iter().all(|end| end.is_some_and(letter));
    let separator =
        |run: &[u8]| matches!(run, b"" | b"." | b"_" | b"__") || run.iter().all(|&byte| byte == b'-');
    ends && bytes.split(letter).all(separator)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_as_the_engine_takes_them() {
        for name in
            ["app:slim", "a/b-c__d.e:V1.0_x", "localhost/a:b", "127.0.0.1:5000/x/y:1", "Host.Example/a:b"]
        {
            assert_eq!(name.parse::<Reference>().unwrap().to_string(), name);
        }
        assert_eq!("app".parse::<Reference>().unwrap().to_string(), "app:latest");
        assert_eq!("h:1/app".parse::<Reference>().unwrap().to_string(), "h:1/app:latest");
        assert_eq!("h:1/a:b".parse::<Reference>().unwrap().file_name(), "h_1_a_b");
        for (name, full) in [
            ("app", "docker.io/library/app:latest"),
            ("me/app:x", "docker.io/me/app:x"),
            ("localhost/a:b", "localhost/a:b"),
            ("h:1/a/b:c", "h:1/a/b:c"),
        ] {
            assert_eq!(name.parse::<Reference>().unwrap().full(), full);
        }
    }

    #[test]
    fn names_that_the_engine_would_refuse() {
        let id = "a".repeat(64);
        let long = format!("{}:x", "a".repeat(256));
        let tag = format!("a:{}", "b".repeat(129));
        for name in [
            "",
            ":",
            "a:",
            ":b",
            "App:x",
            "a b:c",
            "a:b c",
            "a//b:c",
            "/a:b",
            "a/:b",
            "a..b:c",
            "a___b:c",
            "-a:b",
            "a-:b",
            "a:-b",
            "a@sha256:00",
            "h:x/a:b",
            "a.b-/c:d",
            "é:x",
            &id,
            &long,
            &tag,
        ] {
            assert!(name.parse::<Reference>().is_err(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text: String) {
            let _ = text.parse::<Reference>();
        }
    }
}
