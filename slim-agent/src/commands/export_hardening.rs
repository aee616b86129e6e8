//! `export docker-run` and its kin: one file that starts the application with no more privileges than it needs.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::export_image::{Export, find_image};
use super::policy::PolicyArgs;
use crate::container::docker::Docker;
use crate::export::deployment::Deployment;
use crate::export::{apparmor, compose, docker_run, kubernetes, seccomp, systemd};
use crate::harden::Hardening;
use crate::manifest::ImageRef;

/// Arguments of each of these commands.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Manifests of recordings of the same image; `-` is standard input
    #[arg(required = true, value_name = "MANIFEST")]
    manifests: Vec<PathBuf>,

    /// Where to write it; `-` is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,

    #[command(flatten)]
    subject: SubjectArgs,
}

/// What is deployed, and what it is called there.
#[derive(Debug, clap::Args)]
pub struct SubjectArgs {
    /// The image that is run: the slim one, if there is one [default: the original]
    #[arg(long, value_name = "NAME:TAG")]
    tag: Option<String>,

    /// What it is called [default: the image's name without registry and tag]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Where its seccomp profile is when it is started [default: NAME.seccomp.json]
    #[arg(long, value_name = "FILE")]
    seccomp: Option<String>,

    /// Export although something was not seen: a loss, or a start-up that was not observed
    #[arg(long)]
    allow_incomplete: bool,

    /// The original image, for manifests of a bare cgroup, which name none
    #[arg(long, value_name = "REF")]
    image: Option<String>,

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
    let text = args.subject.with(&args.manifests, |deployment| Ok(form.text(deployment))).await?;
    super::emit(&args.output, text.as_bytes())
}

impl SubjectArgs {
    /// Does `what` with the deployment that the manifests and these options give.
    async fn with<T>(&self, manifests: &[PathBuf], what: impl Fn(&Deployment<'_>) -> Result<T>) -> Result<T> {
        let policy = self.policy.policy()?;
        let manifest = super::load_manifests(manifests, self.allow_incomplete)?;
        let seccomp = seccomp::export(&manifest)?;
        let runtime = Docker::connect().await?;
        let original = find_image(&manifest, self.image.as_deref(), &runtime).await?;
        let known_as = spelled(&original);
        let image = self.tag.as_deref().unwrap_or(known_as);
        let name = self.name.clone().unwrap_or_else(|| name_of(known_as));
        let profile = self.seccomp.clone().unwrap_or_else(|| format!("{name}.seccomp.json"));
        let export = Export { manifest: &manifest, original: &original.id, policy: &policy };
        export
            .with_source(&runtime, |plan, source| {
                let hardening =
                    Hardening::derive(&manifest, source, &plan).context("cannot tell what it needs")?;
                what(&Deployment {
                    name: &name,
                    image,
                    original: known_as,
                    profile: &profile,
                    hardening: &hardening,
                    plan: &plan,
                    seccomp: &seccomp,
                })
            })
            .await
    }
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
    let name: String = last.chars().map(plain).collect();
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
        }
    }
}
