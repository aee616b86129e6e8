//! What is not shared, and what is not believed.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use slim_tests::{
    Registry, Repository, SmallImage, free_port, manifest, outcome, output, refused, told, write_json,
};

use super::{ARTIFACT, Team, of_base};

/// Where docker-registry has the bytes of a blob.
fn blob(registry: &Registry, digest: &str) -> PathBuf {
    let digits = digest.trim_start_matches("sha256:");
    registry.data().join("blobs/sha256").join(&digits[..2]).join(digits).join("data")
}

#[test]
fn a_login_is_needed_where_the_registry_wants_one() -> Result<()> {
    let team = Team::new(Registry::with_login()?)?;
    let file = of_base(team.place.path(), "/etc/passwd")?;
    let place = team.registry.image("private/app");
    let nobody = team.registry.config("nobody", "{}")?;
    let words = ["nobody is logged in", "docker login 127.0.0.1"];
    let push = ["push", "base.json", place.as_str()];
    refused(team.slim(&push)?.env("DOCKER_CONFIG", &nobody), 1, &words)?;
    output(&mut team.slim(&push)?)?;
    refused(team.slim(&["pull", &place])?.env("DOCKER_CONFIG", &nobody), 1, &words)?;
    let union = fs::read(&file)?;
    ensure!(
        serde_json::from_slice::<serde_json::Value>(&team.pulled(&place, &[])?)?
            == serde_json::from_slice::<serde_json::Value>(&union)?
    );
    Ok(())
}

/// A repository with three good artifacts, of which some are then spoilt.
fn spoilt(team: &Team) -> Result<(Repository, SmallImage, Vec<String>)> {
    let repository = team.repository("team/app");
    let image = repository.put_image("1", "app")?;
    for file in team.nodes(&image, 3)? {
        team.run(&["push", &file, &format!("{}:1", repository.place)])?.expect(0)?;
    }
    let tags = repository.artifacts()?;
    Ok((repository, image, tags))
}

#[test]
fn what_was_changed_in_the_registry_is_left_out_and_named() -> Result<()> {
    let team = Team::new(Registry::open()?)?;
    let (repository, image, tags) = spoilt(&team)?;
    let first = repository.json(&format!("manifests/{}", tags[0]))?;
    let layer = first["layers"][0]["digest"].as_str().context("no layer")?;
    let path = blob(&team.registry, layer);
    let bytes = fs::read_to_string(&path)?;
    fs::write(&path, bytes.replace("/common", "/hidden"))?;
    let pull = ["pull", &format!("{}:1", repository.place), "-o", "pulled.json"];
    let found = told(&mut team.slim(&pull)?, 4, &["left out", "its recordings are not sha256:"])?;
    let rest: serde_json::Value = serde_json::from_slice(&fs::read(team.file("pulled.json"))?)?;
    ensure!(rest["recordings"].as_object().is_some_and(|all| all.len() == 2), "{}", found.stderr);
    ensure!(rest["image"]["id"] == image.id.as_str());
    // Cut off, then gone.
    fs::write(&path, &bytes[..bytes.len() / 2])?;
    told(&mut team.slim(&pull)?, 4, &["left out", "bytes that it says"])?;
    fs::remove_file(&path)?;
    told(&mut team.slim(&pull)?, 4, &["left out", "does not have its recordings"])?;
    Ok(())
}

