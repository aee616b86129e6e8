//! Layers that are kept add up to what one layer has, and depend on nothing above them.

use proptest::prelude::*;

use super::*;
use crate::export::image::{Built, make};
use crate::image::archive::Archive;
use crate::image::testing::{LayerDir, Layers, everything};
use crate::plan::{Generated, Need, Reason};

fn plan(image: &dyn ImageSource, keep: impl Fn(&PathBytes) -> bool) -> Plan {
    let mut kept = BTreeMap::new();
    for (entry, ..) in everything(image) {
        let mut above = Some(entry.path.clone()).filter(&keep);
        while let Some(path) = above.filter(|path| path.parent().is_some()) {
            above = path.parent();
            kept.insert(path, vec![Reason::Engine(Need::Cmd)]);
        }
    }
    Plan { kept, ..Plan::default() }
}

fn kept(image: &dyn ImageSource, keep: impl Fn(&PathBytes) -> bool) -> Built {
    make(&plan(image, keep), image, &Shape::Kept, None).unwrap()
}

fn digests(built: &Built) -> Vec<&str> {
    built.layers.iter().map(|layer| layer.digest.as_str()).collect()
}

fn base() -> Layers {
    Layers::new().layer(|dir| {
        dir.file("lib/a", "a")
            .hard("lib/b", "lib/a")
            .mode("lib", 0o711)
            .file("lib/old", "1")
            .file("etc/x", "x");
        dir.dir("gone").file("gone/x", "").file("swapped/x", "");
    })
}

#[test]
fn a_base_is_shared_whatever_is_above_it() {
    let one = base().layer(|dir| {
        dir.file("lib/old", "2")
            .mode("lib", 0o700)
            .whiteout("gone")
            .file("swapped", "now a file")
            .file("etc/y", "y");
    });
    let two = base().layer(|dir| {
        dir.file("app", "app");
    });
    let keep = |path: &PathBytes| {
        let name = path.to_string();
        name.starts_with("/lib/") && name != "/lib/old" || name == "/app" || name.starts_with("/etc")
    };
    let (one, two) = (kept(&one.overlay(), keep), kept(&two.overlay(), keep));
    let (one, two) = (digests(&one), digests(&two));
    assert_eq!((one.len(), two.len()), (2, 2));
    assert_eq!(one[0], two[0]);
    assert_ne!(one[1], two[1]);
}

#[test]
fn a_layer_of_which_nothing_is_kept_is_left_out() {
    let image = base().layer(|dir| {
        dir.file("opt/unused", "x");
    });
    assert_eq!(kept(&image.overlay(), |path| path.is_within(b"/lib")).layers.len(), 1);
}

fn fill(dir: &LayerDir, changes: &[(u8, String)]) {
    for (what, path) in changes {
        match what {
            0 | 1 => dir.file(path, [*what; 3]),
            2 => dir.dir(path).mode(path, 0o750),
            3 => dir.dir(path).opaque(path),
            4 => dir.link(path, "a/b"),
            5 => dir.hard(path, "a/b"),
            _ => dir.whiteout(path),
        };
    }
}

fn change() -> impl Strategy<Value = (u8, String)> {
    let path = prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..4);
    (0..7_u8, path.prop_map(|parts| parts.join("/")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn layers_add_up(layers in prop::collection::vec(prop::collection::vec(change(), 0..8), 1..4), salt: u8) {
        let image = layers.iter().fold(Layers::new(), |image, changes| image.layer(|dir| fill(dir, changes)));
        let keep = |path: &PathBytes| path.as_bytes().iter().fold(salt, |sum, byte| sum.wrapping_mul(31) ^ byte) % 3 > 0;
        let (overlay, archive) = (image.overlay(), image.docker_archive());
        let (here, there) = (kept(&overlay, keep), kept(&archive, keep));
        prop_assert_eq!(digests(&here), digests(&there));
        let merged = make(&plan(&overlay, keep), &overlay, &Shape::Merged, None).unwrap();
        let read = |built: Built| everything(&Archive::index(built.archive, "x").unwrap());
        prop_assert_eq!(read(here), read(merged));
    }
}

#[test]
fn what_is_made_up_is_above_all_layers_with_its_directories_as_they_are() {
    let image = base();
    let source = image.overlay();
    let mut plan = plan(&source, |path| path.to_string() == "/lib/a");
    let without = make(&plan, &source, &Shape::Kept, None).unwrap();
    let from = source.lookup(&"/etc/x".into()).unwrap().unwrap();
    let reason = Reason::Engine(Need::Cmd);
    let made = Generated::file("/lib/made".into(), b"made".to_vec(), &from, reason);
    plan.generated.insert(made.entry.path.clone(), made);
    let with = make(&plan, &source, &Shape::Kept, None).unwrap();
    assert_eq!(digests(&with)[..1], digests(&without));
    let archive = Archive::index(with.archive, "sha256:test").unwrap();
    let found = archive.lookup(&"/lib/made".into()).unwrap().unwrap();
    assert_eq!((archive.layer_of(&found), found.size), (1, 4));
    assert_eq!(archive.lookup(&"/lib".into()).unwrap().unwrap().mode, 0o711);
}
