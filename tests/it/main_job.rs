//! The main job on real images: record, export, and run what was exported under its own seccomp profile.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use slim_tests::{
    Container, Corpus, Kind, Manifest, Tag, Tree, corpus, docker, export_image, export_seccomp, image_tree,
    is_package_metadata, kept_entries_equal, record,
};
use tempfile::TempDir;

use crate::seccomp::runs_in_other_ways;

/// What an image says about how to run it.
pub const CONFIG: [&str; 10] = [
    "Env",
    "Entrypoint",
    "Cmd",
    "WorkingDir",
    "User",
    "ExposedPorts",
    "Volumes",
    "Labels",
    "StopSignal",
    "Healthcheck",
];

/// A container of the corpus that was recorded under its check, and still runs.
pub struct Recorded {
    pub image: Corpus,
    container: Container,
    pub manifest: PathBuf,
    /// Where the manifest is.
    _place: TempDir,
}

/// Records one of the corpus under its check.
pub fn recorded(name: &str) -> Result<Recorded> {
    let image = corpus(name)?;
    let place = tempfile::tempdir()?;
    let manifest = place.path().join("m.json");
    let container = Container::create(&image.tag(), &[], &[])?;
    record(&[container.name()], &manifest, &image.check_program())?.expect(0)?;
    Manifest::read(&manifest)?.whole()?;
    Ok(Recorded { image, container, manifest, _place: place })
}

/// Everything that is promised of an export; the bytes of content in the slim image.
fn does_the_main_job(name: &str) -> Result<u64> {
    let job = recorded(name).context("recording")?;
    let slim = Tag::new(name);
    export_image(&job.manifest, slim.name(), &[])?.expect(0)?;
    configs_are_equal(&job.image.tag(), slim.name())?;
    runs_confined(&job, slim.name()).context("running the slim image under its own profile")?;
    runs_in_other_ways(&job, slim.name()).context("running it in other ways under the same profile")?;

    let (fat, tree) = (image_tree(&job.image.tag())?, image_tree(slim.name())?);
    kept_entries_equal(&fat, &tree, &is_package_metadata)?;
    nothing_from_run_time_is_kept(&job.container, &fat, &tree)?;
    println!("{name}: {} of {} bytes", tree.bytes(), fat.bytes());
    Ok(tree.bytes())
}

fn runs_confined(job: &Recorded, slim: &str) -> Result<()> {
    let profile = export_seccomp(&job.manifest)?;
    let option = format!("seccomp={}", profile.display());
    let container = Container::run(slim, &["--security-opt", &option], &[])?;
    job.image.check(&container)?;
    let state = container.inspect()?;
    ensure!(state["HostConfig"]["Privileged"] == false);
    let status = fs::read_to_string(format!("/proc/{}/status", container.pid()?))?;
    ensure!(status.contains("Seccomp:\t2"), "no seccomp filter is on:\n{status}");
    let (before, after) = (users(&job.container)?, users(&container)?);
    ensure!(before == after, "the processes ran as {before:?}, and now run as {after:?}");
    Ok(())
}

/// Command and effective user of every process.
fn users(container: &Container) -> Result<BTreeSet<String>> {
    let rows = docker(&["top", container.name(), "-eo", "pid,euid,comm"])?;
    let row = |row: &str| row.split_whitespace().skip(1).collect::<Vec<_>>().join(" ");
    let rows: BTreeSet<_> = rows.lines().skip(1).map(row).collect();
    ensure!(!rows.is_empty(), "{} has no processes", container.name());
    Ok(rows)
}

fn config(image: &str) -> Result<Value> {
    let text = docker(&["image", "inspect", "--format", "{{json .Config}}", image])?;
    serde_json::from_str(&text).context("docker inspect printed no JSON")
}

/// Whether two images say the same of how to run them.
pub fn configs_are_equal(fat: &str, slim: &str) -> Result<()> {
    let (fat, slim) = (config(fat)?, config(slim)?);
    for field in CONFIG.iter().chain(&["Shell"]) {
        ensure!(fat[field] == slim[field], "{field} was {}, and is {}", fat[field], slim[field]);
    }
    Ok(())
}

/// The engine tells what the container added (A) and changed (C).
fn nothing_from_run_time_is_kept(container: &Container, fat: &Tree, slim: &Tree) -> Result<()> {
    for line in docker(&["diff", container.name()])?.lines() {
        let Some((kind, path)) = line.split_once(' ') else { continue };
        let kept = slim.get(path);
        if kind == "A" {
            ensure!(kept.is_none(), "{path} was made at run time");
        } else if kind == "C" {
            ensure!(kept.is_none() || kept == fat.get(path), "{path} is not the original");
        }
    }
    Ok(())
}