#[test]
fn what_lies_about_itself_is_left_out_and_named() -> Result<()> {
    let team = Team::new(Registry::open()?)?;
    let (repository, image, tags) = spoilt(&team)?;
    let good = repository.json(&format!("manifests/{}", tags[0]))?;
    let of_other = manifest(&format!("sha256:{}", "b".repeat(64)), &["/x"]).to_string();
    let newer = image.recorded(7)?.to_string().replace("manifest/1", "manifest/2");
    let mut artifacts = Vec::new();
    for content in ["not JSON", of_other.as_str(), newer.as_str()] {
        let mut artifact = good.clone();
        let digest = repository.put_blob(content)?;
        artifact["layers"] = json!([{ "mediaType": ARTIFACT, "digest": digest, "size": content.len() }]);
        let digest = repository.put("bad", "application/vnd.oci.image.manifest.v1+json", &artifact)?;
        artifacts.push(json!({ "mediaType": artifact["mediaType"], "artifactType": ARTIFACT, "digest": digest, "size": 1 }));
    }
    // A tag that leads to another artifact now, and a list with what is not there.
    let moved: String = format!("{}{}", &tags[1][..tags[1].len() - 32], "0".repeat(32));
    repository.put(&moved, "application/vnd.oci.image.manifest.v1+json", &good)?;
    let list = json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": artifacts });
    repository.put(&image.digest.replace(':', "-"), "application/vnd.oci.image.index.v1+json", &list)?;
    let words = [
        "it is not a JSON object",
        "it says that it is of image",
        "its schema is slim-agent/manifest/2",
        "what its tag names was replaced",
    ];
    let pull = ["pull", &format!("{}:1", repository.place), "-o", "pulled.json"];
    told(&mut team.slim(&pull)?, 4, &words)?;
    let rest: serde_json::Value = serde_json::from_slice(&fs::read(team.file("pulled.json"))?)?;
    ensure!(rest["recordings"].as_object().is_some_and(|all| all.len() == 3), "{rest}");
    Ok(())
}

#[test]
fn what_is_here_stays_as_it_is_when_a_pull_fails() -> Result<()> {
    let team = Team::new(Registry::open()?)?;
    let file = of_base(team.place.path(), "/etc/passwd")?;
    let before = fs::read(&file)?;
    let gone = format!("127.0.0.1:{}/team/app", free_port()?);
    refused(&mut team.slim(&["pull", &gone, "--merge", "base.json"])?, 1, &["cannot pull from", "refused"])?;
    refused(&mut team.slim(&["push", "base.json", &gone])?, 1, &["cannot push to", "refused"])?;
    let empty = team.registry.image("team/app");
    refused(&mut team.slim(&["pull", &empty, "-o", "new.json"])?, 1, &["has no recordings"])?;
    refused(&mut team.slim(&["pull", &format!("{empty}:1"), "--merge", "base.json"])?, 1, &["has no 1"])?;
    ensure!(fs::read(&file)? == before && !team.file("new.json").exists(), "something was written");
    Ok(())
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_sent() -> Result<()> {
    let team = Team::new(Registry::open()?)?;
    of_base(team.place.path(), "/etc/passwd")?;
    let mut bare = manifest("sha256:aa", &[]);
    write_json(team.place.path(), "odd.json", &bare)?;
    bare["image"] = json!(null);
    write_json(team.place.path(), "bare.json", &bare)?;
    let repository = team.repository("team/app");
    let place = repository.place.as_str();
    repository.put_image("other", "other")?;
    for (args, code, word) in [
        (&["push", "bare.json", place][..], 2, "of a bare cgroup"),
        (&["push", "odd.json", place], 1, "no id that can be shared"),
        (&["push", "base.json", "team/app"], 2, "names no registry"),
        (&["push", "base.json", place, "--subject", "absent"], 1, "has no absent"),
        (&["push", "base.json", place, "--subject", "other"], 1, "is another image"),
        (&["push", "absent.json", place], 1, "cannot open manifest"),
        (&["pull", place, "--format", "json"], 2, "both want standard output"),
        (&["pull", place, "--merge", "bare.json"], 2, "of a bare cgroup"),
    ] {
        refused(&mut team.slim(args)?, code, &[word]).with_context(|| format!("{args:?}"))?;
    }
    let uploads = team.registry.uploads()?;
    ensure!(uploads == 1, "expected only the other image's config, found {uploads}");
    // Standard input is a manifest, too.
    let base = fs::File::open(team.file("base.json"))?;
    outcome(team.slim(&["push", "-", place])?.stdin(base))?.expect(0).map(drop)
}
