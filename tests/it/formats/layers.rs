//! Layers that are kept, and images on another base.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use slim_tests::{BASE, Tag, Tree, image_tree, kept_entries_equal, refused};

use super::{built, export, exported, id, keeping, layers, prints};

fn paths(tree: &Tree) -> BTreeSet<PathBuf> {
    tree.iter().map(|(path, _)| path.to_path_buf()).collect()
}

#[test]
fn images_that_share_a_base_share_what_is_kept_of_it() -> Result<()> {
    let base = built(
        "base",
        &format!(
            "FROM {BASE}\nRUN mkdir /srv/lib && echo common > /srv/lib/common && echo old > /srv/lib/own && \
             ln /srv/lib/common /srv/lib/linked && chmod 1777 /srv/lib && echo no > /srv/lib/gone\n"
        ),
    )?;
    let one = format!(
        "FROM {}\nRUN echo one > /srv/lib/own && rm /srv/lib/gone && chmod 0755 /srv/lib\n",
        base.name()
    );
    let two = format!(
        "FROM {}\nRUN mkdir /srv/more && echo two > /srv/more/own\nRUN rm -r /srv/lib/gone\n",
        base.name()
    );
    let mut shared = Vec::new();
    for (lines, own) in [(one, "/srv/lib/own"), (two, "/srv/more/own")] {
        let (place, image) = (tempfile::tempdir()?, built("app", &lines)?);
        let kept = ["/bin/cat", "/srv/lib/common", "/srv/lib/linked", own];
        let manifest = keeping(place.path(), image.name(), &kept)?;
        let (merged, kept) = (Tag::new("merged"), Tag::new("kept"));
        exported(&manifest, &["--tag", merged.name()])?.expect(0)?;
        exported(&manifest, &["--tag", kept.name(), "--layers", "keep"])?.expect(0)?;
        let (merged, tree) = (image_tree(merged.name())?, image_tree(kept.name())?);
        kept_entries_equal(&image_tree(image.name())?, &tree, &|_| false)?;
        kept_entries_equal(&merged, &tree, &|_| false)?;
        ensure!(paths(&merged) == paths(&tree), "one layer and several differ in what is kept");
        ensure!(tree.are_linked("srv/lib/common".as_ref(), "srv/lib/linked".as_ref()));
        prints(kept.name(), &["cat", own], if own.contains("more") { "two" } else { "one" })?;
        shared.push(layers(kept.name())?);
    }
    // The base's two layers; the second image has one more that is only a directory's times.
    ensure!(shared[0][..2] == shared[1][..2], "the layers of the base differ: {shared:?}");
    ensure!(shared[0][2] != shared[1][2]);
    Ok(())
}

#[test]
fn what_the_base_has_is_not_there_twice_and_what_it_has_otherwise_is_replaced() -> Result<()> {
    let base = built("under", &format!("FROM {BASE}\nRUN echo base > /srv/both && echo mine > /srv/mine\n"))?;
    let image = built("over", &format!("FROM {BASE}\nRUN echo image > /srv/both && echo new > /srv/new\n"))?;
    let (place, slim) = (tempfile::tempdir()?, Tag::new("on"));
    let manifest = keeping(place.path(), image.name(), &["/bin/cat", "/srv/both", "/srv/new"])?;
    exported(&manifest, &["--tag", slim.name(), "--base", base.name()])?.expect(0)?;
    let (own, below) = (layers(slim.name())?, layers(base.name())?);
    ensure!(own[..below.len()] == below[..] && own.len() == below.len() + 1, "{own:?} on {below:?}");
    prints(slim.name(), &["cat", "/srv/both", "/srv/mine", "/srv/new"], "image\nmine\nnew")?;
    let history = slim_tests::docker(&["history", "--format", "{{.Size}} {{.CreatedBy}}", slim.name()])?;
    let top = history.lines().next().context("no history")?;
    ensure!(
        top.contains("slim-agent") && top.ends_with('e') && top.starts_with("10B"),
        "more than two files: {history}"
    );
    Ok(())
}

#[test]
fn a_base_with_another_layout_of_directories_is_refused() -> Result<()> {
    let (place, image) = (tempfile::tempdir()?, BASE);
    // /bin is a link here, and a directory there.
    let base =
        built("split", &format!("FROM {BASE} AS full\nFROM scratch\nCOPY --from=full /bin/cat /bin/cat\n"))?;
    let manifest = keeping(place.path(), image, &["/bin/cat"])?;
    let (tag, before) = (Tag::new("refused"), id(image)?);
    let mut agent = export(&manifest, &["--tag", tag.name(), "--base", base.name()])?;
    refused(&mut agent, 1, &["/bin is a symbolic link to usr/bin in the image and a directory in the base"])?;
    ensure!(id(tag.name()).is_err() && id(image)? == before);
    Ok(())
}
