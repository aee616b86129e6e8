//! What is exported for Kubernetes, run by Docker as a kubelet would: directories that are empty, of root and open to all, what
//! is copied into them before, the security context, and no leave to wait at low ports.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use slim_tests::{BASE, Container, Tag, docker, export_image, export_seccomp, output, unique};

use super::export;
use crate::main_job::recorded;

/// Volumes of the engine; they are removed when this goes out of scope.
#[derive(Debug, Default)]
struct Volumes(Vec<(String, String)>);

impl Volumes {
    /// One for each `emptyDir`, by its name in the pod.
    fn of(pod: &Value) -> Result<Self> {
        let mut volumes = Self::default();
        for volume in list(&pod["volumes"]) {
            ensure!(volume["emptyDir"].is_object(), "{volume} is no emptyDir");
            let name = unique("v");
            docker(&["volume", "create", &name])?;
            volumes.0.push((text(&volume["name"])?.to_owned(), name.clone()));
            // As the kubelet makes them.
            docker(&["run", "--rm", "--volume", &format!("{name}:/v"), BASE, "chmod", "0777", "/v"])?;
        }
        Ok(volumes)
    }

    fn option(&self, mount: &Value) -> Result<String> {
        let name = text(&mount["name"])?;
        let (_, volume) = self.0.iter().find(|(known, _)| known == name).context("no such volume")?;
        Ok(format!("type=volume,source={volume},destination={},volume-nocopy", text(&mount["mountPath"])?))
    }
}

impl Drop for Volumes {
    fn drop(&mut self) {
        for (_, volume) in &self.0 {
            let _absent = Command::new("docker").args(["volume", "rm", "--force", volume]).output();
        }
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("{value} is no text"))
}

/// The documents of a YAML file, by the YAML reader that came with the schemas.
fn documents(path: &Path) -> Result<Value> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/kubernetes-validate/bin/python");
    let script = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    let json =
        output(Command::new(python).args(["-c", script]).arg(path)).context("run cargo xtask setup")?;
    serde_json::from_str(&json).context("the reader printed no JSON")
}

/// Options of `docker create` for a container of a pod, and its command.
fn options(container: &Value, volumes: &Volumes, profile: &Path) -> Result<(Vec<String>, Vec<String>)> {
    let security = &container["securityContext"];
    let mut options = Vec::new();
    let mut add = |name: &str, value: String| options.extend([name.to_owned(), value]);
    for mount in list(&container["volumeMounts"]) {
        add("--mount", volumes.option(mount)?);
    }
    for (option, names) in [("--cap-drop", "drop"), ("--cap-add", "add")] {
        for name in list(&security["capabilities"][names]) {
            add(option, text(name)?.to_owned());
        }
    }
    if security["allowPrivilegeEscalation"] == false {
        add("--security-opt", "no-new-privileges".into());
    }
    match text(&security["seccompProfile"]["type"])? {
        "Localhost" => add("--security-opt", format!("seccomp={}", profile.display())),
        other => ensure!(other == "RuntimeDefault", "no such profile: {other}"),
    }
    if let Some(uid) = security["runAsUser"].as_u64() {
        add("--user", format!("{uid}:{}", security["runAsGroup"].as_u64().unwrap_or(0)));
    }
    let mut words = list(&container["command"]).map(|word| text(word).map(str::to_owned));
    if let Some(program) = words.next() {
        add("--entrypoint", program?);
    }
    ensure!(security["readOnlyRootFilesystem"] == true, "its root is writable");
    options.push("--read-only".into());
    Ok((options, words.collect::<Result<_>>()?))
}

fn run(container: &Value, volumes: &Volumes, profile: &Path, sysctl: &str) -> Result<Container> {
    let (mut options, command) = options(container, volumes, profile)?;
    options.extend(["--sysctl".to_owned(), sysctl.to_owned()]);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    Container::run(text(&container["image"])?, &options, &command)
}

/// Records an application, and runs its slim image as the pod that `export kubernetes` describes.
fn runs_as_a_pod(name: &str) -> Result<()> {
    let job = recorded(name).context("recording")?;
    let slim = Tag::new(name);
    export_image(&job.manifest, slim.name(), &[])?.expect(0)?;
    let profile = export_seccomp(&job.manifest)?;
    let file = export(&job, "kubernetes", &["--tag", slim.name()])?;
    let pod = &documents(&file)?[0]["spec"]["template"]["spec"];
    let volumes = Volumes::of(pod)?;
    // What Docker allows to all and Kubernetes does not, unless it is told to.
    let allowed = list(&pod["securityContext"]["sysctls"]).next();
    let sysctl = if allowed.is_some() {
        "net.ipv4.ip_unprivileged_port_start=0"
    } else {
        "net.ipv4.ip_unprivileged_port_start=1024"
    };
    let said = || fs::read_to_string(&file).unwrap_or_default();
    for first in list(&pod["initContainers"]) {
        let container = run(first, &volumes, &profile, sysctl)?;
        ensure!(container.wait()? == 0, "{}\n{}", container.logs()?, said());
    }
    let container = run(&pod["containers"][0], &volumes, &profile, sysctl)?;
    job.image.check(&container).with_context(said)
}

#[test]
fn nginx_runs_as_a_pod() -> Result<()> {
    runs_as_a_pod("nginx")
}

#[test]
fn postgres_runs_as_a_pod() -> Result<()> {
    runs_as_a_pod("postgres")
}

#[test]
fn an_entrypoint_that_switches_users_runs_as_a_pod() -> Result<()> {
    runs_as_a_pod("switch")
}
