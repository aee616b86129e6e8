//! Suites: an image does again what was recorded, and what two recordings saw together. What becomes of work that was
//! not recorded is measured by `cargo xtask table`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use slim_tests::{
    Container, Corpus, Manifest, Tag, agent, corpus, export_image, export_seccomp, output, record,
};
use tempfile::{TempDir, tempdir};

fn recorded(image: &Corpus, suite: &Path, place: &TempDir, name: &str) -> Result<PathBuf> {
    let manifest = place.path().join(name);
    let container = Container::create(&image.tag(), &[], &[])?;
    record(&[container.name()], &manifest, suite)?.expect(0)?;
    Manifest::read(&manifest)?.whole()?;
    Ok(manifest)
}

/// A container of the image made from a manifest, under the profile made from it.
fn slim(manifest: &Path, tag: &Tag) -> Result<Container> {
    export_image(manifest, tag.name(), &[])?.expect(0)?;
    let profile = format!("seccomp={}", export_seccomp(manifest)?.display());
    Container::run(tag.name(), &["--security-opt", &profile], &[])
}

fn does_again_what_was_recorded(name: &str) -> Result<()> {
    let (image, place, tag) = (corpus(name)?, tempdir()?, Tag::new(name));
    let manifest = recorded(&image, &image.suite_a(), &place, "a.json")?;
    image.passes(&image.suite_a(), &slim(&manifest, &tag)?)
}

#[test]
fn a_redis_recorded_under_its_benchmark_does_that_again_under_its_own_profile() -> Result<()> {
    does_again_what_was_recorded("redis")
}

#[test]
fn a_postgres_recorded_under_its_benchmark_does_that_again_under_its_own_profile() -> Result<()> {
    does_again_what_was_recorded("postgres")
}

#[test]
fn an_image_of_two_recordings_does_what_each_of_them_saw_and_one_alone_does_not() -> Result<()> {
    let (image, place) = (corpus("switch")?, tempdir()?);
    let a = recorded(&image, &image.suite_a(), &place, "a.json")?;
    let b = recorded(&image, &image.suite_b(), &place, "b.json")?;
    let (of_a, of_both) = (Tag::new("of-a"), Tag::new("of-both"));
    let refusal = image.passes(&image.suite_b(), &slim(&a, &of_a)?);
    ensure!(refusal.is_err_and(|error| format!("{error:#}").contains("not ok report of date")));

    let both = place.path().join("both.json");
    output(agent()?.arg("merge").args([&a, &b]).arg("-o").arg(&both)).context("merging")?;
    let container = slim(&both, &of_both)?;
    image.passes(&image.suite_a(), &container)?;
    image.passes(&image.suite_b(), &container)
}
