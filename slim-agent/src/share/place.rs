//! Where recordings are shared, as it is typed: `REGISTRY/REPO`, with `:TAG` or `@DIGEST` to name the image.

use std::fmt;
use std::str::FromStr;

use super::Digest;
use crate::registry::Reference;

/// A repository, and an image in it if one is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The repository; its tag means nothing here.
    pub repository: Reference,
    /// The image.
    pub named: Option<Named>,
}

/// An image of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// By a tag.
    Tag(String),
    /// By the digest of its manifest.
    Digest(Digest),
}

impl fmt::Display for Named {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => out.write_str(tag),
            Self::Digest(digest) => digest.fmt(out),
        }
    }
}

impl fmt::Display for Place {
    /// The repository with its registry.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.repository.registry(), self.repository.repository())
    }
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains(':') {
            return text.parse().map(Self::Digest);
        }
        // What makes a good tag, references know.
        let named: Reference = format!("x:{text}").parse().map_err(|_| format!("{text:?} is no tag"))?;
        Ok(Self::Tag(named.tag().to_owned()))
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse()?)),
            None => (text, None),
        };
        let repository: Reference = name
            .parse()
            .map_err(|_| format!("{text:?} names no repository: write it like registry.example/team/app"))?;
        if !repository.names_registry() {
            // Recordings tell a lot: they go to the public registry of Docker only if it is named.
            return Err(format!(
                "{text:?} names no registry: write it like registry.example/{name}, or docker.io/{name} for Docker Hub"
            ));
        }
        let tagged = name.rsplit_once(':').is_some_and(|(_, tag)| !tag.contains('/'));
        let tag = tagged.then(|| Named::Tag(repository.tag().to_owned()));
        // A digest says more than a tag beside it.
        Ok(Self { named: digest.map(Named::Digest).or(tag), repository })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_registry_is_always_named() {
        let digest = Digest::of(b"");
        let named = |text: &str| text.parse::<Place>().map(|place| (place.to_string(), place.named));
        let place = |text: &str| text.to_owned();
        let tag = |text: &str| Some(Named::Tag(text.to_owned()));
        assert_eq!(named("h:1/a/b"), Ok((place("h:1/a/b"), None)));
        assert_eq!(named("h:1/a:b"), Ok((place("h:1/a"), tag("b"))));
        assert_eq!(named("localhost/a:latest"), Ok((place("localhost/a"), tag("latest"))));
        for name in ["h.x/a", "h.x/a:b"] {
            let found = named(&format!("{name}@{digest}"));
            assert_eq!(found, Ok((place("h.x/a"), Some(Named::Digest(digest.clone())))));
        }
        assert_eq!(named("docker.io/nginx").unwrap().0, "docker.io/library/nginx");
        for none in ["", "app", "me/app", "h:1/", "h:1/A", "h.x/a@", "h.x/a@sha256:0", "web.manifest.json"] {
            assert!(named(none).is_err(), "{none}");
        }
        assert_eq!("v1".parse(), Ok(Named::Tag("v1".into())));
        assert_eq!(digest.to_string().parse(), Ok(Named::Digest(digest)));
        assert!("a/b".parse::<Named>().is_err() && "".parse::<Named>().is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text: String) {
            let _ = (text.parse::<Place>(), text.parse::<Named>());
        }
    }
}
