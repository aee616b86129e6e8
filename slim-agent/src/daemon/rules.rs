//! Which containers are recorded, and for which profile.

use globset::{Glob, GlobMatcher};
use serde::{Deserialize, Serialize};

use crate::container::Container;

/// The label that asks for a recording (`true`), or forbids it (`false`).
const RECORD: &str = "slim.record";
/// The label that names the profile.
const PROFILE: &str = "slim.profile";
/// Longest name of a profile.
const LONGEST: usize = 128;

/// One `[[watch]]`: containers that all of its conditions hold for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Watch {
    name: Option<Wildcard>,
    image: Option<Wildcard>,
    label: Option<Label>,
    profile: Option<ProfileName>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// The container's name, with wildcards.
    name: Option<Wildcard>,
    /// Its image's name, with wildcards; without a tag, any.
    image: Option<Wildcard>,
    /// `KEY`, or `KEY=VALUE` with wildcards in the value.
    label: Option<Label>,
    /// The profile that recordings go to.
    profile: Option<ProfileName>,
}

impl TryFrom<Written> for Watch {
    type Error = &'static str;

    fn try_from(Written { name, image, label, profile }: Written) -> Result<Self, &'static str> {
        if name.is_none() && image.is_none() && label.is_none() {
            return Err("a watch needs a name, image or label, or it would be about every container: \
                        write name = \"*\" if that is meant");
        }
        Ok(Self { name, image, label, profile })
    }
}

/// A text with `*`, `?`, `[...]` and `{a,b}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
struct Wildcard(GlobMatcher);

impl PartialEq for Wildcard {
    fn eq(&self, other: &Self) -> bool {
        self.0.glob() == other.0.glob()
    }
}

impl TryFrom<String> for Wildcard {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let glob = Glob::new(&text).map_err(|error| format!("{text:?} is no pattern: {}", error.kind()))?;
        Ok(Self(glob.compile_matcher()))
    }
}

impl Wildcard {
    fn holds(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
struct Label {
    key: String,
    value: Option<Wildcard>,
}

impl TryFrom<String> for Label {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let Some((key, value)) = text.split_once('=') else { return Ok(Self { key: text, value: None }) };
        Ok(Self { key: key.to_owned(), value: Some(value.to_owned().try_into()?) })
    }
}

/// The name of a profile: one that can name a directory, and stand in an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ProfileName(String);

impl TryFrom<String> for ProfileName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let known = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let fits = (1..=LONGEST).contains(&text.len()) && text.chars().all(known) && !text.starts_with('.');
        if fits {
            return Ok(Self(text));
        }
        Err(format!("{text:?} cannot name a profile: write letters, digits, -, _ and ., at most {LONGEST}"))
    }
}

impl ProfileName {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest name to what anybody may have written: into a label, or as an image's name.
    fn near(text: &str) -> Option<Self> {
        let known = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
        let text: String = text.chars().map(known).take(LONGEST).collect();
        Self::try_from(text.trim_start_matches('.').to_owned()).ok()
    }
}

/// The profile that `container` is recorded for; `None` when it is not to be recorded.
pub fn profile_of(watches: &[Watch], container: &Container) -> Option<ProfileName> {
    let asked = container.labels.get(RECORD).map(String::as_str);
    if asked == Some("false") {
        return None;
    }
    let found = watches.iter().find(|watch| watch.is_about(container));
    // The label alone decides where no rules are written.
    if found.is_none() && !(watches.is_empty() && asked == Some("true")) {
        return None;
    }
    let ruled = found.and_then(|watch| watch.profile.clone());
    labelled(container).or(ruled).or_else(|| Some(usual(container)))
}

/// The profile of a container that was asked for by hand.
pub fn usual_profile(container: &Container) -> ProfileName {
    labelled(container).unwrap_or_else(|| usual(container))
}

fn labelled(container: &Container) -> Option<ProfileName> {
    ProfileName::near(container.labels.get(PROFILE)?)
}

/// The image's name without registry and tag, so that a new tag is the same profile; the container's where the image has
/// none.
fn usual(container: &Container) -> ProfileName {
    let image = container.image.names.first().map(|name| repository(name));
    let near = image.and_then(ProfileName::near).or_else(|| ProfileName::near(&container.name));
    near.unwrap_or_else(|| ProfileName("unnamed".into()))
}

