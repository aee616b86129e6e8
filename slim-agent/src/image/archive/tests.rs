//! The archive agrees with the layers in place, entry by entry, and survives any bytes.

use std::io::{Seek, Write};

use proptest::prelude::*;

use super::*;
use crate::image::testing::{everything, random};

fn index(bytes: &[u8]) -> Result<Archive> {
    let mut file = temporary()?;
    file.write_all(bytes)?;
    file.rewind()?;
    Archive::index(file, "sha256:test")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn archives_agree_with_layers_in_place(layers in random::layers()) {
        let image = random::image(&layers);
        let expected = everything(&image.overlay());
        prop_assert_eq!(&everything(&image.docker_archive()), &expected);
        prop_assert_eq!(&everything(&image.oci_archive()), &expected);
        prop_assert_eq!(&everything(&image.both_archive()), &expected);
    }

    #[test]
    fn any_bytes_give_an_error_or_an_image(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        let _ = index(&bytes);
        let _ = Tree::default().apply(0, Members::new(section(&bytes)));
    }

    /// Headers with a right checksum reach deeper than random bytes.
    #[test]
    fn any_header_gives_an_error_or_an_entry(
        fields in prop::collection::vec(any::<u8>(), 512),
        kind in prop::sample::select(&b"0\x0015xgLKS7"[..]),
        size in "[0-7]{11}|00000000[0-7]{3}",
        tail in prop::collection::vec(any::<u8>(), 0..2048),
    ) {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..257].copy_from_slice(&fields[..257]);
        header.as_mut_bytes()[265..].copy_from_slice(&fields[265..]);
        header.as_gnu_mut().unwrap().size[..11].copy_from_slice(size.as_bytes());
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_cksum();
        let bytes = [&header.as_bytes()[..], &tail].concat();
        let mut tree = Tree::default();
        let _ = tree.apply(0, Members::new(section(&bytes)));
    }
}

fn section(bytes: &[u8]) -> Section {
    let mut file = temporary().unwrap();
    file.write_all(bytes).unwrap();
    Section::whole(file).unwrap()
}

#[test]
fn a_cut_off_archive_is_an_error() {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(1000);
    builder.append_data(&mut header, "manifest.json", &[b' '; 1000][..]).unwrap();
    let whole = builder.into_inner().unwrap();
    let error = format!("{:#}", index(&whole[..1024]).err().unwrap());
    assert!(error.contains("cut off"), "{error}");
    assert!(index(b"").is_err());
}

#[test]
fn names_that_leave_the_layer_are_refused() {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..9].copy_from_slice(b"a/../../b");
    header.set_size(0);
    header.set_cksum();
    let applied = Tree::default().apply(0, Members::new(section(header.as_bytes())));
    assert!(applied.is_err_and(|error| format!("{error:#}").contains("leads out")));
}

#[test]
fn sparse_files_come_back_with_their_holes() {
    // GNU tar 1.34 --sparse: 4096 zero bytes, then "data", in its old sparse form.
    let mut header = tar::Header::new_gnu();
    let gnu = header.as_gnu_mut().unwrap();
    gnu.name[..6].copy_from_slice(b"sparse");
    gnu.sparse[0].set_offset(4096);
    gnu.sparse[0].set_length(4);
    gnu.set_real_size(4100);
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_size(4);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend(b"data");
    bytes.resize(2048, 0);
    let mut tree = Tree::default();
    tree.apply(0, Members::new(section(&bytes))).unwrap();
    let image = Archive { id: String::new(), config: Vec::new(), layers: vec![section(&bytes)], tree };
    let entry = image.lookup(&"/sparse".into()).unwrap().unwrap();
    let mut content = Vec::new();
    image.open(&entry).unwrap().read_to_end(&mut content).unwrap();
    assert_eq!((entry.size, content.len(), &content[4096..]), (4100, 4100, &b"data"[..]));
}
