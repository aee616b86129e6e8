//! What is of note in images made by hand.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::*;
use crate::image::testing::Layers;
use crate::manifest::{FileUse, Manifest, Origin, Use};
use crate::plan::Policy;

/// A manifest in which the application used these files.
fn manifest(used: &[(&str, Use)]) -> Manifest {
    let file = |kind| FileUse {
        origin: Origin::Image,
        uses: [kind].into(),
        by: BTreeSet::new(),
        phases: [Phase::App].into(),
        first_ms: 0,
        first_seen: None,
        seen_in: BTreeSet::new(),
        windows: BTreeMap::new(),
    };
    let files = used.iter().map(|&(name, kind)| (name.into(), file(kind))).collect();
    Manifest { files, ..Manifest::new(None) }
}

fn surface(image: &Layers, used: &[(&str, Use)]) -> Surface {
    let (image, manifest): (_, Manifest) = (image.overlay(), manifest(used));
    let plan = Plan::build(&manifest, &image, &Policy::default()).unwrap();
    Surface::find(&image, &plan, &manifest).unwrap()
}

/// `name [also...] (detail) slim ran`, of one kind.
fn told(surface: &Surface, kind: &str) -> Vec<String> {
    let of_kind = surface.findings.iter().filter(|finding| finding.kind == kind);
    let line = |finding: &Finding| {
        let mut line = finding.name.to_string();
        line.extend(finding.also.iter().map(|name| format!(" {name}")));
        if !finding.detail.is_empty() {
            line.push_str(&format!(" ({})", finding.detail));
        }
        line.push_str(if finding.slim { " slim" } else { "" });
        line.push_str(if finding.ran() { " ran" } else { "" });
        line
    };
    of_kind.map(line).collect()
}

#[test]
fn modes_and_capabilities() {
    let image = Layers::new().layer(|dir| {
        dir.file("usr/bin/su", "x").mode("usr/bin/su", 0o4755).link("bin", "usr/bin");
        dir.file("usr/bin/wall", "x").mode("usr/bin/wall", 0o2755);
        dir.file("usr/bin/ping", "x").mode("usr/bin/ping", 0o755);
        dir.xattr(
            "usr/bin/ping",
            "security.capability",
            &[1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        );
        dir.dir("tmp").mode("tmp", 0o1777).dir("open").mode("open", 0o777);
        dir.file("open/log", "").mode("open/log", 0o666);
    });
    let found =
        surface(&image, &[("/bin/ping", Use::Exec), ("/usr/bin/ping", Use::Exec), ("/open/log", Use::Open)]);
    assert_eq!(told(&found, "setuid-files"), ["/usr/bin/su (mode 4755, owner 0:0)"]);
    assert_eq!(told(&found, "setgid-files"), ["/usr/bin/wall (mode 2755, owner 0:0)"]);
    assert_eq!(told(&found, "capability-files"), ["/usr/bin/ping (cap_net_raw=ep) slim ran"]);
    assert_eq!(
        told(&found, "world-writable"),
        ["/open (mode 0777, owner 0:0) slim", "/open/log (mode 0666, owner 0:0) slim"]
    );
    assert_eq!(found.count("executables"), Count { original: 3, slim: 1, ran: 1 });
    assert_eq!((found.original.files, found.slim.files, found.directories), (5, 3, 4));
}

#[test]
fn an_applet_is_what_its_links_say_by_symbolic_and_by_hard_link() {
    let image = Layers::new().layer(|dir| {
        dir.file("bin/multi", "x")
            .mode("bin/multi", 0o755)
            .link("bin/sh", "/bin/multi")
            .hard("bin/wget", "bin/multi");
        dir.hard("bin/ls", "bin/multi")
            .link("bin/curl", "nowhere")
            .link("bin/nc", "/etc/text")
            .file("etc/text", "x");
        dir.file("opt/strange", "x").mode("opt/strange", 0o755);
        dir.file("etc/shells", "# shells\n/bin/sh\n/opt/strange\n/bin/none\nrelative\n");
        dir.file("etc/cron/wget", "x").mode("etc/cron/wget", 0o755);
    });
    let found = surface(&image, &[("/bin/ls", Use::Exec)]);
    assert_eq!(told(&found, "shells"), ["/bin/ls /bin/sh slim ran", "/opt/strange"]);
    assert_eq!(told(&found, "network-tools"), ["/bin/ls /bin/wget slim ran"]);
    assert_eq!(found.count("executables").original, 3);
}

#[test]
fn keys_are_found_where_keys_are_and_nothing_of_them_is_told() {
    let key = "-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0c2VjcmV0\n-----END RSA PRIVATE KEY-----\n";
    let config = json!({"config": {"Env": ["API_TOKEN=hunter2", "PATH=/bin", "EMPTY_SECRET="]}});
    let image = Layers::new().config(&config).layer(|dir| {
        dir.file("etc/ssl/private/snake", key).file("root/.ssh/id_rsa", key).file("srv/server.key", key);
        dir.file("srv/plain.txt", key).file("srv/hidden", key).mode("srv/hidden", 0o600);
        dir.file("srv/large.key", key.repeat(2000)).file("srv/ca.pem", "-----BEGIN CERTIFICATE-----\nx\n");
    });
    let found = surface(&image, &[("/srv/server.key", Use::Open)]);
    assert_eq!(
        told(&found, "private-keys"),
        [
            "/etc/ssl/private/snake (PEM: RSA PRIVATE KEY)",
            "/root/.ssh/id_rsa (PEM: RSA PRIVATE KEY)",
            "/srv/hidden (PEM: RSA PRIVATE KEY)",
            "/srv/server.key (PEM: RSA PRIVATE KEY) slim",
        ]
    );
    assert_eq!(told(&found, "secrets-in-env"), ["API_TOKEN slim"]);
    assert_eq!(found.examined, Examined { read: 4, unread: 0 });
    let text = serde_json::to_string(&found).unwrap();
    assert!(!text.contains("hunter2") && !text.contains("c2VjcmV0"), "{text}");
}

#[test]
fn packages_are_whole_partial_or_removed() {
    let status =
        ["a", "b", "c"].map(|name| format!("Package: {name}\nStatus: install ok installed\nVersion: 1\n"));
    let image = Layers::new().layer(|dir| {
        dir.file("var/lib/dpkg/status", status.join("\n"));
        for (name, files) in [("a", "/a\n"), ("b", "/b\n/b2\n"), ("c", "/c\n")] {
            dir.file(format!("var/lib/dpkg/info/{name}.list"), files);
        }
        for name in ["a", "b", "b2", "c"] {
            dir.file(name, "");
        }
        dir.file("srv/node_modules/left/package.json", r#"{"name": "left", "version": "2"}"#);
        dir.file("usr/lib/python3/site-packages/x-3.dist-info/METADATA", "Name: x\nVersion: 3\n");
    });
    let found = surface(&image, &[("/a", Use::Open), ("/b", Use::Open)]);
    let left: Vec<_> = found.packages.iter().map(|at| (&*at.package.name, at.left)).collect();
    let removed = Left::Removed;
    let expected =
        [("a", Left::Whole), ("b", Left::Partial), ("c", removed), ("left", removed), ("x", removed)];
    assert_eq!(left.iter().copied().collect::<BTreeSet<_>>(), expected.into());
    assert_eq!(packages::owners(&image.overlay(), &"/b2".into()).unwrap(), ["dpkg:b"]);
}
