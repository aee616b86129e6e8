//! Each exporter's output for one application, against the files in tests/golden, which tests/it gives to the platforms'
//! own tools.

use std::path::Path;

use serde_json::json;

use super::*;
use crate::export::{apparmor, compose, docker_run, kubernetes, systemd};
use crate::image::testing::Layers;
use crate::manifest::Manifest;
use crate::plan::Policy;

/// A web server that is root at first, with names that are hard to spell.
fn manifest() -> Manifest {
    let file = |origin: &str, uses: &[&str]| {
        json!({
            "origin": origin, "uses": uses, "by": ["/usr/sbin/web"], "phases": ["app"], "first_ms": 1, "seen_in": ["r"]
        })
    };
    let socket = |uses: &[&str], protocols: &[&str]| {
        json!({
            "uses": uses, "protocols": protocols, "by": ["/usr/sbin/web"], "phases": ["app"], "seen_in": ["r"]
        })
    };
    let call = json!({"phases": ["app"], "refused": [], "seen_in": ["r"]});
    let capability = json!({"phases": ["app"], "refused": [], "by": ["/usr/sbin/web"], "seen_in": ["r"]});
    serde_json::from_value(json!({
        "schema": "slim-agent/manifest/1",
        "image": {"id": "sha256:1", "repo_digests": [], "names": ["shop/web:latest"]},
        "recordings": {"r": {
            "container_id": null, "container_name": "c", "started": "", "duration_ms": 1, "kernel": "", "runtime": null,
            "seccomp": "default", "mounts": {"/conf": "bind", "/data": "volume"}, "startup_observed": true,
            "complete": true, "incomplete": [], "hooks": {"cap_capable": "tp_btf"}, "counters": {}
        }},
        "files": {
            "/etc/resolv.conf": file("volume", &["open"]),
            "/lib/libweb.so.1": file("image", &["open"]),
            "/proc/17/oom_score_adj": file("kernel", &["write"]),
            "/run/web.pid": file("image", &["write"]),
            "/run/web.sock": file("image", &["socket"]),
            "/srv/a b$[1]'s/tool": file("image", &["exec", "write"]),
            "/tmp/plugin.so": file("image", &["open", "write"]),
            "/usr/sbin/web": file("image", &["exec"]),
            "/usr/share/web/\u{e9}%{x}\"": file("image", &["open"]),
            "/var/log/web/access.log": file("image", &["write"]),
            "/var/log/web/error.log": file("image", &["write"])
        },
        "sockets": {
            "inet 0.0.0.0:443": socket(&["bind", "listen"], &["tcp"]),
            "inet 0.0.0.0:8080": socket(&["bind", "listen"], &["tcp"]),
            "inet 10.1.2.3:5432": socket(&["connect"], &["tcp"]),
            "inet 127.0.0.11:53": socket(&["connect", "send"], &["udp"]),
            "inet 192.0.2.7:443": socket(&["connect"], &["tcp"]),
            "inet [2001:db8::1]:443": socket(&["connect"], &["tcp"]),
            "unix /run/web.sock": socket(&["bind", "listen"], &["stream"])
        },
        "syscalls": {"x86_64": {"openat": call, "setuid": call, "socket": call, "chown": call}},
        "capabilities": {"CAP_CHOWN": capability, "CAP_SETUID": capability}
    }))
    .unwrap()
}

fn image() -> Layers {
    let config = json!({"config": {
        "Cmd": ["web"], "ExposedPorts": {"8080/tcp": {}, "9090/tcp": {}}, "Volumes": {"/data": {}}
    }});
    Layers::new().config(&config).layer(|dir| {
        dir.file("usr/sbin/web", b"\x7fELF\x02\x01\x01")
            .mode("usr/sbin/web", 0o755)
            .file("lib/libweb.so.1", b"\x7fELF\x02\x01\x01")
            .file("usr/share/web/\u{e9}%{x}\"", "")
            .file("var/log/web/access.log", "")
            .link("var/log/web/error.log", "/dev/stderr")
            .file("bin/cp", "")
            .dir("srv/a b$[1]'s")
            .mode("srv/a b$[1]'s", 0o1777)
            .dir("run")
            .mode("run", 0o755)
            .dir("tmp")
            .mode("tmp", 0o1777)
            .dir("data")
            .dir("conf");
    })
}

/// What `export` makes of it.
fn exported(export: fn(&Deployment<'_>) -> String) -> String {
    let (manifest, image) = (manifest(), image());
    let source = image.overlay();
    let plan = Plan::build(&manifest, &source, &Policy::default()).unwrap();
    let mut hardening = Hardening::derive(&manifest, &source, &plan).unwrap();
    // Whoever runs the tests owns the test's image.
    for dir in &mut hardening.read_only.writable {
        (dir.uid, dir.gid) = (33, 34);
    }
    let mut seccomp = seccomp::export(&manifest).unwrap();
    // What is allowed besides is the business of that exporter's own tests.
    seccomp.reasons.retain(|name, _| manifest.syscalls["x86_64"].contains_key(name));
    export(&Deployment {
        name: "web",
        image: "registry.example:5000/web:slim",
        original: "shop/web:latest",
        profile: "web.seccomp.json",
        hardening: &hardening,
        plan: &plan,
        seccomp: &seccomp,
        alone: &seccomp,
    })
}

/// `UPDATE_GOLDEN=1 cargo test` writes the file anew; git shows what changed.
fn is_golden(name: &str, export: fn(&Deployment<'_>) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden").join(name);
    let found = exported(export);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(&path).unwrap());
    assert_eq!(found, exported(export), "two exports differ");
}

#[test]
fn docker_run_of_a_web_server() {
    is_golden("docker-run.sh", docker_run::script);
}

#[test]
fn compose_of_a_web_server() {
    is_golden("compose.yaml", compose::file);
}

#[test]
fn kubernetes_of_a_web_server() {
    is_golden("kubernetes.yaml", kubernetes::documents);
}

#[test]
fn apparmor_of_a_web_server() {
    is_golden("apparmor.profile", apparmor::profile);
}

#[test]
fn systemd_of_a_web_server() {
    is_golden("systemd.conf", systemd::drop_in);
}
