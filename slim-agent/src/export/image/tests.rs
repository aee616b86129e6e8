//! A slim image is, entry by entry, what the original was.

use std::io::Read;

use super::*;
use crate::image::archive::Archive;
use crate::image::testing::{Layers, everything};
use crate::manifest::PathBytes;
use crate::plan::{Need, Reason};

/// A plan that keeps all of `image` but the root.
fn all(image: &dyn ImageSource) -> Plan {
    let paths =
        everything(image).into_iter().map(|(entry, ..)| entry.path).filter(|path| path.parent().is_some());
    Plan {
        kept: paths.map(|path| (path, vec![Reason::Engine(Need::Cmd)])).collect(),
        left_out: Default::default(),
        notes: Vec::new(),
        totals: Default::default(),
    }
}

fn build(plan: &Plan, image: &dyn ImageSource, tag: &Reference) -> Result<Built> {
    make(plan, image, &Shape::Merged, Some(tag))
}

fn tag() -> Reference {
    "app:slim".parse().unwrap()
}

fn bytes(mut built: Built) -> Vec<u8> {
    let mut bytes = Vec::new();
    built.archive.read_to_end(&mut bytes).unwrap();
    bytes
}

fn rich() -> Layers {
    let long = "d".repeat(200);
    Layers::new()
        .layer(|dir| {
            dir.file("bin/su", [7; 1000]).mode("bin/su", 0o4755).xattr("bin/su", "user.a", b"\n\0=\n");
            dir.hard("bin/runuser", "bin/su").hard(&format!("{long}/{long}"), "bin/su").file("empty", "");
            dir.dir("tmp")
                .mode("tmp", 0o1777)
                .fifo("pipe")
                .file(&format!("{long}/x"), "x")
                .link("loop", "./loop/");
            dir.link("long", &format!("/{long}//../{long}")).file(&"n".repeat(100), "exactly fits");
        })
        .layer(|dir| {
            dir.file("bin/new", "new").whiteout("empty").file("big", vec![1; 600_000]);
        })
}

#[test]
fn everything_kept_is_as_it_was() {
    let image = rich();
    for source in [&image.overlay() as &dyn ImageSource, &image.docker_archive()] {
        let built = build(&all(source), source, &tag()).unwrap();
        let id = built.id.clone();
        let slim = Archive::index(built.archive, &id).unwrap();
        assert_eq!(everything(&slim), everything(source));
    }
}

#[test]
fn the_same_image_gives_the_same_bytes_from_anywhere() {
    let image = rich();
    let source = image.overlay();
    let expected = bytes(build(&all(&source), &source, &tag()).unwrap());
    for source in [&image.docker_archive() as &dyn ImageSource, &image.oci_archive(), &rich().overlay()] {
        assert!(bytes(build(&all(source), source, &tag()).unwrap()) == expected);
    }
}

#[test]
fn a_hard_link_whose_file_is_cut_becomes_the_file() {
    let image = Layers::new().layer(|dir| {
        dir.file("a", "data").hard("b", "a").hard("c", "a");
    });
    let source = image.overlay();
    let mut plan = all(&source);
    plan.kept.remove(&PathBytes::from("/a"));
    let slim = Archive::index(build(&plan, &source, &tag()).unwrap().archive, "x").unwrap();
    let found = everything(&slim);
    let [_, (b, first_b, data), (_, first_c, _)] = &found[..] else { panic!("{found:?}") };
    assert_eq!((b.path.to_string(), &data[..]), ("/b".into(), &b"data"[..]));
    assert_eq!((first_b, first_c), (&Some("/b".into()), &Some("/b".into())));
}

#[test]
fn owners_devices_times_and_names_of_any_kind() {
    let mut entry = rich().docker_archive().lookup(&"/bin/new".into()).unwrap().unwrap();
    entry.kind = Kind::CharDevice(crate::image::Device { major: 10, minor: 1_000_000 });
    (entry.uid, entry.gid, entry.mtime, entry.size) = (u32::MAX - 1, 2_097_152, 1 << 40, 0);
    entry.path = PathBytes::new(b"/\xff\xfe".to_vec());
    let mut layer = Layer::new(Vec::new());
    layer.append(&entry, &mut std::io::empty()).unwrap();
    let (tar, len, _) = layer.finish().unwrap();
    assert_eq!(tar.len() as u64, len);
    let mut archive = tar::Archive::new(&tar[..]);
    let found = archive.entries().unwrap().next().unwrap().unwrap();
    let header = found.header().clone();
    assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (u64::from(u32::MAX - 1), 2_097_152));
    assert_eq!(header.device_minor().unwrap(), Some(1_000_000));
    assert_eq!(found.path_bytes(), &b"\xff\xfe"[..]);
    assert_eq!(header.mtime().unwrap(), 1 << 40);
}
