//! Whose access it is, where containers share what they usually have of their own, and processes move about.

use anyhow::{Result, ensure};
use slim_tests::{BASE, Background, Container, Manifest, docker, wait_until};

use crate::phases::{Recorded, recorded};

/// Shell functions for COMMAND: `first` is the container's first process, `group` its cgroup. `tell NAME` lets the
/// container's process go on that waits for NAME, and waits until it has.
const HOST: &str = r#"
    first=$(docker inspect --format '{{.State.Pid}}' "$SLIM_CONTAINER_ID")
    group=$(awk '$9 == "cgroup2" || $8 == "cgroup2" || $10 == "cgroup2" { print $5; exit }' /proc/self/mountinfo)
    group=$group$(sed -n 's/^0:://p' /proc/$first/cgroup)
    # Until it executes the application, it is the runtime: to move that would be another test.
    while grep -q '^runc' /proc/$first/comm; do sleep 0.02; done
    until_there() { until [ -e "$1" ]; do sleep 0.02; done; }
    tell() { touch "/proc/$first/root/tmp/$1"; until_there "/proc/$first/root/tmp/$1.done"; }
    move() { echo "$1" > "$2/cgroup.procs"; }
    remove() { until rmdir "$@" 2> /dev/null; do sleep 0.02; done; }
"#;

/// A shell script in a container that reads `path` once it is told `name`.
fn reads(name: &str, path: &str) -> String {
    format!("until [ -e /tmp/{name} ]; do sleep 0.02; done; read line < {path}; : > /tmp/{name}.done; ")
}

fn shell(options: &[&str], script: &str) -> Result<Container> {
    let options = [&["--network", "none"], options].concat();
    Container::create(BASE, &options, &["sh", "-c", script])
}

fn record(container: &Container, script: &str) -> Result<Manifest> {
    let Recorded { manifest, .. } = recorded(&[container.name()], &format!("{HOST}{script}"))?;
    manifest.whole()?;
    Ok(manifest)
}

/// The program that executes another one is not known when no shell looked for it before.
const NOBODY: &str = "";

/// An error unless each path was used in these phases, and by this program.
fn expect(manifest: &Manifest, expected: &[(&str, &[&str], &str)]) -> Result<()> {
    for (path, phases, by) in expected {
        let found = (manifest.phases(path), manifest.by(path));
        let by_whom = if *by == NOBODY { found.1.is_empty() } else { found.1.contains(by) };
        let as_expected = found.0.iter().eq(phases.iter()) && by_whom;
        ensure!(as_expected, "{path}: expected {phases:?} by {by}, found {found:?}");
    }
    Ok(())
}

#[test]
fn a_process_in_cgroups_below_the_container_s_stays_the_application() -> Result<()> {
    let script = reads("a", "/etc/issue") + &reads("b", "/etc/debian_version") + "exec sleep 600";
    let container = shell(&[], &script)?;
    let moves = "mkdir $group/a; move $first $group/a; tell a; mkdir $group/a/b; move $first $group/a/b; tell b; \
        move $first $group; remove $group/a/b; remove $group/a";
    let manifest = record(&container, moves)?;
    let by = "/usr/bin/dash";
    expect(&manifest, &[("/etc/issue", &["app"], by), ("/etc/debian_version", &["app"], by)])
}

#[test]
fn a_process_that_leaves_the_cgroup_is_not_recorded_until_it_comes_back() -> Result<()> {
    let script = reads("away", "/etc/issue") + &reads("back", "/etc/debian_version") + "exec sleep 600";
    let container = shell(&[], &script)?;
    let moves = "mkdir $group.away; move $first $group.away; tell away; move $first $group; remove $group.away; \
        tell back";
    let manifest = record(&container, moves)?;
    ensure!(manifest.uses("/etc/issue").is_empty(), "what it did elsewhere was recorded");
    expect(&manifest, &[("/etc/debian_version", &["app"], "/usr/bin/dash")])
}

#[test]
fn a_process_of_docker_exec_keeps_its_phase_in_cgroups_below() -> Result<()> {
    let container = shell(&[], "exec sleep 600")?;
    let script = reads("a", "/etc/issue") + "(cat /etc/debian_version > /dev/null); : > /tmp/end";
    let moves = format!(
        "docker exec --detach $SLIM_CONTAINER_ID sh -c 'echo $$ > /tmp/pid; {script}'; \
         until_there /proc/$first/root/tmp/pid; \
         shell=$(grep -v \"^$first\\$\" $group/cgroup.procs | head -1); \
         mkdir $group/a; move $shell $group/a; tell a; until_there /proc/$first/root/tmp/end; \
         remove $group/a"
    );
    let manifest = record(&container, &moves)?;
    expect(
        &manifest,
        &[("/etc/issue", &["exec"], "/usr/bin/dash"), ("/etc/debian_version", &["exec"], "/usr/bin/cat")],
    )
}

