//! Manifests and images made to read the host's files: an export holds what is in the image, and nothing else.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use slim_tests::{Tag, Tree, docker, image_tree, manifest, output, refused, told, write_json};
use tempfile::TempDir;

use super::{slim, slim_after};

const SECRET: &str = "only the host has this";

/// A file of the host's, and an image with symbolic links that would lead there if they were followed on the host.
struct Trap {
    host: TempDir,
    image: Tag,
    id: String,
}

impl Trap {
    fn set() -> Result<Self> {
        let host = tempfile::tempdir()?;
        fs::write(host.path().join("secret"), SECRET)?;
        let root = tempfile::tempdir()?;
        fs::create_dir(root.path().join("etc"))?;
        fs::write(root.path().join("etc/own"), "the image's own")?;
        symlink(host.path(), root.path().join("absolute"))?;
        symlink(format!("../../../../../../..{}", host.path().display()), root.path().join("etc/climbing"))?;
        symlink("/proc/1/root", root.path().join("magic"))?;
        symlink("loop", root.path().join("loop"))?;
        let archive = host.path().join("layer.tar");
        output(Command::new("tar").arg("-C").arg(root.path()).arg("-cf").arg(&archive).arg("."))?;
        let image = Tag::new("trap");
        let id = docker(&[
            "import",
            "--change",
            "CMD [\"/absolute/secret\"]",
            &archive.to_string_lossy(),
            image.name(),
        ])?;
        Ok(Self { host, image, id })
    }

    /// Every spelling by which a manifest could ask for the secret.
    fn requests(&self) -> Vec<String> {
        let secret = format!("{}/secret", self.host.path().display());
        let plain =
            ["/etc/own", "/absolute/secret", "/etc/climbing/secret", "/loop", "/loop/x", "", "/", "relative"];
        let mut requests: Vec<String> = plain.map(str::to_owned).into();
        requests.extend([
            secret.clone(),
            format!("/../..{secret}"),
            format!("/etc/../../..{secret}"),
            format!("/magic{secret}"),
            format!("/proc/self/root{secret}"),
            format!("../../../..{secret}"),
            format!("/{}", "x/".repeat(3000)),
            "/etc/nul\\x00byte".to_owned(),
        ]);
        requests
    }

    /// Exports with `agent`, which has the arguments of an export except the manifest and the tag.
    fn export(&self, mut agent: Command) -> Result<Tree> {
        let place = tempfile::tempdir()?;
        let requests = self.requests();
        let requests: Vec<&str> = requests.iter().map(String::as_str).collect();
        let path = write_json(place.path(), "m.json", &manifest(&self.id, &requests))?;
        let tag = Tag::new("trapped");
        told(agent.arg(&path).args(["--tag", tag.name()]).current_dir(place.path()), 0, &[])?;
        image_tree(tag.name())
    }
}

fn only_its_own(fat: &Tree, slim: &Tree, host: &Path) -> Result<()> {
    slim_tests::kept_entries_equal(fat, slim, &|_| false)?;
    ensure!(slim.get("/etc/own").is_some(), "what the image has is not kept");
    let secret = slim.get(host.join("secret"));
    ensure!(secret.is_none(), "the host's file is in the image: {secret:?}");
    Ok(())
}

#[test]
fn links_and_names_that_leave_the_image_bring_nothing_of_the_host() -> Result<()> {
    let trap = Trap::set()?;
    let slimmed = trap.export(slim(&["export", "image"])?)?;
    only_its_own(&image_tree(trap.image.name())?, &slimmed, trap.host.path())
}

#[test]
fn the_saved_archive_is_as_tight_as_the_layers_in_place() -> Result<()> {
    let trap = Trap::set()?;
    let root = docker(&["info", "--format", "{{.DockerRootDir}}"])?;
    // Where the engine's storage cannot be seen, its archive is the only way.
    let agent = slim_after(&format!("mount -t tmpfs none '{root}'"), &["export", "image"])?;
    let slimmed = trap.export(agent)?;
    only_its_own(&image_tree(trap.image.name())?, &slimmed, trap.host.path())
}

#[test]
fn an_image_id_that_is_none_makes_no_request() -> Result<()> {
    let place = tempfile::tempdir()?;
    for id in ["../containers/json?all=1#", "sha256:../../_ping", "", "x y"] {
        let path = write_json(place.path(), "m.json", &manifest(id, &[]))?;
        let mut agent = slim(&["export", "image", "--tag", "never:made"])?;
        refused(agent.arg(&path).current_dir(place.path()), 1, &["is not an image's name or id"])
            .with_context(|| format!("{id:?}"))?;
    }
    Ok(())
}
