//! Manifests made by hand, for what no recording would write.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// A complete manifest of one recording of `image`, in which the application opened `paths`.
pub fn manifest(image: &str, paths: &[&str]) -> Value {
    let id = "0123456789abcdef";
    let opened = |path: &&str| {
        let file = json!({
            "origin": "image", "uses": ["open"], "by": [], "phases": ["app"], "first_ms": 0, "seen_in": [id],
        });
        ((*path).to_owned(), file)
    };
    let files: serde_json::Map<_, _> = paths.iter().map(opened).collect();
    json!({
        "schema": "slim-agent/manifest/1",
        "image": { "id": image, "repo_digests": [], "names": [] },
        "recordings": { id: {
            "container_id": "0".repeat(64), "container_name": "by-hand", "started": "2024-01-01T00:00:00Z",
            "duration_ms": 1, "kernel": "6.1.0 x86_64", "runtime": "docker 20.10.24, runc 1.1.5",
            "seccomp": "default", "mounts": {}, "startup_observed": true, "complete": true, "incomplete": [],
            "hooks": {}, "counters": { "sys_exit": {
                "hits": 0, "filtered": 0, "duplicate": 0, "sent": 0, "deferred": 0, "ring_full": 0, "seen_full": 0,
                "truncated": 0, "unreadable": 0,
            } },
        }},
        "files": files,
        "sockets": {},
        "syscalls": { "x86_64": { "read": { "phases": ["app"], "refused": [], "seen_in": [id] } } },
    })
}

/// A path as manifests spell it: bytes that are no UTF-8, and backslashes, escaped.
pub fn escaped(path: &Path) -> String {
    let mut spelled = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        spelled.push_str(&chunk.valid().replace('\\', "\\\\"));
        spelled.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    spelled
}

/// Writes a value as a file; its path.
pub fn write_json(dir: &Path, name: &str, value: &Value) -> Result<PathBuf> {
    let path = dir.join(name);
    std::fs::write(&path, value.to_string()).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