#[test]
fn between_two_recorded_containers_a_process_belongs_to_the_one_whose_cgroup_it_is_in() -> Result<()> {
    let script = reads("a", "/etc/issue") + &reads("b", "/etc/debian_version") + "exec sleep 600";
    let guest = shell(&[], &script)?;
    let host = shell(&[], "exec sleep 600")?;
    host.start()?;
    let begun = tempfile::tempdir()?;
    let [mark, end] = ["begun", "end"].map(|name| begun.path().join(name).display().to_string());
    let wait = format!("touch {mark}; until [ -e {end} ]; do sleep 0.02; done");
    let mut beside = Background::record(&[host.name()], &["sh", "-c", &wait])?;
    wait_until("the other recording has begun", || Ok(std::path::Path::new(&mark).exists()))?;

    let other = host.pid()?;
    let moves = format!(
        "other=${{group%/*}}/$(basename $(sed -n 's/^0:://p' /proc/{other}/cgroup)); \
         move $first $other; tell a; move $first $group; tell b; touch {end}"
    );
    let manifest = record(&guest, &moves)?;
    beside.end()?.expect(0)?;
    let other = Manifest::read(&beside.manifest())?;
    ensure!(manifest.uses("/etc/issue").is_empty(), "recorded by the container that it had left");
    expect(&manifest, &[("/etc/debian_version", &["app"], "/usr/bin/dash")])?;
    ensure!(
        other.uses("/etc/debian_version").is_empty(),
        "recorded by the container that it had come back from"
    );
    expect(&other, &[("/etc/issue", &["app"], "/usr/bin/dash")])
}

/// The application reads one file, its orphan another, and `docker exec` a third one.
fn parts_are_told_apart(options: &[&str]) -> Result<()> {
    let daemon = reads("orphan", "/etc/issue");
    let script =
        format!("(setsid sh -c '{daemon}' &); {} exec sleep 600", reads("app", "/etc/debian_version"));
    let container = Container::create(BASE, options, &["sh", "-c", &script])?;
    let exec = "tell app; tell orphan; \
        docker exec $SLIM_CONTAINER_ID sh -c 'sh -c \"cat /etc/passwd > /dev/null; :\"; :'";
    let manifest = record(&container, exec)?;
    expect(
        &manifest,
        &[
            ("/etc/debian_version", &["app"], "/usr/bin/dash"),
            ("/etc/issue", &["app"], "/usr/bin/dash"),
            ("/usr/bin/setsid", &["app"], "/usr/bin/dash"),
            ("/usr/bin/cat", &["exec"], "/usr/bin/dash"),
        ],
    )?;
    ensure!(manifest.by("/etc/passwd").contains("/usr/bin/cat"));
    ensure!(!manifest.phases("/etc/passwd").contains("app"), "{:?}", manifest.phases("/etc/passwd"));
    let host =
        manifest.paths().find(|path| path.contains("/overlay2/") || path.starts_with("/var/lib/docker"));
    ensure!(host.is_none(), "a path of the host: {host:?}");
    Ok(())
}

#[test]
fn orphans_of_the_first_process_are_the_application_and_grandchildren_of_docker_exec_are_not() -> Result<()> {
    parts_are_told_apart(&["--network", "none"])
}

#[test]
fn a_container_with_the_host_s_processes_is_told_apart() -> Result<()> {
    parts_are_told_apart(&["--network", "none", "--pid", "host"])
}

#[test]
fn a_container_with_the_host_s_network_is_told_apart() -> Result<()> {
    parts_are_told_apart(&["--network", "host"])
}

#[test]
fn a_container_with_another_one_s_processes_is_told_apart_and_the_other_one_is_not_in_its_manifest()
-> Result<()> {
    let other = shell(&[], "while :; do /usr/bin/uname > /dev/null; sleep 0.02; done")?;
    other.start()?;
    let shared = format!("container:{}", other.name());
    parts_are_told_apart(&["--network", "none", "--pid", &shared])?;

    let container = shell(&["--pid", &shared], &(reads("a", "/etc/issue") + "exec sleep 600"))?;
    let manifest = record(&container, "tell a")?;
    ensure!(manifest.uses("/usr/bin/uname").is_empty(), "the other container's program was recorded");
    expect(&manifest, &[("/etc/issue", &["app"], "/usr/bin/dash")])
}

