//! Who did it, in the life of a container: the runtime, the application, or somebody who came in later.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use slim_tests::{
    BASE, Container, Manifest, Tag, docker, explanation, export_image, export_seccomp, image_tree, read_json,
    record_script, wait_until,
};
use tempfile::TempDir;

/// A manifest in a directory of its own.
pub struct Recorded {
    /// Where it is.
    pub path: PathBuf,
    /// What it says.
    pub manifest: Manifest,
    /// What the agent said.
    pub stderr: String,
    _place: TempDir,
}

/// Records `target` while a script runs on the host.
pub fn recorded(target: &[&str], script: &str) -> Result<Recorded> {
    let place = tempfile::tempdir()?;
    let path = place.path().join("m.json");
    let outcome = record_script(target, &path, script)?;
    let stderr = outcome.stderr.clone();
    outcome.expect(0)?;
    Ok(Recorded { manifest: Manifest::read(&path)?, path, stderr, _place: place })
}

fn sleeper(image: &str) -> Result<Container> {
    Container::create(image, &["--network", "none"], &["sleep", "300"])
}

const LOOK_AROUND: &str = "docker exec \"$SLIM_CONTAINER_NAME\" sh -c 'cat /etc/issue; exit'";

#[test]
fn what_docker_exec_does_is_labelled_and_not_exported() -> Result<()> {
    let container = sleeper(BASE)?;
    let recorded = recorded(&[container.name()], LOOK_AROUND)?;
    recorded.manifest.whole()?;
    for path in ["/usr/bin/cat", "/etc/issue", "/usr/bin/dash"] {
        let phases = recorded.manifest.phases(path);
        ensure!(phases == ["exec"].into(), "{path} was used in {phases:?}");
    }
    ensure!(recorded.manifest.phases("/usr/bin/sleep").contains("app"));

    let slim = Tag::new("exec");
    export_image(&recorded.path, slim.name(), &[])?.expect(0)?;
    let tree = image_tree(slim.name())?;
    ensure!(tree.get("/usr/bin/sleep").is_some() && tree.get("/usr/bin/cat").is_none());
    ensure!(tree.get("/etc/issue").is_none());
    let why = read_json(&explanation(&recorded.path))?;
    ensure!(why["left_out"]["/usr/bin/cat"] == "exec-only", "{}", why["left_out"]);

    export_image(&recorded.path, slim.name(), &["--include-exec"])?.expect(0)?;
    ensure!(image_tree(slim.name())?.get("/usr/bin/cat").is_some(), "--include-exec has no effect");
    Ok(())
}

#[test]
fn what_a_health_check_uses_is_exported_and_the_whole_config_survives() -> Result<()> {
    let image = Tag::new("healthcheck");
    let dockerfile = "FROM debian:bookworm-slim\n\
        SHELL [\"/bin/sh\", \"-euc\"]\nENV A=1 B='two words'\nLABEL of=\"a test\"\nEXPOSE 8080/udp\nVOLUME /data\n\
        USER 65534:65534\nWORKDIR /var/tmp\nSTOPSIGNAL SIGTERM\n\
        HEALTHCHECK --interval=1s --timeout=30s --retries=2 CMD cat /etc/debian_version\n\
        ENTRYPOINT [\"sleep\"]\nCMD [\"300\"]\n";
    let place = tempfile::tempdir()?;
    std::fs::write(place.path().join("Dockerfile"), dockerfile)?;
    docker(&["build", "--quiet", "--tag", image.name(), &place.path().to_string_lossy()])?;

    let container = Container::create(image.name(), &["--network", "none"], &[])?;
    let healthy = "until [ \"$(docker inspect --format '{{.State.Health.Status}}' \"$SLIM_CONTAINER_ID\")\" = healthy ]; \
        do sleep 0.1; done";
    let recorded = recorded(&[container.name()], healthy)?;
    ensure!(recorded.manifest.phases("/usr/bin/cat") == ["healthcheck"].into());
    let slim = Tag::new("healthy");
    export_image(&recorded.path, slim.name(), &[])?.expect(0)?;
    let configs = [&image, &slim].map(|tag| docker(&["inspect", "--format", "{{json .Config}}", tag.name()]));
    let [fat, thin] =
        configs.map(|text| serde_json::from_str::<serde_json::Value>(&text.unwrap_or_default()));
    let (fat, thin) = (fat?, thin?);
    for field in crate::main_job::CONFIG {
        ensure!(
            !fat[field].is_null() && fat[field] == thin[field],
            "{field}: {} {}",
            fat[field],
            thin[field]
        );
    }
    let profile = format!("seccomp={}", export_seccomp(&recorded.path)?.display());
    let again = Container::run(slim.name(), &["--network", "none", "--security-opt", &profile], &[])?;
    wait_until("the slim container is healthy", || {
        Ok(again.inspect()?["State"]["Health"]["Status"] == "healthy")
    })
}

