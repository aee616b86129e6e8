//! Each platform's own tool takes what is exported for it: of real applications, and of a made one whose names are hard to
//! spell. Not tried here, as neither runs on these machines: an AppArmor kernel, and a Kubernetes cluster.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use slim_tests::{Outcome, agent, outcome, output};
use tempfile::TempDir;

use crate::main_job::recorded;

/// A Kubernetes whose schema knows all that is used; the newest that its tool has is the default.
const KUBERNETES: &str = "1.29";

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)
}

/// A golden file with one text in place of another, which must be there.
fn broken(name: &str, text: &str, by: &str) -> Result<(TempDir, PathBuf)> {
    let place = tempfile::tempdir()?;
    let path = place.path().join(name);
    let whole = fs::read_to_string(golden(name))?;
    ensure!(whole.contains(text), "{name} has no {text:?}");
    fs::write(&path, whole.replacen(text, by, 1))?;
    Ok((place, path))
}

/// The tool passes the golden file, and refuses it once `text` is replaced.
fn is_understood(name: &str, text: &str, by: &str, tool: fn(&Path) -> Result<Outcome>) -> Result<()> {
    tool(&golden(name))?.expect(0)?;
    let (_place, path) = broken(name, text, by)?;
    ensure!(tool(&path)?.code != Some(0), "the tool also takes what is wrong");
    Ok(())
}

fn apparmor(profile: &Path) -> Result<Outcome> {
    // Neither loaded into the kernel nor cached.
    outcome(Command::new("apparmor_parser").args(["--skip-kernel-load", "--skip-cache"]).arg(profile))
}

/// Whether documents are what Kubernetes takes.
pub fn kubernetes(documents: &Path) -> Result<Outcome> {
    let tool =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/kubernetes-validate/bin/kubernetes-validate");
    ensure!(tool.exists(), "kubernetes-validate is not installed: cargo xtask setup");
    outcome(Command::new(tool).args(["--strict", "--kubernetes-version", KUBERNETES]).arg(documents))
}

fn compose(file: &Path) -> Result<Outcome> {
    let place = tempfile::tempdir()?;
    let yours = place.path().join("yours.yaml");
    fs::write(&yours, "services:\n  web:\n    image: web\n")?;
    for profile in ["web.seccomp.json", "seccomp.json"] {
        fs::write(place.path().join(profile), "{}")?;
    }
    let mut command = Command::new("docker-compose");
    command.current_dir(place.path()).args(["--project-name", "harden", "--file"]).arg(&yours);
    outcome(command.arg("--file").arg(file).arg("config"))
}

fn systemd(drop_in: &Path) -> Result<Outcome> {
    let place = tempfile::tempdir()?;
    let unit = place.path().join("web.service");
    let beside = place.path().join("web.service.d");
    fs::create_dir(&beside)?;
    fs::write(&unit, "[Service]\nExecStart=/bin/true\n")?;
    fs::copy(drop_in, beside.join("50-slim-agent.conf"))?;
    let path = format!("{}:", place.path().display());
    let verified =
        outcome(Command::new("systemd-analyze").env("SYSTEMD_UNIT_PATH", path).arg("verify").arg(&unit))?;
    // What systemd passes over it only tells.
    let is_clean = !verified.stderr.contains("50-slim-agent.conf");
    Ok(if is_clean { verified } else { Outcome { code: Some(1), ..verified } })
}

/// Every file of a directory and of those in it.
fn contents(dir: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(contents(&path)?);
        } else {
            found.insert(path.clone(), fs::read(&path)?);
        }
    }
    Ok(found)
}

#[test]
fn the_parser_of_apparmor_takes_a_profile() -> Result<()> {
    is_understood("apparmor.profile", "\"/usr/sbin/web\" mrix,", "\"/usr/sbin/web\" mrq,", apparmor)
}

#[test]
fn the_schema_of_kubernetes_takes_both_documents() -> Result<()> {
    is_understood("kubernetes.yaml", "readOnlyRootFilesystem:", "readOnly:", kubernetes)?;
    is_understood(
        "kubernetes.yaml",
        "podSelector:\n    matchLabels",
        "podSelector:\n    matchNames",
        kubernetes,
    )
}

#[test]
fn docker_compose_takes_an_override_file() -> Result<()> {
    is_understood("compose.yaml", "read_only: true", "read_only: [1]", compose)
}

#[test]
fn systemd_takes_a_drop_in() -> Result<()> {
    is_understood("systemd.conf", "NoNewPrivileges=yes", "NoNewPrivileges=maybe", systemd)
}

#[test]
fn everything_about_real_applications_is_understood() -> Result<()> {
    for name in ["nginx", "redis"] {
        let job = recorded(name)?;
        let place = tempfile::tempdir()?;
        let dir = place.path().join("all");
        let mut command = agent()?;
        command.args(["export", "all"]).arg(&job.manifest).args(["--name", "web", "--output"]).arg(&dir);
        output(&mut command).with_context(|| name.to_owned())?;
        let first = contents(&dir)?;
        // It replaces the first, and is the same.
        output(&mut command).with_context(|| name.to_owned())?;
        ensure!(contents(&dir)? == first, "{name}: two exports differ");
        apparmor(&dir.join("apparmor.profile"))?.expect(0)?;
        kubernetes(&dir.join("kubernetes.yaml"))?.expect(0)?;
        compose(&dir.join("compose.yaml"))?.expect(0)?;
        systemd(&dir.join("systemd.conf"))?.expect(0)?;
        let readme = fs::read_to_string(dir.join("README.md"))?;
        for entry in fs::read_dir(&dir)? {
            let file = entry?.file_name();
            let file = file.to_str().context("a name is no text")?;
            ensure!(file == "README.md" || readme.contains(file), "the README does not say what {file} is");
        }
    }
    Ok(())
}