/// Attached: what `docker exec` starts from now on, in a container with the host's processes, is known to the hooks.
#[test]
fn docker_exec_into_a_running_container_with_the_host_s_processes_is_told_apart() -> Result<()> {
    let container = shell(&["--pid", "host"], "exec sleep 600")?;
    container.start()?;
    let script = "docker exec \"$SLIM_CONTAINER_ID\" cat /etc/debian_version > /dev/null";
    let Recorded { manifest, .. } = recorded(&[container.name()], script)?;
    manifest.lossless()?;
    expect(&manifest, &[("/usr/bin/cat", &["exec"], NOBODY), ("/usr/bin/sleep", &["app"], "/usr/bin/sleep")])
}

#[test]
fn a_daemon_that_docker_exec_left_behind_is_not_the_application() -> Result<()> {
    let container = shell(&[], "exec sleep 600")?;
    let daemon = reads("daemon", "/etc/issue") + "(cat /etc/debian_version > /dev/null); : > /tmp/end";
    let script = format!(
        "docker exec $SLIM_CONTAINER_ID sh -c '(setsid sh -c \"{}\" &)'; tell daemon; \
         until_there /proc/$first/root/tmp/end",
        daemon.replace('"', "\\\"")
    );
    let manifest = record(&container, &script)?;
    expect(
        &manifest,
        &[("/etc/issue", &["exec"], "/usr/bin/dash"), ("/etc/debian_version", &["exec"], "/usr/bin/cat")],
    )
}

#[test]
fn a_process_of_docker_exec_that_outlives_the_recording_is_not_the_application() -> Result<()> {
    let container = shell(&[], "exec cat /dev/zero > /dev/null")?;
    // Until it is in clock_nanosleep(2): on x86-64, on aarch64.
    let script = "docker exec --detach $SLIM_CONTAINER_ID sh -c ': > /tmp/there; exec sleep 603'; \
        until grep -qsE '^(230|115) ' /proc/$(sed \"/^$first\\$/d\" $group/cgroup.procs)/syscall; do sleep 0.02; done";
    let manifest = record(&container, script)?;
    expect(&manifest, &[("/usr/bin/sleep", &["exec"], NOBODY)])?;
    let phases = manifest.syscall_phases("clock_nanosleep");
    ensure!(phases == ["exec"].into(), "the call it sleeps in was made in {phases:?}");
    docker(&["kill", container.name()]).map(drop)
}

#[test]
fn an_exec_that_is_moved_away_and_back_stays_exec() -> Result<()> {
    let container = shell(&[], "exec sleep 600")?;
    let script = reads("a", "/etc/issue") + "(cat /etc/debian_version > /dev/null); : > /tmp/end";
    let moves = format!(
        "docker exec --detach $SLIM_CONTAINER_ID sh -c 'echo $$ > /tmp/pid; {script}'; \
         until_there /proc/$first/root/tmp/pid; \
         shell=$(for p in $(grep -v \"^$first\\$\" $group/cgroup.procs); do grep -qs '^sh$' /proc/$p/comm && echo $p; done | head -1); \
         mkdir $group.away; move $shell $group.away; move $shell $group; remove $group.away; tell a; until_there /proc/$first/root/tmp/end"
    );
    let manifest = record(&container, &moves)?;
    expect(
        &manifest,
        &[("/etc/issue", &["exec"], "/usr/bin/dash"), ("/etc/debian_version", &["exec"], "/usr/bin/cat")],
    )
}

#[test]
fn an_application_on_a_volume_that_the_host_moves_stays_the_application() -> Result<()> {
    let place = tempfile::tempdir()?;
    let bin = place.path().join("sh");
    std::fs::copy("/bin/dash", &bin)?;
    let volume = format!("{}:/vol", place.path().display());
    let script = reads("a", "/etc/issue") + "(cat /etc/debian_version > /dev/null); exec sleep 600";
    let options = ["--network", "none", "-v", &volume];
    let container = Container::create(BASE, &options, &["/vol/sh", "-c", &script])?;
    let moves = "mkdir $group/a; move $first $group/a; tell a; move $first $group; remove $group/a";
    let manifest = record(&container, moves)?;
    expect(&manifest, &[("/etc/issue", &["app"], NOBODY), ("/etc/debian_version", &["app"], "/usr/bin/cat")])
}
