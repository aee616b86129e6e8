//! The Dockerfile that makes the slim image without us.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use slim_tests::{BASE, Container, Kind, Tag, Tree, agent, docker, image_tree, output};

use super::{built, exported, keeping};
use crate::main_job::{configs_are_equal, recorded};

/// The image that the classic builder makes of the context for `manifest`.
fn rebuilt(manifest: &Path) -> Result<Tag> {
    let (place, image) = (tempfile::tempdir()?, Tag::new("rebuilt"));
    let context = place.path().join("context");
    output(agent()?.args(["export", "dockerfile", "-o"]).arg(&context).arg(manifest))?;
    docker(&["build", "--no-cache", "--quiet", "--tag", image.name(), &context.to_string_lossy()])?;
    Ok(image)
}

/// Whether two images have the same paths, and the same entries at them.
fn same_entries(expected: &Tree, found: &Tree) -> Result<()> {
    let paths = |tree: &Tree| tree.iter().map(|(path, _)| path.to_path_buf()).collect::<BTreeSet<PathBuf>>();
    let (ours, theirs) = (paths(expected), paths(found));
    let difference: Vec<_> = ours.symmetric_difference(&theirs).collect();
    ensure!(difference.is_empty(), "only one of the images has {difference:?}");
    for (path, entry) in expected.iter() {
        ensure!(found.get(path) == Some(entry), "{}: {entry:?}, {:?}", path.display(), found.get(path));
    }
    Ok(())
}

#[test]
fn building_the_context_makes_the_slim_image() -> Result<()> {
    let job = recorded("nginx")?;
    let slim = Tag::new("nginx");
    exported(&job.manifest, &["--tag", slim.name()])?.expect(0)?;
    let image = rebuilt(&job.manifest)?;
    same_entries(&image_tree(slim.name())?, &image_tree(image.name())?)?;
    configs_are_equal(&job.image.tag(), image.name())?;
    job.image.check(&Container::run(image.name(), &[], &[])?)
}

#[test]
fn odd_entries_are_rebuilt_as_they_are() -> Result<()> {
    let image = built(
        "odd",
        &format!(
            r#"FROM {BASE}
RUN mkdir /srv/d && cd /srv/d && echo p > plain && chown 101:102 plain && echo s > su && chmod 6755 su && \
    echo w > "w[1]*?\$x \"q\" 's' \\b" && echo h > one && ln one two && ln -s one link && ln -s . loop && \
    mkfifo pipe && echo n > "$(printf 'new\nline')" && echo b > "$(printf 'bytes\377')" && mkdir empty && \
    touch -d 2001-01-01 plain su && chmod 1777 . && chown 7:8 . && touch -d 2002-02-02 .
ENV QUOTED='a "b" $c \d'
LABEL "some key"="some 'value'"
VOLUME ["/srv/v o l"]
WORKDIR /srv/d
HEALTHCHECK --interval=90s --retries=2 CMD test -f "/srv/d/plain" || exit 1
ENTRYPOINT ["/bin/cat", "/srv/d/w[1]*?$x \"q\" 's' \\b"]
"#
        ),
    )?;
    let tree = image_tree(image.name())?;
    let all = tree.iter().map(|(path, _)| path).filter(|path| path.starts_with("srv")).map(spelled);
    let all: Vec<String> = all.chain(["/bin/cat".to_owned()]).collect();
    let place = tempfile::tempdir()?;
    let manifest = keeping(place.path(), image.name(), &all.iter().map(String::as_str).collect::<Vec<_>>())?;
    let slim = Tag::new("odd");
    exported(&manifest, &["--tag", slim.name()])?.expect(0)?;
    let (slim_tree, image_of_file) = (image_tree(slim.name())?, rebuilt(&manifest)?);
    let found = image_tree(image_of_file.name())?;
    same_entries(&slim_tree, &found)?;
    ensure!(found.are_linked("srv/d/one".as_ref(), "srv/d/two".as_ref()), "hard links became files");
    let odd = found.iter().filter(|(path, _)| path.starts_with("srv/d")).count();
    ensure!(
        odd == 12 && found.get("srv/d/pipe").is_some_and(|pipe| pipe.kind == Kind::Fifo),
        "{odd} entries"
    );
    configs_are_equal(image.name(), image_of_file.name())?;
    super::prints(image_of_file.name(), &[], "w").context("its entrypoint")
}

/// A path as a manifest spells it.
fn spelled(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut text = String::from("/");
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', "\\\\"));
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}
