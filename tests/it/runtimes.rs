//! One image in three engines: it is recorded alike, and exports are the same to the byte.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use slim_tests::engines::{Containerd, Podman};
use slim_tests::{
    BASE, Cgroup, Container, Corpus, Daemon, Manifest, agent, corpus, docker, outcome, output, read_json,
    record, refused, unique, wait_until,
};
use tempfile::TempDir;

/// As in a pod: a cgroup namespace, and the host's hierarchy mounted.
#[test]
fn a_running_container_is_found_from_inside_a_cgroup_namespace() -> Result<()> {
    let (cgroup, place) = (Cgroup::new()?, tempfile::tempdir()?);
    let path = place.path().join("m.json");
    let container = Container::run(BASE, &["--network", "none"], &["sleep", "600"])?;
    let mut shell = Command::new("sh");
    shell.args(["-euc", &format!("{}; exec unshare --cgroup \"$@\"", cgroup.enter()), "sh"]);
    shell.arg(agent()?.get_program()).args(["record", container.name(), "--output"]).arg(&path);
    shell.args(["--", "docker", "exec", container.name(), "cat", "/etc/hosts"]).env("SLIM_NODE", "node-7");
    outcome(&mut shell)?.expect(0)?;
    let manifest = Manifest::read(&path)?;
    manifest.lossless()?;
    ensure!(manifest.uses("/usr/bin/sleep").contains("exec"), "what ran before is not known");
    ensure!(manifest.phases("/usr/bin/cat").contains("exec"), "what ran later was not seen");
    ensure!(manifest.recording()?["node"] == "node-7", "{}", manifest.recording()?["node"]);
    Ok(())
}

/// What an application of an image used of it.
fn used(manifest: &Value) -> BTreeSet<String> {
    let has_app =
        |file: &Value| file["phases"].as_array().is_some_and(|phases| phases.contains(&"app".into()));
    let files = manifest["files"].as_object().into_iter().flatten();
    files
        .filter(|(_, file)| has_app(file) && file["origin"] == "image")
        .map(|(path, _)| path.clone())
        .collect()
}

/// Engines that have one image, and where recordings of it go.
struct Engines {
    image: Corpus,
    podman: Podman,
    containerd: Containerd,
    place: TempDir,
}

impl Engines {
    fn start() -> Result<Self> {
        let (image, place) = (corpus("nginx")?, tempfile::tempdir()?);
        let archive = place.path().join("image.tar");
        docker(&["save", "--output", &archive.to_string_lossy(), &image.tag()])?;
        let (podman, containerd) = (Podman::start()?, Containerd::start(&archive)?);
        podman.load(&archive)?;
        Ok(Self { image, podman, containerd, place })
    }

    /// Records a container of the engine at `runtime` under the image's check.
    fn record(&self, name: &str, runtime: &str, container: &str) -> Result<(PathBuf, Value)> {
        let path = self.place.path().join(format!("{name}.json"));
        let target = [container, "--runtime", runtime];
        record(&target, &path, &self.image.check_program())?.expect(0).with_context(|| name.to_owned())?;
        Manifest::read(&path)?.whole().with_context(|| name.to_owned())?;
        let manifest = read_json(&path)?;
        Ok((path, manifest))
    }

    /// Checks the container that is in the host's network.
    fn check(&self) -> Result<()> {
        output(Command::new(self.image.check_program()).env("SLIM_CONTAINER_IP", "127.0.0.1")).map(drop)
    }

    fn sockets(&self) -> (String, String) {
        (self.podman.socket().display().to_string(), self.containerd.socket().display().to_string())
    }
}

/// The image that an export to a file makes.
fn exported(manifest: &Path, runtime: &str, to: &Path) -> Result<Value> {
    let mut command = agent()?;
    command.args(["export", "image", "--name", "web:slim", "--format", "json", "--runtime", runtime]);
    command.arg("--archive").arg(to).arg("--explain").arg(to.with_extension("plan.json")).arg(manifest);
    serde_json::from_str(&outcome(&mut command)?.expect(0)?).context("export printed no JSON")
}

