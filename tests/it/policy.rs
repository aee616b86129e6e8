//! What is kept beyond what was seen, and what the user decides: on real images, and run.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use slim_tests::{
    BASE, Container, Tag, agent, docker, explanation, export_image, image_tree, outcome, read_json, record,
    record_until_it_exits, refused, told,
};

/// A manifest of what `docker run OPTIONS IMAGE COMMAND` used until it ended.
fn recorded(place: &Path, image: &str, options: &[&str], command: &[&str]) -> Result<std::path::PathBuf> {
    let container = Container::create(image, options, command)?;
    let manifest = place.join("m.json");
    record_until_it_exits(&[container.name()], &manifest)?.expect(0)?;
    Ok(manifest)
}

/// What `docker run OPTIONS IMAGE COMMAND` printed; its exit code must be `code`.
fn run(code: i32, image: &str, options: &[&str], command: &[&str]) -> Result<String> {
    let words = [&["run", "--rm"], options, &[image], command].concat();
    let ran = outcome(Command::new("docker").args(words))?;
    ran.expect(code)
}

/// An image from a Dockerfile without a context.
fn built(dockerfile: &str) -> Result<Tag> {
    let tag = Tag::new("policy");
    let mut build = Command::new("docker");
    let mut build = build
        .args(["build", "--quiet", "--tag", tag.name(), "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    build.stdin.take().context("no standard input")?.write_all(dockerfile.as_bytes())?;
    ensure!(build.wait()?.success(), "docker build failed");
    Ok(tag)
}

fn why<'a>(plan: &'a Value, path: &str) -> &'a Value {
    &plan["kept"][path][0]
}

#[test]
fn a_program_that_was_only_looked_at_runs_with_all_its_libraries() -> Result<()> {
    let place = tempfile::tempdir()?;
    let command = ["sh", "-c", "test -x /usr/bin/ls && test -z \"$LIST\" || ls /usr/bin/ls"];
    let manifest = recorded(place.path(), BASE, &[], &command)?;
    let (with, without) = (Tag::new("with"), Tag::new("without"));
    export_image(&manifest, with.name(), &[])?.expect(0)?;
    let plan = read_json(&explanation(&manifest))?;
    let library = "/usr/lib/x86_64-linux-gnu/libselinux.so.1";
    ensure!(why(&plan, library)["rule"]["rule"] == "libraries", "{}", plan["kept"][library]);
    ensure!(run(0, with.name(), &["--env", "LIST=1"], &command)?.trim() == "/usr/bin/ls");
    export_image(&manifest, without.name(), &["--without", "libraries"])?.expect(0)?;
    run(127, without.name(), &["--env", "LIST=1"], &command).map(drop)
}

#[test]
fn an_unprivileged_user_makes_files_where_the_original_let_them() -> Result<()> {
    let place = tempfile::tempdir()?;
    let image = built(&format!(
        "FROM {BASE}\nRUN mkdir -p /srv/data/sub && chown -R 1000:1000 /srv/data && chmod 2750 /srv/data/sub && \
         ln -s srv/data /data\nUSER 1000:1000\n"
    ))?;
    let command = [
        "sh",
        "-ec",
        "echo hello > /data/sub/$1; echo x > /var/tmp/$1; read back < /data/sub/$1; echo $back",
        "sh",
    ];
    let manifest = recorded(place.path(), image.name(), &[], &[&command[..], &["one"]].concat())?;
    let slim = Tag::new("writes");
    export_image(&manifest, slim.name(), &[])?.expect(0)?;
    ensure!(run(0, slim.name(), &["--read-only=false"], &[&command[..], &["two"]].concat())? == "hello\n");
    let (before, after) = (image_tree(image.name())?, image_tree(slim.name())?);
    for path in ["/srv/data/sub", "/data", "/var/tmp"] {
        ensure!(before.get(path) == after.get(path), "{path} is {:?}", after.get(path));
    }
    Ok(())
}

#[test]
fn a_checked_in_file_decides_what_is_kept_and_what_is_not() -> Result<()> {
    let place = tempfile::tempdir()?;
    let manifest = recorded(place.path(), BASE, &[], &["cat", "/etc/debian_version", "/etc/issue"])?;
    fs::write(
        place.path().join("slim.toml"),
        "include = [\"/etc/skel/**\"]\nexclude = [\"/etc/issue\"]\ninclude-package = [\"dpkg:sed\"]\ninclude-shell = true\n",
    )?;
    let slim = Tag::new("settings");
    let mut export = agent()?;
    export.args(["export", "image", "--tag", slim.name(), "--explain", "why.json", "--include", "/none"]);
    let notes =
        ["options from slim.toml", "include /none matches nothing", "exclude /etc/issue takes out 1 path"];
    told(export.arg(&manifest).current_dir(place.path()), 0, &notes)?;
    let plan = read_json(&place.path().join("why.json"))?;
    ensure!(why(&plan, "/etc/skel/.bashrc")["included"] == "/etc/skel/**");
    ensure!(plan["left_out"]["/etc/issue"]["excluded"] == "/etc/issue");
    ensure!(why(&plan, "/usr/bin/sed")["included-package"] == "dpkg:sed");
    let script = "ls /etc/skel/.bashrc && sed --version >/dev/null && ! test -e /etc/issue";
    run(0, slim.name(), &[], &["sh", "-ec", script])?;

    fs::write(place.path().join("slim.toml"), "included = []\n")?;
    let mut export = agent()?;
    export.args(["export", "image", "--tag", slim.name()]).arg(&manifest).current_dir(place.path());
    refused(&mut export, 1, &["slim.toml", "included"]).map(drop)
}

#[test]
fn a_scanner_finds_the_packages_that_are_left() -> Result<()> {
    let place = tempfile::tempdir()?;
    let container = Container::create("slim-test/nginx:latest", &[], &[])?;
    let manifest = place.path().join("m.json");
    record(&[container.name()], &manifest, &slim_tests::corpus("nginx")?.check_program())?.expect(0)?;
    let (slim, silent) = (Tag::new("packages"), Tag::new("silent"));
    export_image(&manifest, slim.name(), &[])?.expect(0)?;
    let packages = installed(slim.name())?;
    let nginx = packages.iter().find(|stanza| stanza.starts_with("Package: nginx\n"));
    let nginx = nginx.with_context(|| format!("nginx is not among {packages:?}"))?;
    for part in ["\nVersion: 1.", "\nStatus: install ok installed\n", "\nX-Slim-Agent: partial "] {
        ensure!(nginx.contains(part), "{part:?} is missing in:\n{nginx}");
    }
    ensure!(!packages.iter().any(|stanza| stanza.starts_with("Package: apt\n")), "apt is gone");
    export_image(&manifest, silent.name(), &["--no-package-metadata"])?.expect(0)?;
    ensure!(image_tree(silent.name())?.get("/var/lib/dpkg/status.d").is_none());
    Ok(())
}

/// The paragraphs in `/var/lib/dpkg/status.d` of an image, as scanners find them: every file but checksums.
fn installed(image: &str) -> Result<Vec<String>> {
    let container = Container::create(image, &[], &["x"])?;
    let place = tempfile::tempdir()?;
    let from = format!("{}:/var/lib/dpkg/status.d", container.name());
    docker(&["cp", &from, &place.path().to_string_lossy()])?;
    let mut found = Vec::new();
    for entry in fs::read_dir(place.path().join("status.d"))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "md5sums") {
            found.push(fs::read_to_string(path)?);
        }
    }
    Ok(found)
}
