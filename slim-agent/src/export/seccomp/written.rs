//! Seccomp profiles as others write them: the OCI runtime specification's form, and the engine's.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use super::model::Arg;

/// A profile. What has no field of its own is in `more`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Profile {
    pub(super) default_action: String,
    pub(super) architectures: Option<Vec<String>>,
    /// The engine's form of `architectures`: each with those that its kernel runs too.
    pub(super) arch_map: Option<Vec<Architecture>>,
    pub(super) syscalls: Option<Vec<Rule>>,
    #[serde(flatten)]
    pub(super) more: BTreeMap<String, Value>,
}

/// An architecture and those that its kernel runs besides.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Architecture {
    pub(super) architecture: String,
    pub(super) sub_architectures: Option<Vec<String>>,
}

/// What is done with some calls.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Rule {
    /// The form before Docker 1.12, for one call.
    name: Option<String>,
    names: Option<Vec<String>>,
    pub(super) action: String,
    pub(super) args: Option<Vec<Arg>>,
    pub(super) includes: Option<Filter>,
    pub(super) excludes: Option<Filter>,
    #[serde(flatten)]
    pub(super) more: BTreeMap<String, Value>,
}

/// When a rule of the engine's form is in force, or is not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Filter {
    pub(super) caps: Option<Vec<String>>,
    pub(super) arches: Option<Vec<String>>,
    pub(super) min_kernel: Option<String>,
    #[serde(flatten)]
    pub(super) more: BTreeMap<String, Value>,
}

impl Profile {
    pub(super) fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).context("it is not a seccomp profile")
    }
}

impl Rule {
    /// The calls that it is about.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.name.iter().chain(self.names.iter().flatten())
    }
}

impl Filter {
    /// Capabilities that must, or must not, be there.
    pub(super) fn caps(&self) -> impl Iterator<Item = &str> {
        self.caps.iter().flatten().map(String::as_str)
    }
}
