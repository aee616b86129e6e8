//! What an export keeps is what the original has, field by field, whatever that is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use slim_tests::random_image::{Layer, layers, load};
use slim_tests::{Tag, agent, docker, escaped, image_tree, kept_entries_equal, manifest, output, write_json};

/// Real engines take a second for each image.
const CASES: u32 = 6;

#[test]
fn whatever_an_image_holds_is_kept_as_it_is() -> Result<()> {
    let config = ProptestConfig {
        cases: CASES,
        max_shrink_iters: 12,
        failure_persistence: None,
        ..Default::default()
    };
    let chosen = prop::collection::vec(any::<bool>(), 1..12);
    let property = |(layers, chosen): (Vec<Layer>, Vec<bool>)| {
        survives(&layers, &chosen).map_err(|error| TestCaseError::fail(format!("{error:#}")))
    };
    Ok(TestRunner::new(config).run(&(layers(), chosen), property)?)
}

fn survives(layers: &[Layer], chosen: &[bool]) -> Result<()> {
    let original = load(layers)?;
    let fat = image_tree(original.name())?;
    let kept: Vec<PathBuf> = fat
        .iter()
        .zip(chosen.iter().cycle())
        .filter(|&(_, &keep)| keep)
        .map(|((path, _), _)| Path::new("/").join(path))
        .collect();
    let place = tempfile::tempdir()?;
    let id = docker(&["image", "inspect", "--format", "{{.Id}}", original.name()])?;
    let part = |name: &str, of: usize| {
        let paths: Vec<_> = kept.iter().skip(of).step_by(2).map(|path| escaped(path)).collect();
        write_json(place.path(), name, &manifest(&id, &paths.iter().map(String::as_str).collect::<Vec<_>>()))
    };
    let (one, other) = (part("one.json", 0)?, part("other.json", 1)?);
    let (slim, again) = (Tag::new("fidelity"), Tag::new("fidelity"));
    let first = export(&[&one, &other], &slim, place.path())?;
    let second = export(&[&other, &one], &again, place.path())?;
    ensure!(first == second, "the order of the manifests makes {first} or {second}");
    let tree = image_tree(slim.name())?;
    let missing: Vec<_> = kept.iter().filter(|path| tree.get(path).is_none()).collect();
    ensure!(missing.is_empty(), "not kept: {missing:?}");
    kept_entries_equal(&fat, &tree, &|_| false)?;
    configs_agree(&original, &slim)
}

/// Exports what is in the manifests; the id of the image.
fn export(manifests: &[&Path], tag: &Tag, place: &Path) -> Result<String> {
    let explanation = place.join("plan.json");
    let mut command = agent()?;
    command.args(["export", "image", "--tag", tag.name(), "--format", "json", "--explain"]).arg(explanation);
    let report: Value = serde_json::from_str(&output(command.args(manifests))?)?;
    report["image"].as_str().map(str::to_owned).context("the report names no image")
}

fn configs_agree(original: &Tag, slim: &Tag) -> Result<()> {
    let known = |tag: &Tag| -> Result<Value> {
        let text = docker(&["image", "inspect", "--format", "{{json .}}", tag.name()])?;
        let mut all: Value = serde_json::from_str(&text)?;
        // What is about the layers, and what the engine notes of its own.
        for name in ["Id", "RepoTags", "Size", "VirtualSize", "RootFS", "GraphDriver", "Metadata", "Comment"]
        {
            all[name] = json!(null);
        }
        Ok(all)
    };
    let (fat, slim) = (known(original)?, known(slim)?);
    let fields: BTreeSet<_> =
        [&fat, &slim].iter().flat_map(|all| all.as_object()).flat_map(|all| all.keys()).collect();
    for field in fields {
        ensure!(fat[field] == slim[field], "{field} was {}, and is {}", fat[field], slim[field]);
    }
    Ok(())
}
