//! A context has every kept entry once: as a file to copy, or in its archive.

use std::io::Read;

use super::*;
use crate::image::testing::{Layers, everything};
use crate::plan::{Generated, Need, Reason};

#[test]
fn everything_is_either_copied_or_packed() {
    let image = Layers::new().layer(|dir| {
        dir.file("bin/su", "s").mode("bin/su", 0o4755).hard("bin/runuser", "bin/su").file("bin/a\nb", "odd");
        dir.file("bin/ping", "p")
            .xattr("bin/ping", "user.a", b"1")
            .link("sh", "bin/su")
            .dir("tmp")
            .mode("tmp", 0o1777);
    });
    let source = image.overlay();
    let paths =
        everything(&source).into_iter().map(|(entry, ..)| entry.path).filter(|path| path.parent().is_some());
    let from = source.lookup(&"/bin".into()).unwrap().unwrap();
    let made = Generated::file("/made".into(), b"up".to_vec(), &from, Reason::Engine(Need::Cmd));
    let plan = Plan {
        kept: paths.map(|path| (path, vec![Reason::Engine(Need::Cmd)])).collect(),
        generated: [(made.entry.path.clone(), made)].into(),
        ..Plan::default()
    };
    let original = ImageRef { id: "sha256:1".into(), repo_digests: [].into(), names: [].into() };
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("context");
    // The second replaces the first.
    for _ in 0..2 {
        let made = write(&plan, &source, &original, "web:slim", &dir).unwrap();
        assert_eq!((made.copied, made.packed), (1, 7));
    }
    let explained = std::fs::read_to_string(dir.join(EXPLANATION)).unwrap();
    assert!(explained.contains("\"tag\": \"web:slim\""), "{explained}");
    let text = std::fs::read_to_string(dir.join(DOCKERFILE)).unwrap();
    assert!(text.contains("\"/bin/runuser\", \\\n  \"/bin/\" ]"), "{text}");

    let mut archive = tar::Archive::new(File::open(dir.join(SKELETON)).unwrap());
    let mut packed = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        let link = entry.link_name().unwrap().map(|link| link.display().to_string()).unwrap_or_default();
        packed.push(format!("{} {content}{link}", entry.path().unwrap().display()));
    }
    assert_eq!(
        packed,
        ["bin/ ", "bin/a\nb odd", "bin/ping p", "bin/su bin/runuser", "made up", "sh bin/su", "tmp/ "]
    );
    let list: serde_json::Value = serde_json::from_slice(&std::fs::read(dir.join(LIST)).unwrap()).unwrap();
    assert_eq!(list["files"].as_object().map(serde_json::Map::len), Some(8));
    assert_eq!(list["files"]["/bin/runuser"]["from"], "original");
    assert_eq!(list["files"]["/tmp"]["mode"], "1777");
}
