//! A registry: the image is pushed, and the engine pulls and runs it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use slim_tests::{BASE, Container, LOCAL, PAIR, PASSWORD, Registry, Tokens, USER, docker, refused};

use super::{export, exported, id, keeping, prints};
use crate::main_job::recorded;

/// An image that the engine pulled; it is removed when this goes out of scope.
struct Pulled(String);

impl Pulled {
    fn new(name: String) -> Result<Self> {
        docker(&["pull", "--quiet", &name])?;
        Ok(Self(name))
    }
}

impl Drop for Pulled {
    fn drop(&mut self) {
        let _absent = docker(&["image", "rm", "--force", &self.0]);
    }
}

#[test]
fn what_is_pushed_is_pulled_and_passes_its_check() -> Result<()> {
    let (job, registry) = (recorded("nginx")?, Registry::open()?);
    let name = registry.image("team/nginx:slim");
    let said = exported(&job.manifest, &["--push", &name, "--format", "json"])?.expect(0)?;
    let report: serde_json::Value = serde_json::from_str(&said)?;
    let pulled = Pulled::new(name)?;
    ensure!(report["image"] == id(&pulled.0)?.as_str(), "{report}");
    let digest = docker(&["image", "inspect", "--format", "{{index .RepoDigests 0}}", &pulled.0])?;
    let written = report["written"][0]["digest"].as_str().context("no digest")?;
    ensure!(digest.ends_with(written), "pushed as {written}, pulled as {digest}");
    job.image.check(&Container::run(&pulled.0, &[], &[])?)
}

#[test]
fn a_blob_that_the_registry_has_is_not_sent_again() -> Result<()> {
    let (place, registry) = (tempfile::tempdir()?, Registry::open()?);
    let manifest = keeping(place.path(), BASE, &["/bin/true"])?;
    for tag in ["a/b:1", "a/b:2"] {
        exported(&manifest, &["--push", &registry.image(tag)])?.expect(0)?;
        ensure!(registry.uploads()? == 2, "expected a layer and a config, found {}", registry.uploads()?);
    }
    Ok(())
}

#[test]
fn a_login_is_taken_from_the_configuration_of_the_docker_command() -> Result<()> {
    let (place, registry) = (tempfile::tempdir()?, Registry::with_login()?);
    let manifest = keeping(place.path(), BASE, &["/bin/true"])?;
    let name = registry.image("private:slim");
    let push = |config: &Path| -> Result<_> {
        let mut agent = export(&manifest, &["--push", &name])?;
        agent.env("DOCKER_CONFIG", config);
        Ok(agent)
    };
    let nobody = registry.config("nobody", "{}")?;
    refused(&mut push(&nobody)?, 1, &["nobody is logged in", "docker login 127.0.0.1"])?;
    let stranger = registry.login("dGVzdGVyOndyb25n")?;
    refused(&mut push(&stranger)?, 1, &["refuses access (as tester)", "docker login 127.0.0.1"])?;
    let pushed = slim_tests::outcome(push(&registry.login(PAIR)?)?.env("RUST_LOG", "trace"))?;
    // What the HTTP client logs at this level has the password in it.
    ensure!(!pushed.stderr.contains("ureq_proto"), "{}", pushed.stderr);
    pushed.expect(0).map(drop)
}

#[test]
fn a_login_is_taken_from_a_keychain() -> Result<()> {
    let (place, registry) = (tempfile::tempdir()?, Registry::with_login()?);
    let manifest = keeping(place.path(), BASE, &["/bin/true"])?;
    let helper = place.path().join("docker-credential-test");
    let answer = format!("{{\"Username\":\"{USER}\",\"Secret\":\"{PASSWORD}\"}}");
    fs::write(
        &helper,
        format!("#!/bin/sh\nread -r server\necho \"$1 $server\" > \"$0.asked\"\necho '{answer}'\n"),
    )?;
    fs::set_permissions(&helper, Permissions::from_mode(0o755))?;
    let config = registry.config("keychain", "{\"credsStore\": \"test\"}")?;
    let name = registry.image("private:slim");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut agent = export(&manifest, &["--push", &name])?;
    agent.env("DOCKER_CONFIG", config).env("PATH", format!("{}:{path}", place.path().display()));
    slim_tests::output(&mut agent)?;
    let asked = fs::read_to_string(place.path().join("docker-credential-test.asked"))?;
    ensure!(asked.trim_end() == format!("get {}", name.split('/').next().unwrap_or_default()), "{asked}");
    Ok(())
}

#[test]
fn a_token_is_fetched_where_the_registry_says() -> Result<()> {
    let (place, tokens) = (tempfile::tempdir()?, Tokens::serve()?);
    let registry = Registry::start(LOCAL, |_| Ok(tokens.config()))?;
    let manifest = keeping(place.path(), BASE, &["/bin/true"])?;
    let name = registry.image("team/app:slim");
    let push = |config: &Path| -> Result<_> {
        let mut agent = export(&manifest, &["--push", &name])?;
        agent.env("DOCKER_CONFIG", config);
        Ok(agent)
    };
    refused(&mut push(&registry.config("nobody", "{}")?)?, 1, &["nobody is logged in", "docker login"])?;
    slim_tests::output(&mut push(&registry.login(PAIR)?)?)?;
    let asked = tokens.asked()?;
    ensure!(asked.contains("scope=repository%3Ateam%2Fapp%3Apull%2Cpush"), "{asked}");
    Ok(())
}

#[test]
fn a_certificate_is_checked_against_those_that_the_host_trusts() -> Result<()> {
    let place = tempfile::tempdir()?;
    let (registry, signer) = Registry::with_certificate()?;
    let manifest = keeping(place.path(), BASE, &["/bin/true"])?;
    let push = || export(&manifest, &["--push", &registry.image("a/b:1")]);
    refused(&mut push()?, 1, &["cannot talk to registry", "certificate", "SSL_CERT_FILE"])?;
    slim_tests::output(push()?.env("SSL_CERT_FILE", signer)).map(drop)
}

#[test]
fn a_registry_that_is_not_there_is_noticed_before_the_work() -> Result<()> {
    let place = tempfile::tempdir()?;
    let manifest = keeping(place.path(), BASE, &["/bin/true"])?;
    let name = format!("127.0.0.1:{}/x:slim", slim_tests::free_port()?);
    refused(&mut export(&manifest, &["--push", &name])?, 1, &["cannot talk to registry 127.0.0.1", "refused"])
        .map(drop)
}

#[test]
fn a_pushed_image_with_several_layers_runs() -> Result<()> {
    let (place, registry) = (tempfile::tempdir()?, Registry::open()?);
    let image = super::built("pushed", &format!("FROM {BASE}\nRUN echo there > /srv/word\n"))?;
    let manifest = keeping(place.path(), image.name(), &["/bin/cat", "/srv/word"])?;
    let name = registry.image("layers:slim");
    exported(&manifest, &["--push", &name, "--layers", "keep"])?.expect(0)?;
    prints(&Pulled::new(name)?.0, &["cat", "/srv/word"], "there")
}
