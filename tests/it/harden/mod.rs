//! Least privilege: the corpus runs with all that can be denied denied at once, by the very lines that were exported.

pub mod platforms;
mod pod;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use slim_tests::{
    BASE, Container, Tag, agent, docker, export_image, export_seccomp, output, record_until_it_exits,
};
use tempfile::TempDir;

use crate::main_job::{Recorded, recorded};

/// Writes `export FORM` beside the manifest; its path.
fn export(job: &Recorded, form: &str, options: &[&str]) -> Result<PathBuf> {
    let path = job.manifest.with_file_name(form);
    let mut command = agent()?;
    command.args(["export", form]).arg(&job.manifest).arg("-o").arg(&path).args(options);
    output(&mut command).map(|_| path)
}

/// Records an application, and runs its slim image by the script that `export docker-run` makes.
fn runs_with_least_privilege(name: &str) -> Result<Running> {
    let job = recorded(name).context("recording")?;
    let slim = Tag::new(name);
    export_image(&job.manifest, slim.name(), &[])?.expect(0)?;
    let profile = export_seccomp(&job.manifest)?;
    let profile = profile.to_str().context("the profile's path is no text")?;
    let script = export(&job, "docker-run", &["--tag", slim.name(), "--seccomp", profile])?;
    let container = Container::by_script(&script)?;
    job.image.check(&container).with_context(|| said(&script))?;
    everything_is_denied(&container).with_context(|| said(&script))?;
    Ok(Running { job, container, script, _slim: slim })
}

/// A slim image's container that was started by its script.
struct Running {
    job: Recorded,
    container: Container,
    script: PathBuf,
    _slim: Tag,
}

impl Running {
    /// What it wrote the first time, and gave to other users, is there again.
    fn starts_again(&self) -> Result<()> {
        self.container.kill()?;
        self.container.start()?;
        self.job.image.check(&self.container).with_context(|| said(&self.script))
    }
}

fn said(script: &Path) -> String {
    fs::read_to_string(script).unwrap_or_else(|error| error.to_string())
}

fn everything_is_denied(container: &Container) -> Result<()> {
    let host = &container.inspect()?["HostConfig"];
    ensure!(host["ReadonlyRootfs"] == true, "its root is writable");
    ensure!(host["CapDrop"] == Value::from(vec!["ALL"]), "it dropped {}", host["CapDrop"]);
    let status = fs::read_to_string(format!("/proc/{}/status", container.pid()?))?;
    let lines: BTreeSet<&str> = status.lines().collect();
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2"] {
        ensure!(lines.contains(line), "expected {line:?} in:\n{status}");
    }
    // As many as were added.
    let bounding = lines.iter().find_map(|line| line.strip_prefix("CapBnd:\t")).context("no capabilities")?;
    let bounding = u64::from_str_radix(bounding, 16)?.count_ones();
    let added = host["CapAdd"].as_array().map_or(0, Vec::len);
    ensure!(usize::try_from(bounding)? == added, "{bounding} capabilities, {added} were added");
    Ok(())
}

/// An image of the base image whose containers run `script` as `user`, and a manifest of one that did.
fn recorded_script(user: &str, script: &str) -> Result<(Tag, TempDir, PathBuf)> {
    let (image, place) = (Tag::new("script"), tempfile::tempdir()?);
    let made = Container::create(BASE, &[], &["true"])?;
    let command = format!("CMD {}", Value::from(vec!["sh", "-euc", script]));
    docker(&[
        "commit",
        "--change",
        &command,
        "--change",
        &format!("USER {user}"),
        made.name(),
        image.name(),
    ])?;
    let manifest = place.path().join("m.json");
    let container = Container::create(image.name(), &[], &[])?;
    record_until_it_exits(&[container.name()], &manifest)?.expect(0)?;
    Ok((image, place, manifest))
}

/// Runs what `export docker-run` makes of a manifest; the script, what the engine knows of the container, and its exit code
/// and output.
fn by_docker_run(manifest: &Path) -> Result<(String, Value, i32, String)> {
    let profile = export_seccomp(manifest)?;
    let script = manifest.with_extension("sh");
    let mut command = agent()?;
    command.args(["export", "docker-run", "--seccomp"]).arg(&profile).arg(manifest).arg("-o").arg(&script);
    output(&mut command)?;
    let container = Container::by_script(&script)?;
    let code = container.wait()?;
    Ok((fs::read_to_string(&script)?, container.inspect()?, code, container.logs()?))
}

#[test]
fn what_writes_to_the_root_directory_keeps_it_writable_and_is_told_why() -> Result<()> {
    let (_image, _place, manifest) = recorded_script("root", "echo hello >/greeting; cat /greeting")?;
    let (script, state, code, logs) = by_docker_run(&manifest)?;
    ensure!(script.contains("# no read-only root: /greeting is written"), "{script}");
    ensure!(
        state["HostConfig"]["ReadonlyRootfs"] == false && code == 0 && logs == "hello\n",
        "{code}: {logs}"
    );
    Ok(())
}

#[test]
fn what_executes_a_setuid_program_may_gain_privileges_and_is_told_why() -> Result<()> {
    let script = "su --version >/tmp/version; echo hello >>/etc/motd || cat /tmp/version";
    let (_image, _place, manifest) = recorded_script("nobody", script)?;
    let (script, state, code, logs) = by_docker_run(&manifest)?;
    ensure!(script.contains("# no no-new-privileges: /usr/bin/su was executed"), "{script}");
    let options = state["HostConfig"]["SecurityOpt"].to_string();
    ensure!(!options.contains("no-new-privileges"), "{options}");
    ensure!(
        state["HostConfig"]["ReadonlyRootfs"] == true && code == 0 && logs.contains("su from"),
        "{code}: {logs}"
    );
    Ok(())
}

#[test]
fn nginx_runs_with_least_privilege() -> Result<()> {
    runs_with_least_privilege("nginx")?.starts_again()
}

#[test]
fn flask_runs_with_least_privilege() -> Result<()> {
    runs_with_least_privilege("flask").map(drop)
}

#[test]
fn redis_runs_with_least_privilege() -> Result<()> {
    runs_with_least_privilege("redis").map(drop)
}

#[test]
fn postgres_runs_with_least_privilege() -> Result<()> {
    runs_with_least_privilege("postgres").map(drop)
}

#[test]
fn node_runs_with_least_privilege() -> Result<()> {
    runs_with_least_privilege("node").map(drop)
}

#[test]
fn java_runs_with_least_privilege() -> Result<()> {
    runs_with_least_privilege("java").map(drop)
}

#[test]
fn pandas_runs_with_least_privilege() -> Result<()> {
    runs_with_least_privilege("pandas").map(drop)
}

#[test]
fn a_static_binary_runs_with_least_privilege() -> Result<()> {
    runs_with_least_privilege("go").map(drop)
}

#[test]
fn an_entrypoint_that_switches_users_runs_with_least_privilege() -> Result<()> {
    runs_with_least_privilege("switch")?.starts_again()
}
