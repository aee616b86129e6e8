//! The archive agrees with the layers in place, entry by entry, and survives any bytes.

use std::io::{self, Seek, Write};

use proptest::prelude::*;

use super::*;
use crate::image::temporary;
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

/// What GNU tar makes of 4096 zeros and "data": its own form, and the three of PAX.
#[test]
fn sparse_files_come_back_with_their_holes() {
    let place = tempfile::tempdir().unwrap();
    let mut file = File::create(place.path().join("sparse")).unwrap();
    file.seek(io::SeekFrom::Start(1 << 20)).unwrap();
    file.write_all(b"data").unwrap();
    let forms = [("gnu", "0.0"), ("posix", "0.0"), ("posix", "0.1"), ("posix", "1.0")];
    for form @ (format, version) in forms {
        let mut tar = std::process::Command::new("tar");
        tar.arg("-C").arg(place.path()).args(["--sparse", "--format", format, "--sparse-version", version]);
        tar.args(["-cf", "-", "sparse"]);
        let bytes = tar.output().unwrap().stdout;
        assert!(bytes.len() < 1 << 16, "tar found no hole");
        let mut tree = Tree::default();
        tree.apply(0, Members::new(section(&bytes))).unwrap();
        let image = Archive { id: String::new(), config: Vec::new(), layers: vec![section(&bytes)], tree };
        let entry = image.lookup(&"/sparse".into()).unwrap().unwrap();
        let mut content = Vec::new();
        image.open(&entry).unwrap().read_to_end(&mut content).unwrap();
        assert_eq!((entry.size, content.len()), ((1 << 20) + 4, (1 << 20) + 4), "{form:?}");
        assert!(content.ends_with(b"data") && content[..1 << 20].iter().all(|&byte| byte == 0), "{form:?}");
    }
}

/// Its content takes no place on disk.
#[test]
fn files_over_8_gb_are_indexed_and_read() {
    let size = 9 << 30;
    let mut header = tar::Header::new_gnu();
    header.set_path("big").unwrap();
    header.set_size(size);
    header.set_cksum();
    let mut file = temporary().unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len(512 + size).unwrap();
    let section = Section::whole(file).unwrap();
    let mut tree = Tree::default();
    tree.apply(0, Members::new(section.clone())).unwrap();
    let image = Archive { id: String::new(), config: Vec::new(), layers: vec![section], tree };
    let entry = image.lookup(&"/big".into()).unwrap().unwrap();
    let mut begin = [1; 10];
    image.open(&entry).unwrap().read_exact(&mut begin).unwrap();
    assert_eq!((entry.size, begin), (size, [0; 10]));
}
