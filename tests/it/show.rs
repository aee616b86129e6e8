//! `show`: what a real recording and its image say, in every view and format.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use slim_tests::{
    Container, Outcome, Tag, agent, corpus, docker, export_image, image_tree, manifest, outcome, record,
    refused, write_json,
};

/// The views that need no path.
const VIEWS: [&str; 9] = [
    "--files",
    "--packages",
    "--executables",
    "--surface",
    "--capabilities",
    "--syscalls",
    "--connects",
    "--writes",
    "--by-process",
];

fn show(manifest: &Path, options: &[&str]) -> Result<Command> {
    let mut command = agent()?;
    command.arg("show").arg(manifest).args(options);
    Ok(command)
}

fn shown(manifest: &Path, options: &[&str]) -> Result<Outcome> {
    outcome(&mut show(manifest, options)?)
}

fn as_json(manifest: &Path, options: &[&str]) -> Result<Value> {
    let text = shown(manifest, &[options, &["--format", "json"]].concat())?.expect(0)?;
    serde_json::from_str(&text).with_context(|| format!("{options:?} is not JSON"))
}

/// An image on top of nginx with something of each sort in it, and a recording of its pages.
fn recorded(place: &Path) -> Result<(Tag, PathBuf)> {
    let image = Tag::new("show");
    let lines = "FROM slim-test/nginx:latest\nENV UPSTREAM_PASSWORD=hunter2\n\
                 RUN cp /bin/true /opt/raise && chmod 4755 /opt/raise && install -m 666 /dev/null /opt/open\n";
    std::fs::write(place.join("Dockerfile"), lines)?;
    docker(&["build", "--quiet", "--tag", image.name(), &place.to_string_lossy()])?;
    let container = Container::create(image.name(), &[], &[])?;
    let manifest = place.join("m.json");
    record(&[container.name()], &manifest, &corpus("nginx")?.check_program())?.expect(0)?;
    Ok((image, manifest))
}

fn finding<'a>(view: &'a Value, kind: &str, name: &str) -> Result<&'a Value> {
    let all = view["findings"].as_array().context("no findings")?;
    let found = all.iter().find(|finding| finding["kind"] == kind && finding["name"] == name);
    found.with_context(|| format!("no {kind} {name} in {view}"))
}

fn figure<'a>(summary: &'a Value, name: &str) -> Result<&'a Value> {
    let all = summary["figures"].as_array().context("no figures")?;
    all.iter().find(|figure| figure["name"] == name).with_context(|| format!("no figure {name}"))
}

#[test]
fn every_view_of_a_recorded_nginx_says_what_is_true() -> Result<()> {
    let place = tempfile::tempdir()?;
    let (image, manifest) = recorded(place.path())?;
    for view in VIEWS {
        ensure!(as_json(&manifest, &[view])?["schema"] == "slim-agent/show/1", "{view}");
        for format in ["text", "markdown"] {
            let text = shown(&manifest, &[view, "--format", format])?.expect(0)?;
            ensure!(!text.is_empty() && !text.contains("hunter2"), "{view} {format}: {text}");
        }
    }
    let surface = as_json(&manifest, &["--surface"])?;
    let raise = finding(&surface, "setuid-files", "/opt/raise")?;
    ensure!(raise["slim"] == false && raise["detail"] == "mode 4755, owner 0:0", "{raise}");
    let key = finding(&surface, "private-keys", "/etc/nginx/tls/key.pem")?;
    ensure!(key["slim"] == true && key["uses"] == serde_json::json!(["open"]), "{key}");
    ensure!(finding(&surface, "world-writable", "/opt/open")?["slim"] == false);
    let secret = finding(&surface, "secrets-in-env", "UPSTREAM_PASSWORD")?;
    ensure!(!surface.to_string().contains("hunter2") && secret["slim"] == true);

    let summary = as_json(&manifest, &[])?;
    ensure!(figure(&summary, "setuid-files")?["slim"] == 0 && figure(&summary, "shells")?["slim"] == 0);
    ensure!(figure(&summary, "executables")?["ran"] == 1 && figure(&summary, "executables")?["slim"] == 1);
    let slim = Tag::new("shown");
    let report = export_image(&manifest, slim.name(), &[])?.expect(0)?;
    let report: Value = serde_json::from_str(&report)?;
    for (name, original) in [("bytes", "original_bytes"), ("files", "original_files")] {
        let figure = figure(&summary, name)?;
        ensure!(
            figure["slim"] == report[name] && figure["original"] == report[original],
            "{figure} {report}"
        );
    }
    let tree = image_tree(slim.name())?;
    for package in ["/opt/raise", "/opt/open", "/usr/bin/dash"] {
        ensure!(tree.get(package).is_none(), "{package} is in the slim image");
    }
    ensure!(image_tree(image.name())?.get("/opt/raise").is_some());
    with_a_shell(&manifest)
}

/// The policy's options count.
fn with_a_shell(manifest: &Path) -> Result<()> {
    let surface = as_json(manifest, &["--surface", "--include-shell"])?;
    ensure!(finding(&surface, "shells", "/usr/bin/dash")?["slim"] == true);
    let text = shown(manifest, &[])?.expect(0)?;
    let last = text.lines().last().unwrap_or_default();
    ensure!(VIEWS.iter().all(|view| last.contains(view)), "{last}");
    let why = shown(manifest, &["--why", "/sbin/nginx"])?.expect(0)?;
    for part in ["leads to  /usr/sbin/nginx", "dpkg:nginx", "used (exec"] {
        ensure!(why.contains(part), "{part:?} is not in:\n{why}");
    }
    ensure!(shown(manifest, &["--why", "/opt/raise"])?.expect(0)?.contains("no: nothing asks for it"));
    refused(&mut show(manifest, &["--why", "/opt/none"])?, 1, &["nothing is known of /opt/none"]).map(drop)
}

#[test]
fn an_image_that_is_gone_leaves_the_manifest() -> Result<()> {
    let place = tempfile::tempdir()?;
    let id = format!("sha256:{}", "0".repeat(64));
    let path = write_json(place.path(), "m.json", &manifest(&id, &["/etc/passwd"]))?;
    let summary = as_json(&path, &[])?;
    ensure!(figure(&summary, "files")?["slim"].is_null());
    ensure!(summary["notes"].to_string().contains("the manifest alone"), "{}", summary["notes"]);
    let files = shown(&path, &["--files"])?.expect(0)?;
    ensure!(files.contains("/etc/passwd") && files.contains("the manifest alone"), "{files}");
    ensure!(shown(&path, &["--no-image", "--why", "/etc/passwd"])?.expect(0)?.contains("open"));
    refused(&mut show(&path, &["--image", "slim-test/none:gone"])?, 1, &["slim-test/none:gone"]).map(drop)
}
