//! Every view of one manifest and one image made by hand, in each format, as the files in `golden/` have it. With
//! `UPDATE_GOLDEN=1` they are written anew.

use std::fs;
use std::path::Path;

use clap::Parser;
use serde_json::json;

use super::known::OfImage;
use super::*;
use crate::image::ImageSource;
use crate::image::testing::Layers;
use crate::manifest::Manifest;
use crate::plan::{Plan, Policy};

/// The views, as they are asked for; but for the system calls, whose reasons are not made by hand.
const VIEWS: [&str; 12] = [
    "",
    "--files",
    "--packages",
    "--executables",
    "--surface",
    "--capabilities",
    "--connects",
    "--writes",
    "--by-process",
    "--why /usr/bin/app",
    "--why /bin/su",
    "--why /run/app.pid",
];

fn manifest() -> Manifest {
    let file = |origin: &str, uses: &[&str], phase: &str| {
        json!({
            "origin": origin, "uses": uses, "by": ["/usr/bin/app"], "phases": [phase], "first_ms": 7, "seen_in": ["aa"],
        })
    };
    let recording = |startup: bool, hooks: serde_json::Value| {
        json!({
            "container_id": "c0", "container_name": "web|1", "started": "2026-01-02T03:04:05Z", "duration_ms": 61500,
            "kernel": "6.1.0 x86_64", "runtime": null, "seccomp": "default", "mounts": {"/data": "volume"},
            "startup_observed": startup, "complete": startup, "incomplete": if startup { vec![] } else { vec!["2 events were lost"] },
            "hooks": hooks, "counters": {},
        })
    };
    let socket = |uses: &[&str], protocol: &str| json!({"uses": uses, "protocols": [protocol], "by": ["/usr/bin/app"], "phases": ["app"], "seen_in": ["aa", "bb"]});
    let text = json!({
        "schema": "slim-agent/manifest/1",
        "image": {"id": "sha256:aa", "repo_digests": [], "names": ["web:1"]},
        "recordings": {
            "aa": recording(true, json!({"cap_capable": "fentry"})), "bb": recording(false, json!({"cap_capable": "fentry"})),
        },
        "files": {
            "/usr/bin/app": file("image", &["exec"], "app"),
            "/usr/bin/dash": file("image", &["exec", "stat"], "exec"),
            "/etc/app_*.conf": file("image", &["open"], "app"),
            "/etc/tls/server.key": file("image", &["open"], "app"),
            "/run/app.pid": file("image", &["write", "entry"], "app"),
            "/data/a|b": file("volume", &["write"], "app"),
            "/proc/self/status": file("kernel", &["open"], "runtime-init"),
            "/etc/\\xff\u{1b}[2J": file("image", &["stat"], "healthcheck"),
        },
        "sockets": {
            "inet 0.0.0.0:8080": socket(&["bind", "listen"], "tcp"), "inet 10.0.0.1:53": socket(&["connect"], "udp"),
        },
        "syscalls": {},
        "capabilities": {
            "CAP_NET_BIND_SERVICE": {"phases": ["app"], "refused": [], "by": ["/usr/bin/app"], "seen_in": ["aa"]},
            "CAP_SYS_ADMIN": {"phases": ["runtime-init"], "refused": ["app"], "by": [], "seen_in": ["aa"]},
        },
    });
    serde_json::from_value(text).unwrap()
}

fn image() -> Layers {
    let config = json!({"config": {
        "Env": ["DB_PASSWORD=swordfish", "LANG=C"], "ExposedPorts": {"80/tcp": {}}, "Cmd": ["app"],
    }});
    Layers::new().config(&config).layer(|dir| {
        for (program, mode) in [("app", 0o755), ("dash", 0o755), ("su", 0o4755), ("perl5.36.0", 0o755)] {
            dir.file(format!("usr/bin/{program}"), program).mode(format!("usr/bin/{program}"), mode);
        }
        dir.link("bin", "usr/bin").link("usr/bin/sh", "dash").link("usr/bin/perl", "perl5.36.0");
        dir.file("etc/app_*.conf", "x=1")
            .file("etc/tls/server.key", "-----BEGIN PRIVATE KEY-----\nMIIESECRET\n");
        dir.dir("run").file("etc/open", "").mode("etc/open", 0o666);
        let package = |name: &str| format!("Package: {name}\nStatus: install ok installed\nVersion: 1-2\n");
        dir.file("var/lib/dpkg/status", ["app", "login", "perl"].map(package).join("\n"));
        for (name, files) in
            [("app", "/usr/bin/app\n/etc/open\n"), ("login", "/bin/su\n"), ("perl", "/usr/bin/perl\n")]
        {
            dir.file(format!("var/lib/dpkg/info/{name}.list"), files);
        }
    })
}

