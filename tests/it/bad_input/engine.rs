//! Engines that are not there, refuse, or go away during a recording.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use anyhow::{Context, Result, ensure};
use slim_tests::{Container, Proxy, Recording, expect, refused};

use super::{BASE, ENOUGH, Public, slim};

#[test]
fn a_socket_that_does_not_exist_is_named() -> Result<()> {
    let mut agent = slim(&["record", "web"])?;
    let words = ["no container engine answers at unix:///no/such/engine.sock", "DOCKER_HOST"];
    refused(agent.env("DOCKER_HOST", "unix:///no/such/engine.sock"), 1, &words).map(drop)
}

#[test]
fn a_socket_on_which_nobody_listens_is_named() -> Result<()> {
    let place = tempfile::tempdir()?;
    let socket = place.path().join("engine.sock");
    drop(UnixListener::bind(&socket)?);
    let host = format!("unix://{}", socket.display());
    refused(slim(&["record", "web"])?.env("DOCKER_HOST", &host), 1, &["no container engine answers", &host])
        .map(drop)
}

#[test]
fn a_socket_that_refuses_this_user_says_who_may_use_it() -> Result<()> {
    let place = tempfile::tempdir()?;
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o755))?;
    let socket = place.path().join("engine.sock");
    let _listener = UnixListener::bind(&socket)?;
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600))?;
    let host = format!("unix://{}", socket.display());
    let public = Public::new()?;
    let mut agent = public.as_nobody(&ENOUGH, &["record", "web"]);
    refused(agent.env("DOCKER_HOST", &host), 1, &["permission denied on", &host, "group"]).map(drop)
}

#[test]
fn something_else_that_answers_is_not_taken_for_an_engine() -> Result<()> {
    let place = tempfile::tempdir()?;
    let socket = place.path().join("engine.sock");
    let listener = UnixListener::bind(&socket)?;
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        stream.write_all(b"220 mail.example ESMTP\r\n")
    });
    let host = format!("unix://{}", socket.display());
    let words = ["what answers at", &host, "is not a usable container engine"];
    refused(slim(&["record", "web"])?.env("DOCKER_HOST", &host), 1, &words)?;
    answering.join().ok().context("the stand-in panicked")??;
    Ok(())
}

#[test]
fn an_address_that_makes_no_sense_is_quoted_with_the_right_form() -> Result<()> {
    for (host, word) in
        [("nonsense", "no scheme"), ("gopher://x", "gopher"), ("ssh://root@far", "another host")]
    {
        let words = ["DOCKER_HOST=", host, word, "unix://"];
        refused(slim(&["record", "web"])?.env("DOCKER_HOST", host), 1, &words)?;
    }
    Ok(())
}

#[test]
fn a_docker_context_that_does_not_exist_is_named() -> Result<()> {
    let place = tempfile::tempdir()?;
    let mut agent = slim(&["record", "web"])?;
    agent.env_remove("DOCKER_HOST").env("DOCKER_CONFIG", place.path()).env("DOCKER_CONTEXT", "far-away");
    refused(&mut agent, 1, &["docker context \"far-away\"", "docker context ls"]).map(drop)
}

/// What a recording is worth that outlived the engine: it has what the container did before, meanwhile and after.
fn survives(with_return: bool) -> Result<()> {
    let script = "cat /etc/hostname; until [ -e /tmp/go ]; do sleep 0.1; done; cat /etc/debian_version";
    let container = Container::create(BASE, &[], &["sh", "-c", script])?;
    let mut proxy = Proxy::open()?;
    let mut recording = Recording::begin(&[container.name()], &[("DOCKER_HOST", &proxy.host())])?;
    proxy.cut();
    recording.says("recording goes on")?;
    if with_return {
        proxy.restore()?;
    }
    ensure!(recording.goes_on()?, "the recording ended with the engine:\n{}", recording.stderr()?);
    container.exec(&["touch", "/tmp/go"])?;
    let (outcome, manifest) = recording.end()?;
    expect(&outcome, 1, &["engine connection lost", "recording goes on", "stopped before COMMAND"])?;
    let manifest = manifest.context("there is no manifest")?;
    let files = &manifest["files"];
    ensure!(files["/etc/debian_version"].is_object(), "what was read after the loss is not in {files}");
    ensure!(
        manifest["recordings"].as_object().is_some_and(|all| all.values().all(|one| one["complete"] == true))
    );
    Ok(())
}

#[test]
fn a_recording_outlives_the_engine_and_ends_with_the_container() -> Result<()> {
    survives(false)
}

#[test]
fn a_recording_goes_on_when_the_engine_restarts() -> Result<()> {
    survives(true)
}

#[test]
fn a_recording_without_its_engine_still_ends_when_it_is_told_to() -> Result<()> {
    let container = Container::create(BASE, &[], &["sh", "-c", "cat /etc/debian_version; exec sleep 600"])?;
    let mut proxy = Proxy::open()?;
    let mut recording = Recording::begin(&[container.name()], &[("DOCKER_HOST", &proxy.host())])?;
    proxy.cut();
    recording.says("recording goes on")?;
    recording.signal("TERM")?;
    let (outcome, manifest) = recording.end()?;
    expect(&outcome, 0, &[])?;
    ensure!(manifest.is_some_and(|manifest| manifest["files"]["/etc/debian_version"].is_object()));
    Ok(())
}

#[test]
fn an_engine_that_is_gone_right_after_it_started_the_container_costs_nothing_of_the_recording() -> Result<()>
{
    let script = "until [ -e /tmp/go ]; do sleep 0.1; done; cat /etc/debian_version";
    let container = Container::create(BASE, &[], &["sh", "-c", script])?;
    let proxy = Proxy::that_is_gone_after_a_start()?;
    let mut recording = Recording::begin(&[container.name()], &[("DOCKER_HOST", &proxy.host())])?;
    recording.says("recording goes on until the cgroup is empty")?;
    container.exec(&["touch", "/tmp/go"])?;
    let (outcome, manifest) = recording.end()?;
    expect(&outcome, 1, &["cannot ask for the container that was started", "stopped before COMMAND"])?;
    ensure!(manifest.is_some_and(|manifest| manifest["files"]["/etc/debian_version"]["phases"][0] == "app"));
    Ok(())
}