#[test]
fn every_runtime_is_recorded_alike_and_exports_are_the_same() -> Result<()> {
    let mut engines = Engines::start()?;
    let (podman, containerd) = engines.sockets();
    let of_docker = Container::create(&engines.image.tag(), &[], &[])?;
    let (docker_path, docker) = engines.record("docker", "docker", of_docker.name())?;

    let name = unique("podman");
    let image = format!("localhost/{}", engines.image.tag());
    engines.podman.run(&["create", "--name", &name, &image])?;
    let (podman_path, of_podman) = engines.record("podman", &podman, &name)?;
    engines.podman.run(&["stop", &name])?;

    let image = format!("docker.io/{}", engines.image.tag());
    let pod = engines.containerd.pod("web-7f", &image, &[("slim.record", "true")])?;
    let (cri_path, of_cri) = engines.record("containerd", &containerd, "shop/web-7f/web")?;
    engines.containerd.stop(&pod)?;

    for (other, runtime) in [(&of_podman, "podman 4"), (&of_cri, "containerd 1")] {
        let recordings = other["recordings"].as_object().context("there are no recordings")?;
        let told =
            recordings.values().find_map(|recording| recording["runtime"].as_str()).unwrap_or_default();
        ensure!(told.starts_with(runtime) && told.ends_with("runc") | told.contains("runc "), "{told}");
        let (ours, theirs) = (used(&docker), used(other));
        let differ: Vec<_> = ours.symmetric_difference(&theirs).collect();
        ensure!(differ.is_empty(), "{runtime} is recorded otherwise: {differ:?}");
    }
    let to = engines.place.path().join("slim.tar");
    let first = exported(&docker_path, "docker", &to)?;
    // Each from its own recording, and each from Docker's: what an engine has of an image is the same.
    for (path, runtime) in [
        (&podman_path, &podman),
        (&docker_path, &podman),
        (&cri_path, &containerd),
        (&docker_path, &containerd),
    ] {
        let image = exported(path, runtime, &to)?;
        ensure!(image["image"] == first["image"], "{runtime} from {}: {image}\n{first}", path.display());
    }
    the_daemon_records_them_from_their_start(&mut engines, &used(&docker))?;
    loads_into_podman(&engines, &podman_path, &first["image"])?;
    what_kubernetes_owns_is_left_to_it(&cri_path, &containerd, &pod.container)
}

/// The daemon finds what any engine starts, and whose it is.
fn the_daemon_records_them_from_their_start(
    engines: &mut Engines,
    expected: &BTreeSet<String>,
) -> Result<()> {
    let (podman, containerd) = engines.sockets();
    let mut daemon = Daemon::prepare(&format!("runtimes = [{podman:?}, {containerd:?}]"), "")?;
    daemon.start(&[])?;
    let (key, value) = daemon.label().split_once('=').context("a label has no value")?;
    let image = format!("localhost/{}", engines.image.tag());
    let labels = ["--label", &format!("{key}={value}"), "--label", "slim.profile=of-podman"];
    let container = engines.podman.run(&[&["run", "--detach"], &labels[..], &[&image]].concat())?;
    engines.check()?;
    engines.podman.run(&["stop", &container])?;
    is_profiled(&daemon, "of-podman", expected)?;

    let image = format!("docker.io/{}", engines.image.tag());
    let labels = [(key, value), ("slim.profile", "of-pods")];
    let pod = engines.containerd.pod("web-9c", &image, &labels)?;
    engines.containerd.run(&pod)?;
    engines.check()?;
    engines.containerd.stop(&pod)?;
    is_profiled(&daemon, "of-pods", expected)
}

/// The daemon has a profile of a container that it saw from its first instruction, and that used what is expected.
fn is_profiled(daemon: &Daemon, profile: &str, expected: &BTreeSet<String>) -> Result<()> {
    let mut manifest = Value::Null;
    let seen = wait_until(profile, || {
        let snapshot = daemon.verb(&["snapshot", profile, "--output", "-"])?;
        manifest = serde_json::from_str(&snapshot.stdout).unwrap_or_default();
        Ok(used(&manifest) == *expected)
    });
    seen.with_context(|| {
        let differ: Vec<_> = used(&manifest).symmetric_difference(expected).cloned().collect();
        format!("differs in {differ:?}; the daemon logged:\n{}", daemon.log().unwrap_or_default())
    })?;
    let recordings = manifest["recordings"].as_object().context("there are no recordings")?;
    let is_whole = |one: &Value| one["startup_observed"] == true && one["complete"] == true;
    ensure!(recordings.len() == 1 && recordings.values().all(is_whole), "{}", manifest["recordings"]);
    Ok(())
}

/// The engine that the image is from gets the new one, and runs it.
fn loads_into_podman(engines: &Engines, manifest: &Path, expected: &Value) -> Result<()> {
    let socket = engines.podman.socket().display().to_string();
    let mut export = agent()?;
    export.args(["export", "image", "--tag", "web:slim", "--runtime", &socket, "--explain", "/dev/null"]);
    outcome(export.arg(manifest))?.expect(0)?;
    let id = engines.podman.run(&["image", "inspect", "--format", "{{.Id}}", "web:slim"])?;
    ensure!(*expected == format!("sha256:{id}"), "podman has {id} instead of {expected}");
    engines.podman.run(&["run", "--rm", "web:slim", "nginx", "-t"]).map(drop)
}

/// What the agent cannot do there says what can.
fn what_kubernetes_owns_is_left_to_it(manifest: &Path, containerd: &str, container: &str) -> Result<()> {
    let mut load = agent()?;
    load.args(["export", "image", "--tag", "web:slim", "--runtime", containerd, "--explain", "/dev/null"]);
    refused(load.arg(manifest), 1, &["belongs to Kubernetes", "ctr -n k8s.io images import"])?;
    let mut ended = agent()?;
    ended.args(["record", container, "--runtime", containerd, "-o", "/dev/null"]);
    refused(&mut ended, 1, &["has exited, instead of which Kubernetes makes another"])?;
    let mut unknown = agent()?;
    unknown.args(["record", "shop/web-8a/web", "--runtime", containerd, "-o", "/dev/null"]);
    refused(&mut unknown, 1, &["no such container shop/web-8a/web in containerd", "crictl ps -a"]).map(drop)
}
