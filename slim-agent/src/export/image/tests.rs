//! A slim image is, entry by entry, what the original was.

use std::collections::HashMap;
use std::io::Read;

use proptest::prelude::*;
use tar::Header;

use super::*;
use crate::image::archive::Archive;
use crate::image::testing::{Layers, everything, random};
use crate::image::{Device, Entry, Kind, Time};
use crate::manifest::PathBytes;
use crate::plan::{Need, Reason};

const GIB: u64 = 1 << 30;

/// A plan that keeps all of `image` but the root.
fn all(image: &dyn ImageSource) -> Plan {
    let paths =
        everything(image).into_iter().map(|(entry, ..)| entry.path).filter(|path| path.parent().is_some());
    Plan { kept: paths.map(|path| (path, vec![Reason::Engine(Need::Cmd)])).collect(), ..Plan::default() }
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
            dir.hard("bin/runuser", "bin/su").hard(format!("{long}/{long}"), "bin/su").file("empty", "");
            dir.dir("tmp")
                .mode("tmp", 0o1777)
                .fifo("pipe")
                .file(format!("{long}/x"), "x")
                .link("loop", "./loop/");
            dir.link("long", format!("/{long}//../{long}")).file("n".repeat(100), "exactly fits");
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

/// A plan that keeps those of `image` that `chosen` says, and the directories above them.
fn some(image: &dyn ImageSource, chosen: &[bool]) -> Plan {
    let mut plan = all(image);
    let choice = chosen.iter().cycle();
    let mut kept: Vec<_> =
        plan.kept.keys().zip(choice).filter(|&(_, &keep)| keep).map(|(path, _)| path.clone()).collect();
    for path in kept.clone() {
        kept.extend(std::iter::successors(path.parent(), PathBytes::parent));
    }
    plan.kept.retain(|path, _| kept.contains(path));
    plan
}

/// What of `image` is to be in a slim image by `plan`: a file that lost its first name goes by the next.
fn expected(image: &dyn ImageSource, plan: &Plan) -> Vec<(Entry, Option<PathBytes>, Vec<u8>)> {
    let (mut kept, mut firsts) = (everything(image), HashMap::new());
    kept.retain(|(entry, ..)| entry.path.parent().is_none() || plan.kept.contains_key(&entry.path));
    for (entry, first, _) in &mut kept {
        if let Some(first) = first {
            *first = firsts.entry(first.clone()).or_insert(entry.path.clone()).clone();
        }
    }
    let lone =
        |path: &PathBytes| kept.iter().filter(|(_, first, _)| first.as_ref() == Some(path)).count() < 2;
    let lone: Vec<_> = firsts.into_values().filter(lone).collect();
    for (_, first, _) in &mut kept {
        first.take_if(|first| lone.contains(first));
    }
    kept
}

fn device() -> impl Strategy<Value = Device> {
    (0..4096u32, 0..1u32 << 20).prop_map(|(major, minor)| Device { major, minor })
}

fn kind() -> impl Strategy<Value = Kind> {
    let target = prop::collection::vec(1..=255u8, 1..300);
    prop_oneof![
        Just(Kind::File),
        Just(Kind::Directory),
        target.prop_map(Kind::Symlink),
        device().prop_map(Kind::CharDevice),
        device().prop_map(Kind::BlockDevice),
        Just(Kind::Fifo),
    ]
}

prop_compose! {
    fn entry()(
        name in prop::collection::vec((1..=255u8).prop_filter("a slash", |&byte| byte != b'/'), 1..300)
            .prop_filter("a whiteout or dot", |name| !name.starts_with(b".")),
        kind in kind(),
        (mode, uid, gid) in (0..0o10000u32, any::<u32>(), any::<u32>()),
        (seconds, nanoseconds) in (any::<i64>(), prop_oneof![Just(0), 0..1_000_000_000u32]),
        content in prop::collection::vec(any::<u8>(), 0..2000),
        xattrs in prop::collection::btree_map(
            "(user|security|trusted)\\.[a-z]{1,40}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..100),
            0..4,
        ),
    ) -> (Entry, Vec<u8>) {
        let content = if kind == Kind::File { content } else { Vec::new() };
        let (path, size) = (PathBytes::new([b"/", &name[..]].concat()), content.len() as u64);
        let mtime = Time { seconds, nanoseconds };
        (Entry { path, kind, mode, uid, gid, mtime, size, xattrs, link: None, place: 0 }, content)
    }
}

/// An image of one layer, as the exporter writes it.
fn image_of(entries: &[(Entry, Vec<u8>)]) -> Archive {
    let mut layer = Layer::new(Vec::new());
    for (entry, content) in entries {
        layer.append(entry, &mut &content[..]).unwrap();
    }
    let (tar, len, _) = layer.finish().unwrap();
    assert_eq!(tar.len() as u64, len);
    Layers::archive_of(&tar)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_kept_is_as_it_was(
        layers in random::layers(),
        chosen in prop::collection::vec(any::<bool>(), 1..20),
    ) {
        let image = random::image(&layers);
        let sources: [&dyn ImageSource; 2] = [&image.overlay(), &image.docker_archive()];
        let built = sources.map(|source| {
            let plan = some(source, &chosen);
            let bytes = bytes(build(&plan, source, &tag()).unwrap());
            let slim = Archive::index(build(&plan, source, &tag()).unwrap().archive, source.id()).unwrap();
            assert_eq!(everything(&slim), expected(source, &plan));
            bytes
        });
        prop_assert!(built[0] == built[1]);
    }

    #[test]
    fn every_field_of_an_entry_survives((entry, content) in entry()) {
        let image = image_of(&[(entry.clone(), content.clone())]);
        prop_assert_eq!(image.lookup(&entry.path).unwrap(), Some(entry));
        let found = everything(&image);
        prop_assert_eq!(&found[1].2, &content);
    }
}

#[test]
fn files_of_any_size_have_headers() {
    let mut entry = rich().docker_archive().lookup(&"/bin/new".into()).unwrap().unwrap();
    for size in [8 * GIB - 1, 8 * GIB, 9 * GIB, 1 << 60] {
        entry.size = size;
        let mut layer = Layer::new(Vec::new());
        let cut_off = layer.append(&entry, &mut std::io::empty()).unwrap_err();
        assert!(cut_off.to_string().contains("changing"), "{cut_off}");
        let (tar, ..) = layer.finish().unwrap();
        assert_eq!(Header::from_byte_slice(&tar[..512]).entry_size().unwrap(), size);
    }
}

/// Seen with another reader than our own.
#[test]
fn owners_devices_times_and_names_of_any_kind() {
    let mut entry = rich().docker_archive().lookup(&"/bin/new".into()).unwrap().unwrap();
    entry.kind = Kind::CharDevice(Device { major: 10, minor: 1_000_000 });
    (entry.uid, entry.gid, entry.size) = (u32::MAX - 1, 2_097_152, 0);
    entry.mtime = Time { seconds: 1 << 40, nanoseconds: 5 };
    entry.path = PathBytes::new(b"/\xff\xfe".to_vec());
    let mut layer = Layer::new(Vec::new());
    layer.append(&entry, &mut std::io::empty()).unwrap();
    let (tar, len, _) = layer.finish().unwrap();
    assert_eq!(tar.len() as u64, len);
    let mut archive = tar::Archive::new(&tar[..]);
    let mut found = archive.entries().unwrap().next().unwrap().unwrap();
    let record = found.pax_extensions().unwrap().unwrap().next().unwrap().unwrap();
    assert_eq!((record.key(), record.value()), (Ok("mtime"), Ok("1099511627776.000000005")));
    let header = found.header().clone();
    assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (u64::from(u32::MAX - 1), 2_097_152));
    assert_eq!(header.device_minor().unwrap(), Some(1_000_000));
    assert_eq!(found.path_bytes(), &b"\xff\xfe"[..]);
    assert_eq!(header.mtime().unwrap(), 1 << 40);
}