fn becomes_small(name: &str, most: u64) -> Result<()> {
    let bytes = does_the_main_job(name)?;
    ensure!(bytes <= most, "{name} takes {bytes} bytes, more than {most}");
    Ok(())
}

#[test]
fn nginx_becomes_small_and_works_under_its_own_profile() -> Result<()> {
    becomes_small("nginx", 10_400_000)
}

#[test]
fn flask_becomes_small_and_works_under_its_own_profile() -> Result<()> {
    // 28 MB is what a comparable image of Flask alone may take. This one has gunicorn and OpenSSL besides, and 6 MB
    // of it are .py files that Python only stats, to validate its .pyc files: they are kept whole.
    becomes_small("flask", 32_000_000)
}

#[test]
fn redis_becomes_small_and_works_under_its_own_profile() -> Result<()> {
    becomes_small("redis", 18_500_000)
}

#[test]
fn postgres_becomes_small_and_works_under_its_own_profile() -> Result<()> {
    // 133 MB of it are LLVM and Z3, with which the server compiles queries.
    becomes_small("postgres", 220_000_000)
}

#[test]
fn node_becomes_small_and_works_under_its_own_profile() -> Result<()> {
    becomes_small("node", 103_000_000)
}

#[test]
fn java_becomes_small_and_works_under_its_own_profile() -> Result<()> {
    // One file of 129 MB has all of Java's own classes; 9 MB are libraries that rule `java` keeps together.
    becomes_small("java", 192_000_000)
}

#[test]
fn pandas_becomes_small_and_works_under_its_own_profile() -> Result<()> {
    // NumPy's linear algebra, and pandas itself, of which most modules are imported at once.
    becomes_small("pandas", 86_000_000)
}

#[test]
fn a_static_binary_becomes_small_and_works_under_its_own_profile() -> Result<()> {
    becomes_small("go", 9_400_000)
}

#[test]
fn an_entrypoint_that_switches_users_becomes_small_and_works_under_its_own_profile() -> Result<()> {
    becomes_small("switch", 9_600_000)
}

#[test]
fn what_a_server_logged_is_in_neither_the_image_nor_its_size() -> Result<()> {
    let job = recorded("nginx")?;
    let written = docker(&["diff", job.container.name()])?;
    for line in ["C /var/log/nginx/access.log", "A /run/nginx.pid"] {
        ensure!(written.lines().any(|found| found == line), "expected {line:?} in:\n{written}");
    }
    let slim = Tag::new("logged");
    export_image(&job.manifest, slim.name(), &[])?.expect(0)?;
    let tree = image_tree(slim.name())?;
    ensure!(tree.get("/run/nginx.pid").is_none());
    let log = tree.get("/var/log/nginx/access.log").context("the log's own entry is needed")?;
    ensure!(matches!(log.kind, Kind::File { size: 0, .. }), "{log:?}");
    Ok(())
}

#[test]
fn the_same_manifest_gives_the_same_image_from_layers_and_from_the_archive() -> Result<()> {
    let job = recorded("redis")?;
    let id = |tag: &Tag| docker(&["image", "inspect", "--format", "{{.Id}}", tag.name()]);
    let (once, again, archived) = (Tag::new("once"), Tag::new("again"), Tag::new("archived"));
    for tag in [&once, &again] {
        export_image(&job.manifest, tag.name(), &[])?.expect(0)?;
    }
    ensure!(id(&once)? == id(&again)?, "two exports, two images");
    let log = export_from_archive(&job.manifest, archived.name())?;
    ensure!(log.contains("cannot be read in place"), "the layers were not hidden:\n{log}");
    ensure!(id(&once)? == id(&archived)?, "layers and archive give different images");
    Ok(())
}

/// Exports with the engine's layers out of sight, as for an agent that cannot see the engine's directory.
fn export_from_archive(manifest: &Path, tag: &str) -> Result<String> {
    let layers = docker(&["info", "--format", "{{.DockerRootDir}}"])?;
    let script = format!("mount -t tmpfs none '{layers}' && exec \"$@\"");
    let agent = slim_tests::agent()?;
    let mut hidden = std::process::Command::new("unshare");
    hidden.args(["--mount", "sh", "-c", &script, "sh"]).arg(agent.get_program());
    hidden.args(["-vv", "export", "image", "--tag", tag, "--explain", "/dev/null"]).arg(manifest);
    let outcome = slim_tests::outcome(&mut hidden)?;
    let log = outcome.stderr.clone();
    outcome.expect(0).map(|_| log)
}