#[test]
fn what_the_runtime_does_before_the_application_is_labelled_as_the_runtimes() -> Result<()> {
    let container = sleeper(BASE)?;
    let Recorded { manifest, .. } = recorded(&[container.name()], "true")?;
    let runtime = BTreeSet::from(["runtime-init", "runtime-confined"]);
    // Calls that sleep(1) has no use for, and that no runtime can do without.
    for call in ["capset", "setgroups"] {
        let phases = manifest.syscall_phases(call);
        ensure!(!phases.is_empty() && phases.is_subset(&runtime), "{call} was made in {phases:?}");
    }
    ensure!(manifest.syscall_phases("clock_nanosleep") == ["app"].into());
    ensure!(manifest.phases("/usr/bin/sleep").contains("app"));
    let host = manifest.paths().find(|path| path.contains("/overlay2/") || path.contains("/var/lib/docker"));
    ensure!(host.is_none(), "a path of the host: {host:?}");
    Ok(())
}

#[test]
fn an_exited_container_is_recorded_from_its_first_instruction_again() -> Result<()> {
    let container = Container::run(BASE, &["--network", "none"], &["cat", "/etc/debian_version"])?;
    ensure!(container.wait()? == 0);
    let place = tempfile::tempdir()?;
    let path = place.path().join("m.json");
    slim_tests::record_until_it_exits(&[container.name()], &path)?.expect(0)?;
    let manifest = Manifest::read(&path)?;
    manifest.whole()?;
    ensure!(manifest.phases("/etc/debian_version") == ["app"].into());
    Ok(())
}

/// A container with a health check of its own beside an operator who looks around.
fn checked() -> Result<Container> {
    let check = ["--health-cmd", "head -c 1 /etc/issue.net", "--health-interval", "1s"];
    Container::create(BASE, &[&["--network", "none"], &check[..]].concat(), &["sleep", "300"])
}

/// Looks around, and waits until the container is healthy.
fn looks_beside_the_check() -> String {
    format!(
        "{LOOK_AROUND}; until [ \"$(docker inspect --format '{{{{.State.Health.Status}}}}' \"$SLIM_CONTAINER_ID\")\" = healthy ]; \
         do sleep 0.1; done"
    )
}

#[test]
fn a_health_check_is_told_from_what_an_operator_executes() -> Result<()> {
    let container = checked()?;
    let recorded = recorded(&[container.name()], &looks_beside_the_check())?;
    let manifest = &recorded.manifest;
    manifest.whole()?;
    for (path, phase) in
        [("/usr/bin/head", "healthcheck"), ("/etc/issue.net", "healthcheck"), ("/usr/bin/cat", "exec")]
    {
        ensure!(manifest.phases(path) == [phase].into(), "{path} was used in {:?}", manifest.phases(path));
    }
    let slim = Tag::new("checked");
    export_image(&recorded.path, slim.name(), &[])?.expect(0)?;
    let tree = image_tree(slim.name())?;
    ensure!(tree.get("/usr/bin/head").is_some() && tree.get("/etc/issue.net").is_some());
    ensure!(tree.get("/usr/bin/cat").is_none(), "the operator's program was kept");
    Ok(())
}

#[test]
fn ignore_exec_leaves_out_the_operator_and_keeps_the_health_check() -> Result<()> {
    let container = checked()?;
    let target = [container.name(), "--ignore-exec"];
    let Recorded { manifest, .. } = recorded(&target, &looks_beside_the_check())?;
    manifest.whole()?;
    ensure!(manifest.phases("/usr/bin/head") == ["healthcheck"].into());
    ensure!(manifest.phases("/usr/bin/sleep").contains("app"));
    let left: Vec<_> = manifest.paths().filter(|path| manifest.phases(path).contains("exec")).collect();
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}
