//! Images at random, for properties.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use proptest::prelude::*;

use super::{LayerDir, Layers};
use crate::image::Time;

/// One change that a layer makes.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    File(PathBuf, Vec<u8>),
    Dir(PathBuf),
    Opaque(PathBuf),
    Link(PathBuf, PathBuf),
    Hard(PathBuf, PathBuf),
    Whiteout(PathBuf),
    Fifo(PathBuf),
    Mode(PathBuf, u32),
    Time(PathBuf, Time),
}

/// Few names, so that they meet; among them one that is not UTF-8, and one that fits into no header.
fn path() -> impl Strategy<Value = PathBuf> {
    let names = vec![b"a".to_vec(), b"a.b".to_vec(), b"b".to_vec(), b"c\xff".to_vec(), vec![b'n'; 255]];
    let name = prop::sample::select(names).prop_map(OsString::from_vec);
    prop::collection::vec(name, 1..4).prop_map(|parts| parts.iter().collect())
}

fn time() -> impl Strategy<Value = Time> {
    let of = |(seconds, nanoseconds)| Time { seconds, nanoseconds };
    let fraction = 0..1_000_000_000u32;
    prop_oneof![
        (0..2_000_000_000i64, fraction.clone()).prop_map(of),
        (-100_000..=0i64, prop_oneof![Just(0), fraction]).prop_map(of),
        (0..2_000_000_000i64).prop_map(Time::whole),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (path(), prop::collection::vec(any::<u8>(), 0..600)).prop_map(|(p, c)| Change::File(p, c)),
        2 => path().prop_map(Change::Dir),
        1 => path().prop_map(Change::Opaque),
        1 => (path(), path()).prop_map(|(p, to)| Change::Link(p, to)),
        2 => (path(), path()).prop_map(|(p, to)| Change::Hard(p, to)),
        2 => path().prop_map(Change::Whiteout),
        1 => path().prop_map(Change::Fifo),
        1 => (path(), 0..0o10000u32).prop_map(|(p, mode)| Change::Mode(p, mode | 0o700)),
        3 => (path(), time()).prop_map(|(p, time)| Change::Time(p, time)),
    ]
}

/// Layers as changes, and whether each came from elsewhere.
pub(crate) fn layers() -> impl Strategy<Value = Vec<(bool, Vec<Change>)>> {
    prop::collection::vec((any::<bool>(), prop::collection::vec(change(), 0..12)), 1..4)
}

/// The image of such layers.
pub(crate) fn image(layers: &[(bool, Vec<Change>)]) -> Layers {
    layers.iter().fold(Layers::new(), |image, (unpacked, changes)| {
        let fill = |dir: &LayerDir| changes.iter().for_each(|change| make(dir, change));
        if *unpacked { image.unpacked(fill) } else { image.layer(fill) }
    })
}

fn make(dir: &LayerDir, change: &Change) {
    match change {
        Change::File(path, content) => dir.file(path, content),
        Change::Dir(path) => dir.dir(path),
        Change::Opaque(path) => dir.dir(path).opaque(path),
        Change::Link(path, target) => dir.link(path, target),
        Change::Hard(path, target) => dir.hard(path, target),
        Change::Whiteout(path) => dir.whiteout(path),
        Change::Fifo(path) => dir.fifo(path),
        Change::Mode(path, mode) => {
            dir.file(path, "x").mode(path, *mode).xattr(path, "user.test", b"\n=\0\xff\n")
        }
        Change::Time(path, time) => dir.time(path, *time),
    };
}
