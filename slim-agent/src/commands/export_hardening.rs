//! `export docker-run` and its kin: one file that starts the application with no more privileges than it needs.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::export_image::Export;
use super::manifests::CompleteArgs;
use super::policy::PolicyArgs;
use super::runtime::RuntimeArgs;
use crate::export::deployment::Deployment;
use crate::export::{apparmor, compose, docker_run, kubernetes, seccomp, systemd};
use crate::harden::Hardening;
use crate::image::ImageSource;
use crate::manifest::ImageRef;

/// Arguments of each of these commands.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to write it; `-` is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,

    #[command(flatten)]
    subject: SubjectArgs,
}

/// What is deployed, and what it is called there.
#[derive(Debug, clap::Args)]
pub struct SubjectArgs {
    #[command(flatten)]
    manifests: CompleteArgs,

    /// The image that is run: the slim one, if there is one [default: the original]
    #[arg(long, value_name = "NAME:TAG")]
    tag: Option<String>,

    /// What it is called [default: the image's name without registry and tag]
    #[arg(long, value_name = "NAME", value_parser = checked_name)]
    name: Option<String>,

    /// Where its seccomp profile is when it is started [default: NAME.seccomp.json]
    #[arg(long, value_name = "FILE")]
    seccomp: Option<String>,

    /// The original image, for manifests of a bare cgroup, which name none
    #[arg(long, value_name = "REF")]
    image: Option<String>,

    #[command(flatten)]
    runtime: RuntimeArgs,

    #[command(flatten)]
    policy: PolicyArgs,
}

/// A form that the same knowledge takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A shell script with `docker run`.
    DockerRun,
    /// An override file of docker compose.
    Compose,
    /// A Deployment and a NetworkPolicy.
    Kubernetes,
    /// An AppArmor profile.
    Apparmor,
    /// A drop-in of a systemd service.
    Systemd,
}

impl Form {
    fn text(self, deployment: &Deployment<'_>) -> String {
        match self {
            Self::DockerRun => docker_run::script(deployment),
            Self::Compose => compose::file(deployment),
            Self::Kubernetes => kubernetes::documents(deployment),
            Self::Apparmor => apparmor::profile(deployment),
            Self::Systemd => systemd::drop_in(deployment),
        }
    }
}

/// Runs the command that writes `form`.
///
/// # Errors
/// Incomplete: the manifests are, and `--allow-incomplete` is not given. Otherwise: a manifest is unusable or has no
/// system calls, the manifests are about different images, the engine does not have the image, or the output cannot be
/// written.
pub async fn run(args: &Args, form: Form) -> Result<()> {
    let text = args
        .subject
        .with(|name| format!("{name}.seccomp.json"), |deployment, _, _| Ok(form.text(deployment)))
        .await?;
    super::emit(&args.output, text.as_bytes())
}

impl SubjectArgs {
    /// Does `what` with the deployment that the manifests and these options give, the original and what it is called.
    /// `profile_of` tells from a name where the profile is, unless the options do.
    pub(super) async fn with<T>(
        &self,
        profile_of: fn(&str) -> String,
        what: impl Fn(&Deployment<'_>, &dyn ImageSource, &ImageRef) -> Result<T>,
    ) -> Result<T> {
        let policy = self.policy.policy()?;
        let manifest = self.manifests.load()?;
        let seccomp = seccomp::export(&manifest)?;
        let without_runtime = seccomp::Options { no_runtime_calls: true, ..seccomp::Options::default() };
        let alone = seccomp::export_with(&manifest, &without_runtime)?;
        let (runtime, original) = self.runtime.original(&manifest, self.image.as_deref()).await?;
        let known_as = spelled(&original);
        let image = self.tag.as_deref().unwrap_or(known_as);
        let name = self.name.clone().unwrap_or_else(|| name_of(known_as));
        let profile = self.seccomp.clone().unwrap_or_else(|| profile_of(&name));
        let export = Export { manifest: &manifest, original: &original.id, policy: &policy };
        export
            .with_source(&*runtime, |plan, source| {
                let hardening =
                    Hardening::derive(&manifest, source, &plan).context("cannot tell what it needs")?;
                let deployment = Deployment {
                    name: &name,
                    image,
                    original: known_as,
                    profile: &profile,
                    hardening: &hardening,
                    plan: &plan,
                    seccomp: &seccomp,
                    alone: &alone,
                };
                what(&deployment, source, &original)
            })
            .await
    }
}

/// A name that every platform takes: that of a container, a service, a unit, a profile and a label (RFC 1123).
fn checked_name(name: &str) -> Result<String, String> {
    let is_plain = name.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '-');
    if is_plain && (1..=63).contains(&name.len()) && !name.starts_with('-') && !name.ends_with('-') {
        return Ok(name.to_owned());
    }
    Err("a name has up to 63 small letters, digits and -, which is neither first nor last".to_owned())
}

/// What an image is called: a tag, a digest, or its id.
fn spelled(image: &ImageRef) -> &str {
    image.names.first().or(image.repo_digests.first()).unwrap_or(&image.id)
}

/// The last part of an image's name, in letters that every platform takes.
fn name_of(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or_default();
    let last = last.split(['@', ':']).next().unwrap_or_default();
    let plain = |char: char| if char.is_ascii_alphanumeric() { char.to_ascii_lowercase() } else { '-' };
    let name: String = last.chars().map(plain).take(63).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "app".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_images() {
        for (image, name) in [
            ("registry.example:5000/team/my_web:1.2", "my-web"),
            ("nginx", "nginx"),
            ("a/b@sha256:12", "b"),
            ("sha256:12ab", "sha256"),
            ("_", "app"),
        ] {
            assert_eq!(name_of(image), name, "{image}");
            assert!(checked_name(name).is_ok());
        }
    }

    #[test]
    fn names_that_some_platform_does_not_take_are_refused() {
        let long = "a".repeat(64);
        for name in ["", "-a", "a-", "A", "a b", "a/b", "a\n", &long] {
            assert!(checked_name(name).is_err(), "{name:?}");
        }
    }
}
