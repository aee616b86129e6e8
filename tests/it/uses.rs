//! Every way to use a path or a socket is in the manifest, as what it was.

use anyhow::{Result, ensure};
use slim_tests::{Container, Manifest, corpus, record_script, record_until_it_exits};

/// What `uses.py` does: path and one of its uses.
const FILES: &[(&str, &str)] = &[
    // Relative names and the directories they start from.
    ("/etc", "chdir"),
    ("/etc/debian_version", "open"),
    ("/usr/share/zoneinfo/Etc/UTC", "stat"),
    ("/usr/lib", "open"),
    ("/usr/lib/ssl", "stat"),
    // Symbolic links on the way, as last component, and meant themselves.
    ("/usr/share/zoneinfo/UTC", "hop"),
    ("/etc/os-release", "hop"),
    ("/usr/lib/os-release", "open"),
    ("/bin", "hop"),
    ("/usr/bin/true", "stat"),
    ("/etc/alternatives/awk", "stat"),
    ("/usr/bin/awk", "readlink"),
    // Looked at without being opened.
    ("/usr/share/base-files", "list"),
    ("/etc/shells", "stat"),
    ("/usr/share/dict", "stat"),
    ("/etc/issue.net", "stat"),
    ("/etc/gshadow", "open"),
    // Executions: refused, of a script, of its interpreter, of a program found in PATH.
    ("/etc/passwd", "exec"),
    ("/usr/bin/ldd", "exec"),
    ("/usr/bin/bash", "interpreter"),
    ("/usr/bin/cat", "exec"),
    // Changes.
    ("/tmp/dir", "entry"),
    ("/tmp/dir/old", "write"),
    ("/tmp/dir/old", "entry"),
    ("/tmp/dir/new", "entry"),
    ("/tmp/dir/new", "change"),
    ("/tmp/dir/new", "open"),
    ("/tmp/dir/twin", "entry"),
    ("/tmp/link", "entry"),
    ("/tmp/link", "hop"),
    ("/tmp/dir", "chdir"),
    // Bytes that are no text: a path in JSON spells them \xHH, and a backslash \\.
    ("/tmp/dir/\\xff\\\\", "write"),
    ("/tmp/dir/socket", "socket"),
];

const SOCKETS: &[(&str, &str)] = &[
    ("unix /tmp/dir/socket", "bind"),
    ("unix /tmp/dir/socket", "connect"),
    ("unix @hidden", "bind"),
    ("inet 127.0.0.1:9", "connect"),
    ("inet [::1]:9", "connect"),
    ("inet 127.0.0.1:53", "send"),
];

/// What it asked for in vain, or must not be taken to have used.
const ABSENT: [&str; 5] =
    ["/no/such/file", "/no/such/program", "/usr/bin/mawk", "/etc/gshadow-", "/tmp/other"];

#[test]
fn every_way_to_use_a_path_or_a_socket_is_seen_as_what_it_was() -> Result<()> {
    let place = tempfile::tempdir()?;
    let path = place.path().join("m.json");
    let image = corpus("flask")?.tag();
    let options = ["--user", "0", "--entrypoint", "python3"];
    let container = Container::create(&image, &options, &["-c", include_str!("uses.py")])?;
    // It ends when told so: links that a program makes can be followed only while its container lives.
    let script = "until docker logs \"$SLIM_CONTAINER_ID\" 2>&1 | grep -E 'done|Error'; do sleep 0.1; done";
    record_script(&[container.name()], &path, script)?.expect(0)?;
    ensure!(container.logs()?.contains("done"), "{}", container.logs()?);
    let manifest = Manifest::read(&path)?;
    manifest.whole()?;

    let missing = |seen: std::collections::BTreeSet<&str>, name: &str, expected: &str| {
        (!seen.contains(expected)).then(|| format!("{name}: expected {expected}, found {seen:?}"))
    };
    let files = FILES.iter().filter_map(|(name, expected)| missing(manifest.uses(name), name, expected));
    let sockets =
        SOCKETS.iter().filter_map(|(name, expected)| missing(manifest.socket(name), name, expected));
    let wrong =
        ABSENT.iter().filter(|name| !manifest.uses(name).is_empty()).map(|name| format!("{name} is there"));
    let faults: Vec<String> = files.chain(sockets).chain(wrong).collect();
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

#[test]
fn what_lies_on_mounts_is_no_image_content() -> Result<()> {
    let place = tempfile::tempdir()?;
    let (path, bound) = (place.path().join("m.json"), place.path().join("bound"));
    std::fs::create_dir(&bound)?;
    std::fs::write(bound.join("file"), "text")?;
    let bind = format!("{}:/srv:ro", bound.display());
    let options = ["--network", "none", "--volume", &bind, "--volume", "/var/spool", "--tmpfs", "/var/tmp"];
    let script = "cat /srv/file /proc/self/stat; : > /var/spool/x; : > /var/tmp/x; : > /tmp/x; : < /dev/null";
    let container = Container::create(slim_tests::BASE, &options, &["sh", "-ec", script])?;
    record_until_it_exits(&[container.name()], &path)?.expect(0)?;
    ensure!(container.wait()? == 0, "{}", container.logs()?);
    let manifest = Manifest::read(&path)?;
    for (path, origin) in [
        ("/srv/file", "volume"),
        ("/var/spool/x", "volume"),
        ("/var/tmp/x", "tmpfs"),
        ("/tmp/x", "image"),
        ("/dev/null", "kernel"),
    ] {
        ensure!(manifest.origin(path) == origin, "{path} lies on {:?}", manifest.origin(path));
    }
    let in_proc: Vec<_> = manifest.paths().filter(|path| path.starts_with("/proc/")).collect();
    ensure!(!in_proc.is_empty() && in_proc.iter().all(|path| manifest.origin(path) == "kernel"));
    Ok(())
}
