//! All exports in one directory, with a README that says what each file is.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};

use super::deployment::{Deployment, one_line};
use super::directory::{Place, has_only, put};
use super::{apparmor, compose, docker_run, dockerfile, kubernetes, systemd};
use crate::image::ImageSource;
use crate::manifest::{ImageRef, PathBytes};

/// The profile, as the other files name it.
pub const SECCOMP: &str = "seccomp.json";
const SECCOMP_REASONS: &str = "seccomp.why.json";
const DOCKER_RUN: &str = "docker-run.sh";
const COMPOSE: &str = "compose.yaml";
const KUBERNETES: &str = "kubernetes.yaml";
const APPARMOR: &str = "apparmor.profile";
const SYSTEMD: &str = "systemd.conf";
const DOCKERFILE: &str = "dockerfile";
const README: &str = "README.md";
const ALL: [&str; 9] =
    [SECCOMP, SECCOMP_REASONS, DOCKER_RUN, COMPOSE, KUBERNETES, APPARMOR, SYSTEMD, DOCKERFILE, README];

/// Fails early where [`write`] would fail.
///
/// # Errors
/// The place cannot be written to, or holds something else than an earlier export.
pub fn check(dir: &Path) -> Result<()> {
    place(dir).check()
}

/// Writes everything to directory `dir`, whole or not at all.
///
/// # Errors
/// The image cannot be read, or the directory cannot be written.
pub fn write(
    deployment: &Deployment<'_>,
    image: &dyn ImageSource,
    original: &ImageRef,
    dir: &Path,
) -> Result<()> {
    let texts = [
        (SECCOMP, json(&deployment.seccomp.profile)?),
        (SECCOMP_REASONS, json(&deployment.seccomp.explain())?),
        (DOCKER_RUN, docker_run::script(deployment)),
        (COMPOSE, compose::file(deployment)),
        (KUBERNETES, kubernetes::documents(deployment)),
        (APPARMOR, apparmor::profile(deployment)),
        (SYSTEMD, systemd::drop_in(deployment)),
        (README, readme(deployment)),
    ];
    place(dir).fill(|dir| {
        for (name, text) in &texts {
            put(dir, name, &mut text.as_bytes())?;
        }
        dockerfile::write(deployment.plan, image, original, &slim_name(deployment), &dir.join(DOCKERFILE))
            .map(drop)
    })
}

fn place(path: &Path) -> Place<'_> {
    Place { path, is_ours: |dir| has_only(dir, &ALL) }
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value).context("cannot serialise the seccomp profile")?;
    Ok(text + "\n")
}

fn readme(deployment: &Deployment<'_>) -> String {
    let Deployment { name, plan, hardening, seccomp, .. } = deployment;
    let files = format!(
        "\
| file | what it is | how it is used |
|---|---|---|
| `{DOCKERFILE}/` | a build context that makes the slim image: {kept} files, {bytes} bytes | `docker build --no-cache --tag {slim} {DOCKERFILE}` |
| `{SECCOMP}` | the seccomp profile: {calls} system calls | named by the files below |
| `{SECCOMP_REASONS}` | why each of these calls is allowed | to read |
| `{DOCKER_RUN}` | `docker run` with all that can be denied denied | `sh {DOCKER_RUN} --detach --name {name}` |
| `{COMPOSE}` | the same for docker compose, over a file of yours with a service `{name}` | `docker compose -f YOURS -f {COMPOSE} up` |
| `{KUBERNETES}` | the same as Deployment, and a NetworkPolicy | `kubectl apply -f {KUBERNETES}` |
| `{APPARMOR}` | an AppArmor profile | `apparmor_parser --replace {APPARMOR}` |
| `{SYSTEMD}` | the same for a service without a container | `/etc/systemd/system/{name}.service.d/` |
",
        slim = slim_name(deployment),
        kept = plan.totals.files,
        bytes = plan.totals.bytes,
        calls = seccomp.reasons.len(),
    );
    let mut text = format!("# {name}\n\nFor {}\n\n{files}\n", markdown(&deployment.headline()));
    let mut section = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            text.push_str(&format!("## {title}\n\n"));
            lines.iter().for_each(|line| text.push_str(&format!("- {}\n", markdown(line))));
            text.push('\n');
        }
    };
    section("What cannot be denied", deployment.read_only_obstacles().chain(deployment.gains()).collect());
    let capabilities = hardening.capabilities.needed.iter();
    let needed =
        capabilities.map(|(name, why)| format!("{name}: {}", Vec::from_iter(why.clone()).join("; ")));
    section(&format!("Capabilities: dropped are {}", deployment.capabilities()), needed.collect());
    let listens = hardening.listens.iter().map(|one| format!("{}{}", one.address, by(&one.by)));
    section("Where it waits for connections", listens.collect());
    let connects = hardening.connects.iter().map(|one| format!("{}{}", one.address, by(&one.by)));
    section("What it connects to", connects.collect());
    section("To know", deployment.notes().into_iter().chain(seccomp.warnings.clone()).collect());
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// What the slim image is called: not what the original is.
fn slim_name(deployment: &Deployment<'_>) -> String {
    let Deployment { name, image, original, .. } = deployment;
    if image == original { format!("{name}:slim") } else { (*image).to_owned() }
}

fn by(programs: &BTreeSet<PathBytes>) -> String {
    let programs: Vec<String> = programs.iter().map(ToString::to_string).collect();
    if programs.is_empty() { String::new() } else { format!(", {}", programs.join(" ")) }
}

/// A text in which nothing is markup.
fn markdown(text: &str) -> String {
    let mut out = String::new();
    for char in one_line(text).chars() {
        if "\\`*_[]<>&|#".contains(char) {
            out.push('\\');
        }
        out.push(char);
    }
    out
}
