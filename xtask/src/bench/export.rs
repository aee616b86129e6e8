//! What an export costs, by how much of a large image it keeps.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use crate::docker::{docker, has_image, image_size};
use crate::load::median;
use crate::process::{self, command, found, output};
use crate::table::{Table, bytes};

/// The image that is exported: 30,000 files of random bytes, 1.6 GB.
const IMAGE: &str = "slim-bench/export:latest";
const DIRECTORIES: usize = 30;
const FILES: usize = 1000;
const DOCKERFILE: &str = "FROM debian:bookworm-slim\n\
    RUN for d in $(seq 0 29); do mkdir -p /data/$d && head -c 53333000 /dev/urandom \
    | split -b 53333 -d -a 3 - /data/$d/f; done\n";
/// Of how many files one is kept.
const SHARES: [usize; 3] = [1000, 100, 10];

/// One export.
struct Run {
    files: usize,
    kept: u64,
    seconds: Vec<f64>,
    /// Of the agent alone, without the engine.
    cpu: Vec<f64>,
    peak: Vec<f64>,
}

/// The runs, and for comparison the seconds that the engine takes to save the image.
pub struct Costs {
    size: u64,
    runs: Vec<Run>,
    save: f64,
}

/// Exports the image with each share of its files.
pub fn measure(agent: &Path, place: &Path, rounds: usize) -> Result<Costs> {
    ensure!(found("time"), "time is missing: apt-get install time");
    if !has_image(IMAGE) {
        build()?;
    }
    let id = output(&mut docker(&["image", "inspect", "--format", "{{.Id}}", IMAGE]))?;
    let mut runs = Vec::new();
    for share in SHARES {
        let manifest = place.join(format!("export-{share}.manifest.json"));
        let files = files().step_by(share);
        let count = files.clone().count();
        std::fs::write(&manifest, by_hand(&id, files).to_string())
            .with_context(|| format!("cannot write {}", manifest.display()))?;
        runs.push(exports(agent, place, &manifest, count, rounds)?);
    }
    let begin = Instant::now();
    process::run(docker(&["save", IMAGE]).stdout(Stdio::null()))?;
    let save = begin.elapsed().as_secs_f64();
    Ok(Costs { size: image_size(IMAGE)?, runs, save })
}

fn build() -> Result<()> {
    let mut build = docker(&["build", "--quiet", "--tag", IMAGE, "-"]);
    let build = build.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = build.spawn().context("cannot run docker")?;
    let mut to = child.stdin.take().context("docker has no standard input")?;
    to.write_all(DOCKERFILE.as_bytes()).context("cannot send docker the Dockerfile")?;
    drop(to);
    let ended = child.wait_with_output().context("cannot wait for docker")?;
    let complaint = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success(), "cannot build {IMAGE}: {}", complaint.trim());
    Ok(())
}

fn files() -> impl Iterator<Item = String> + Clone {
    (0..DIRECTORIES).flat_map(|dir| (0..FILES).map(move |file| format!("/data/{dir}/f{file:03}")))
}

/// A manifest of one recording in which the application opened `files`.
fn by_hand(image: &str, files: impl Iterator<Item = String>) -> Value {
    let id = "0123456789abcdef";
    let opened = json!({
        "origin": "image", "uses": ["open"], "by": [], "phases": ["app"], "first_ms": 0, "seen_in": [id],
    });
    let files: Map<_, _> = files.map(|name| (name, opened.clone())).collect();
    json!({
        "schema": "slim-agent/manifest/1",
        "image": { "id": image, "repo_digests": [], "names": [] },
        "recordings": { id: {
            "container_id": null, "container_name": "bench", "started": "", "duration_ms": 1, "kernel": "",
            "runtime": null, "seccomp": "none", "mounts": {}, "startup_observed": true, "complete": true,
            "incomplete": [], "hooks": {}, "counters": {},
        }},
        "files": files, "sockets": {}, "syscalls": {},
    })
}

fn exports(agent: &Path, place: &Path, manifest: &Path, files: usize, rounds: usize) -> Result<Run> {
    let mut run = Run { files, kept: 0, seconds: Vec::new(), cpu: Vec::new(), peak: Vec::new() };
    let tag = format!("slim-bench/export-{}:slim", std::process::id());
    let usage = place.join("export.time");
    for _ in 0..rounds {
        let mut export = timed(agent, &usage);
        export.args(["export", "image", "--format", "json", "--tag", &tag]);
        export.arg("--explain").arg(place.join("export.plan.json")).arg(manifest);
        let report = output(&mut export)?;
        let report: Value = serde_json::from_str(&report).context("the report is not JSON")?;
        run.kept = report["bytes"].as_u64().context("the report has no bytes")?;
        let text = std::fs::read_to_string(&usage).context("time wrote nothing")?;
        let figures: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [elapsed, user, system, kilobytes] = figures[..] else { anyhow::bail!("time wrote {text:?}") };
        run.seconds.push(elapsed);
        run.cpu.push(user + system);
        run.peak.push(kilobytes / 1024.0);
        output(&mut docker(&["image", "rm", &tag]))?;
    }
    Ok(run)
}

/// The agent under time(1), which says what it used.
fn timed(agent: &Path, usage: &Path) -> Command {
    let mut timed = command("time", ["--format", "%e %U %S %M", "--output"]);
    timed.arg(usage).arg(PathBuf::from(agent));
    timed
}

impl Costs {
    /// For machines.
    pub fn json(&self) -> Value {
        let run = |run: &Run| {
            json!({
                "files": run.files, "bytes": run.kept, "seconds": median(&run.seconds),
                "cpu_seconds": median(&run.cpu), "peak_mib": median(&run.peak),
            })
        };
        let runs: Vec<_> = self.runs.iter().map(run).collect();
        json!({ "image_bytes": self.size, "exports": runs, "docker_save_seconds": self.save })
    }

    /// For people.
    pub fn print(&self) {
        let title = format!("of {}, {} files", bytes(self.size), DIRECTORIES * FILES);
        let mut table = Table::new(&[&title, "kept", "seconds", "of them our CPU", "peak MiB"]);
        for run in &self.runs {
            table.row([
                format!("export image, {} files", run.files),
                bytes(run.kept),
                format!("{:.2}", median(&run.seconds)),
                format!("{:.2}", median(&run.cpu)),
                format!("{:.0}", median(&run.peak)),
            ]);
        }
        table.row(["docker save".to_owned(), String::new(), format!("{:.2}", self.save)]);
        table.print();
    }
}