/// `shop/web` of `registry.example.com:5000/shop/web:1.2`, `nginx` of `docker.io/library/nginx`.
fn repository(reference: &str) -> &str {
    let reference = reference.split('@').next().unwrap_or(reference);
    let path = match reference.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => path,
        _ => reference,
    };
    let path = path.rsplit_once(':').map_or(path, |(path, _)| path);
    path.strip_prefix("library/").unwrap_or(path)
}

impl Watch {
    fn is_about(&self, container: &Container) -> bool {
        let name = self.name.as_ref().is_none_or(|name| name.holds(&container.name));
        let image = self.image.as_ref().is_none_or(|image| {
            let named = |name: &String| image.holds(name) || image.holds(without_tag(name));
            container.image.names.iter().any(named)
        });
        let label = self.label.as_ref().is_none_or(|label| {
            let value = container.labels.get(&label.key);
            value.is_some_and(|value| label.value.as_ref().is_none_or(|wanted| wanted.holds(value)))
        });
        name && image && label
    }
}

fn without_tag(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => path,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::Config;
    use super::*;
    use crate::container::State;
    use crate::manifest::ImageRef;
    use proptest::prelude::*;

    fn container(name: &str, image: &str, labels: &[(&str, &str)]) -> Container {
        let labels = labels.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        let image = ImageRef {
            id: "sha256:ab".into(),
            repo_digests: Default::default(),
            names: Some(image.to_owned()).filter(|name| !name.is_empty()).into_iter().collect(),
        };
        Container {
            id: "c".repeat(64),
            name: name.into(),
            state: State::Running,
            pid: None,
            ip: None,
            image,
            runtime: String::new(),
            seccomp: "default".into(),
            seccomp_profile: None,
            healthcheck: Vec::new(),
            mounts: Default::default(),
            ports: Vec::new(),
            labels,
            exit_code: None,
        }
    }

    fn profile(rules: &str, of: &Container) -> Option<String> {
        profile_of(&Config::parse(rules).unwrap().watch, of).map(|name| name.as_str().to_owned())
    }

    #[test]
    fn without_rules_the_label_asks() {
        let record = ("slim.record", "true");
        let image = "registry.example.com:5000/shop/web:1.2";
        assert_eq!(profile("", &container("web-1", image, &[])), None);
        assert_eq!(profile("", &container("web-1", image, &[record])).unwrap(), "shop-web");
        let named = [record, ("slim.profile", "front")];
        assert_eq!(profile("", &container("web-1", image, &named)).unwrap(), "front");
        assert_eq!(profile("", &container("web-1", image, &[("slim.record", "yes")])), None);
        assert_eq!(profile("", &container("web-1", "", &[record])).unwrap(), "web-1");
        assert_eq!(profile("", &container("a", "docker.io/library/nginx:1", &[record])).unwrap(), "nginx");
    }

    #[test]
    fn all_conditions_of_one_rule_hold_and_one_rule_is_enough() {
        let rules =
            "[[watch]]\nname = 'web-*'\nimage = 'shop/*'\nprofile = 'web'\n[[watch]]\nlabel = 'team=a*'";
        assert_eq!(profile(rules, &container("web-1", "shop/x:2", &[])).unwrap(), "web");
        assert_eq!(profile(rules, &container("web-1", "other:2", &[])), None);
        assert_eq!(profile(rules, &container("db", "pg:15", &[("team", "alpha")])).unwrap(), "pg");
        assert_eq!(profile(rules, &container("db", "pg:15", &[("team", "beta")])), None);
        let forbidden = [("team", "alpha"), ("slim.record", "false")];
        assert_eq!(profile(rules, &container("db", "pg:15", &forbidden)), None);
    }

    proptest! {
        #[test]
        fn whatever_a_label_says_names_one_directory(text in ".{0,300}", name in ".{0,20}") {
            let labels = [("slim.record", "true"), ("slim.profile", text.as_str())];
            let found = profile("", &container(&name, &text, &labels)).unwrap();
            prop_assert!(!found.is_empty() && found.len() <= LONGEST);
            prop_assert!(!found.contains('/') && !found.starts_with('.'));
        }
    }
}