/// What the view that is asked for with `words` says.
fn shown(words: &str, format: Format, width: Option<usize>) -> Result<String> {
    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        view: ViewArgs,
    }
    let Line { view } = Line::parse_from(["show"].into_iter().chain(words.split_whitespace()));
    let (image, manifest) = (image(), manifest());
    let source: &dyn ImageSource = &image.overlay();
    let plan = Plan::build(&manifest, source, &Policy::default())?;
    let notes = plan.notes.clone();
    let image = view.wanted()?.map(|wanted| OfImage::look(plan, source, &manifest, &wanted)).transpose()?;
    let known = Known { manifest, image, notes };
    let bytes = view.written(&known, format, Screen { width, colours: false })?;
    Ok(String::from_utf8(bytes)?)
}

fn compare(file: &str, format: Format, width: Option<usize>) {
    let mut all = String::new();
    for view in VIEWS {
        all.push_str(&format!("==== show {view}\n{}", shown(view, format, width).unwrap()));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/commands/show/golden").join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &all).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    for (found, expected) in all.lines().zip(golden.lines()) {
        assert_eq!(found, expected, "in {file}");
    }
    assert_eq!(all, golden, "{file}");
}

#[test]
fn text_is_as_it_was() {
    compare("text", Format::Text, Some(100));
}

#[test]
fn json_is_as_it_was() {
    compare("json", Format::Json, None);
}

#[test]
fn markdown_is_as_it_was() {
    compare("markdown", Format::Markdown, None);
}

#[test]
fn no_secret_is_told_in_any_view() {
    for view in VIEWS {
        for format in [Format::Text, Format::Json, Format::Markdown] {
            let text = shown(view, format, None).unwrap();
            assert!(!text.contains("swordfish") && !text.contains("MIIESECRET"), "{text}");
            assert!(format == Format::Json || !text.contains('\x1b'), "{text:?}");
        }
    }
}

#[test]
fn system_calls_say_when_they_were_made_and_why_they_are_allowed() {
    let call =
        |phases: &[&str], refused: &[&str]| json!({"phases": phases, "refused": refused, "seen_in": ["aa"]});
    let calls = json!({"x86_64": {
        "read": call(&["app"], &[]), "mount": call(&["runtime-init"], &["app"]), "bpf": call(&["app"], &[]),
    }});
    let known = |calls| Known {
        manifest: Manifest { syscalls: serde_json::from_value(calls).unwrap(), ..manifest() },
        image: None,
        notes: Vec::new(),
    };
    let view = ViewArgs { syscalls: true, ..ViewArgs::default() };
    let screen = Screen { width: None, colours: false };
    let text = |view: &ViewArgs, calls, format| {
        String::from_utf8(view.written(&known(calls), format, screen).unwrap()).unwrap()
    };
    let all = text(&view, calls.clone(), Format::Text);
    let row = |name: &str| all.lines().find(|line| line.split(' ').next() == Some(name)).unwrap().to_owned();
    assert!(row("read").contains(" app ") && row("read").contains("observed: application"), "{all}");
    assert!(row("mount").ends_with("not allowed") && row("mount").contains("runtime-init  app"), "{all}");
    assert!(row("bpf").contains("denies it") && row("exit_group").contains("never returns"), "{all}");
    let json: serde_json::Value = serde_json::from_str(&text(&view, calls.clone(), Format::Json)).unwrap();
    let read = &json["syscalls"]["read"];
    assert_eq!(
        (&read["allowed"], &read["abis"], &read["recordings"]),
        (&json!(true), &json!(["x86_64"]), &json!(1))
    );
    let summary = text(&ViewArgs::default(), calls, Format::Json);
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    let figure = |name: &str| {
        let all = summary["figures"].as_array().unwrap();
        all.iter().find(|figure| figure["name"] == name).unwrap().clone()
    };
    let (kernel, engine) = (figure("syscalls-of-kernel"), figure("syscalls-of-engine"));
    assert!(kernel["original"].as_u64() > engine["original"].as_u64(), "{kernel} {engine}");
    // The engine's default denies bpf, which the profile allows.
    assert_eq!(kernel["slim"].as_u64().unwrap(), engine["slim"].as_u64().unwrap() + 1);
    assert!(text(&view, json!({}), Format::Text).contains("no profile"));
}

#[test]
fn what_nothing_is_known_of_is_an_error() {
    let error = shown("--why /etc/nowhere", Format::Text, None).unwrap_err();
    assert!(error.to_string().starts_with("nothing is known of /etc/nowhere"), "{error}");
    let error = shown("--why etc", Format::Text, None).unwrap_err();
    assert_eq!(crate::exit::code_of(&error), Exit::Usage);
}

#[test]
fn without_an_image_what_it_tells_is_a_dash() {
    let known = Known::alone(manifest(), "the manifest alone".into());
    let screen = Screen { width: None, colours: false };
    let text = ViewArgs::default().written(&known, Format::Text, screen).unwrap();
    let text = String::from_utf8(text).unwrap();
    let row = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert_eq!(row("files").split_whitespace().collect::<Vec<_>>(), ["files", "-", "-", "-"]);
    assert!(row("capabilities").contains(" 1 "), "{text}");
    assert!(text.contains("note: the manifest alone"), "{text}");
}
