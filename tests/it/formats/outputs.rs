//! Engine, OCI layout and archive.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use slim_tests::{BASE, Container, Tag, docker, output, read_json, refused};

use super::{export, exported, id, keeping, prints};
use crate::main_job::recorded;

fn skopeo(args: &[&str]) -> Result<String> {
    output(Command::new("skopeo").args(["--insecure-policy"]).args(args)).context("skopeo: cargo xtask setup")
}

#[test]
fn an_oci_layout_and_an_archive_are_the_image_that_the_engine_has() -> Result<()> {
    let job = recorded("nginx")?;
    let place = tempfile::tempdir()?;
    let path = |name: &str| place.path().join(name).to_string_lossy().into_owned();
    let (loaded, copied) = (Tag::new("formats"), Tag::new("formats"));
    let (layout, archive) = (path("layout"), path("image.tar"));
    let outputs = ["--tag", loaded.name(), "--oci", &layout, "--archive", &archive];
    exported(&job.manifest, &outputs)?.expect(0)?;
    let expected = id(loaded.name())?;

    skopeo(&["copy", "--quiet", &format!("oci:{layout}:slim"), &format!("docker-daemon:{}", copied.name())])?;
    ensure!(id(copied.name())? == expected, "the layout holds another image");
    let container = Container::run(copied.name(), &[], &[])?;
    job.image.check(&container).context("the image from the layout")?;
    drop(container);

    docker(&["image", "rm", "--force", loaded.name()])?;
    docker(&["load", "--input", &archive])?;
    ensure!(id(loaded.name())? == expected, "the archive holds another image");
    let from_oci = path("copy");
    skopeo(&["copy", "--quiet", &format!("oci-archive:{archive}"), &format!("oci:{from_oci}")])?;
    let config = |dir: &str| -> Result<String> {
        let index = read_json(&Path::new(dir).join("index.json"))?;
        let digest = index["manifests"][0]["digest"].as_str().context("no manifest")?.replacen(':', "/", 1);
        let manifest = read_json(&Path::new(dir).join("blobs").join(digest))?;
        Ok(manifest["config"]["digest"].to_string())
    };
    ensure!(config(&from_oci)? == config(&layout)?, "as an OCI archive it is another image");

    // Again, onto itself and beside itself: the same bytes.
    let (again, other) = (path("again"), path("other.tar"));
    exported(&job.manifest, &["--name", loaded.name(), "--oci", &again, "--archive", &other])?.expect(0)?;
    exported(&job.manifest, &["--name", loaded.name(), "--oci", &layout])?.expect(0)?;
    output(Command::new("diff").args(["-r", &layout, &again]))?;
    output(Command::new("cmp").args([&archive, &other]))?;
    let names = fs::read_dir(place.path())?.count();
    ensure!(names == 5, "{names} files instead of 5: something was left behind");
    Ok(())
}

#[test]
fn an_archive_on_standard_output_is_loaded_by_the_engine() -> Result<()> {
    let (place, name) = (tempfile::tempdir()?, Tag::new("piped"));
    let manifest = keeping(place.path(), BASE, &["/bin/echo"])?;
    let mut agent = export(&manifest, &["--name", name.name(), "--archive", "-"])?;
    let mut agent = agent.stdout(Stdio::piped()).spawn()?;
    let archive = agent.stdout.take().context("no output")?;
    output(Command::new("docker").arg("load").stdin(archive))?;
    ensure!(agent.wait()?.success());
    prints(name.name(), &["echo", "here"], "here")
}

#[test]
fn an_archive_is_not_written_to_a_terminal() -> Result<()> {
    let place = tempfile::tempdir()?;
    let manifest = keeping(place.path(), BASE, &["/bin/true"])?;
    let agent = slim_tests::agent()?;
    let line = format!(
        "'{}' export image --archive - --explain /dev/null '{}'",
        agent.get_program().display(),
        manifest.display()
    );
    // script(1) gives the agent a terminal.
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).stdin(Stdio::null());
    let outcome = slim_tests::outcome(&mut script)?;
    let said = outcome.clone().expect(1)?;
    ensure!(said.contains("nothing for a terminal"), "{said}");
    Ok(())
}

#[test]
fn a_place_that_holds_something_else_is_left_alone() -> Result<()> {
    let place = tempfile::tempdir()?;
    let manifest = keeping(place.path(), BASE, &["/bin/true"])?;
    let dir = place.path().join("mine");
    fs::create_dir(&dir)?;
    fs::write(dir.join("file"), "precious")?;
    let dir = dir.to_string_lossy();
    refused(&mut export(&manifest, &["--oci", &dir])?, 1, &["something else", "new or empty"])?;
    ensure!(fs::read_to_string(place.path().join("mine/file"))? == "precious");
    let both = ["--archive", "-", "--explain", "-"];
    let mut agent = slim_tests::agent()?;
    agent.args(["export", "image"]).args(both).arg(&manifest);
    refused(&mut agent, 2, &["--archive - and --explain -"])?;
    refused(&mut export(&manifest, &[])?, 2, &["--tag", "--oci", "--archive", "--push"]).map(drop)
}
