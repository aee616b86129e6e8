//! Manifests that cannot be used, and images that cannot be had.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use slim_tests::{Tag, docker, manifest, outcome, read_json, refused, told, unique, write_json};

use super::{BASE, slim};

/// Every command that reads manifests, reading `manifests`, must refuse them with 1 and these words.
fn refused_everywhere(manifests: &[&Path], words: &[&str]) -> Result<()> {
    let place = tempfile::tempdir()?;
    for command in [&["merge"][..], &["export", "seccomp"], &["export", "image", "--tag", "never:made"]] {
        let mut agent = slim(command)?;
        agent.args(manifests).current_dir(place.path());
        refused(&mut agent, 1, words).with_context(|| format!("{command:?}"))?;
    }
    let left: Vec<_> = std::fs::read_dir(place.path())?.collect();
    ensure!(left.is_empty(), "something was left behind: {left:?}");
    Ok(())
}

#[test]
fn what_is_no_manifest_is_refused_with_the_reason() -> Result<()> {
    let place = tempfile::tempdir()?;
    let whole = manifest("sha256:aa", &["/etc/passwd"]).to_string();
    let cases: [(&str, &str, &str); 6] = [
        ("cut.json", &whole[..whole.len() / 2], "it is cut off"),
        ("empty.json", "", "it is cut off"),
        ("text.json", "# not JSON\n", "it is not a JSON object"),
        ("other.json", "{\"files\": []}", "is it another tool's file?"),
        ("newer.json", &whole.replace("manifest/1", "manifest/2"), "its schema is slim-agent/manifest/2"),
        ("odd.json", &whole.replace("\"open\"", "\"devour\""), "it does not follow its schema"),
    ];
    for (name, content, word) in cases {
        let path = place.path().join(name);
        std::fs::write(&path, content)?;
        refused_everywhere(&[&path], &[name, "is not a usable manifest", word])?;
    }
    refused_everywhere(&[&place.path().join("absent.json")], &["cannot open manifest", "absent.json"])?;
    refused_everywhere(&[place.path()], &["cannot read manifest"])
}

#[test]
fn manifests_of_different_images_are_refused_with_both_ids() -> Result<()> {
    let place = tempfile::tempdir()?;
    let mut bare = manifest("sha256:aa", &[]);
    bare["image"] = json!(null);
    let one = write_json(place.path(), "one.json", &manifest("sha256:aa", &[]))?;
    let other = write_json(place.path(), "other.json", &manifest("sha256:bb", &[]))?;
    let bare = write_json(place.path(), "bare.json", &bare)?;
    refused_everywhere(&[&one, &other], &["one.json", "other.json", "sha256:aa", "sha256:bb"])?;
    refused_everywhere(&[&one, &bare], &["bare.json", "sha256:aa", "a bare cgroup"])
}

#[test]
fn a_manifest_of_a_bare_cgroup_needs_to_be_told_its_image() -> Result<()> {
    let place = tempfile::tempdir()?;
    let mut bare = manifest("", &["/etc/debian_version"]);
    bare["image"] = json!(null);
    let bare = write_json(place.path(), "bare.json", &bare)?.to_string_lossy().into_owned();
    let tag = Tag::new("bare");
    let export = ["export", "image", &bare, "--tag", tag.name()];
    refused(slim(&export)?.current_dir(place.path()), 2, &["bare cgroup", "--image"])?;
    told(slim(&export)?.args(["--image", BASE]).current_dir(place.path()), 0, &[tag.name()]).map(drop)
}

#[test]
fn an_incomplete_recording_is_exported_only_when_that_is_accepted() -> Result<()> {
    let place = tempfile::tempdir()?;
    let image = docker(&["image", "inspect", "--format", "{{.Id}}", BASE])?;
    let mut incomplete = manifest(&image, &["/etc/debian_version"]);
    let recording = &mut incomplete["recordings"]["0123456789abcdef"];
    recording["complete"] = json!(false);
    recording["startup_observed"] = json!(false);
    recording["incomplete"] = json!(["7 records were lost"]);
    let path = write_json(place.path(), "m.json", &incomplete)?.to_string_lossy().into_owned();
    let tag = Tag::new("incomplete");
    let words = ["--allow-incomplete", "start-up was not observed", "7 records were lost"];
    for export in [&["export", "seccomp"][..], &["export", "image", "--tag", tag.name()]] {
        refused(slim(export)?.arg(&path).current_dir(place.path()), 4, &words)?;
        let mut agent = slim(export)?;
        told(agent.args([&path, "--allow-incomplete"]).current_dir(place.path()), 0, &words[1..])?;
    }
    Ok(())
}

#[test]
fn an_image_that_is_gone_is_named_with_where_it_came_from() -> Result<()> {
    let place = tempfile::tempdir()?;
    let tag = Tag::new("gone");
    std::fs::write(place.path().join("Dockerfile"), format!("FROM {BASE}\nLABEL t={}\n", unique("label")))?;
    docker(&["build", "--quiet", "--tag", tag.name(), &place.path().to_string_lossy()])?;
    let container = slim_tests::Container::create(tag.name(), &[], &["true"])?;
    let path = place.path().join("m.json").to_string_lossy().into_owned();
    told(&mut slim(&["record", container.name(), "-o", &path])?, 0, &[])?;
    let id = read_json(Path::new(&path))?["image"]["id"].as_str().context("no image id")?.to_owned();
    drop(container);
    docker(&["image", "rm", tag.name()])?;
    let mut agent = slim(&["export", "image", &path, "--tag", "never:made"])?;
    let words = ["cannot get the image that was recorded", &id, tag.name(), "recorded anew"];
    refused(agent.current_dir(place.path()), 1, &words)?;
    // A profile needs no image.
    told(&mut slim(&["export", "seccomp", &path])?, 0, &[]).map(drop)
}

#[test]
fn a_manifest_cannot_write_escape_codes_to_the_terminal() -> Result<()> {
    let place = tempfile::tempdir()?;
    let mut hostile = manifest("sha256:aa", &[]);
    hostile["recordings"]["0123456789abcdef"]["incomplete"] = json!(["\u{1b}]0;owned\u{7} lost"]);
    let path = write_json(place.path(), "m.json", &hostile)?.to_string_lossy().into_owned();
    for extra in [&[][..], &["--allow-incomplete"]] {
        let said = outcome(slim(&["export", "seccomp", &path])?.args(extra))?;
        ensure!(said.stderr.contains("owned"), "the reason is not said: {}", said.stderr);
        ensure!(!said.stderr.contains(['\u{1b}', '\u{7}']), "escape codes pass: {:?}", said.stderr);
    }
    Ok(())
}
