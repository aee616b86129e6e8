//! Does an estimate from a few recordings predict what more of them find?

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use slim_tests::{Container, agent, docker, outcome, read_json};

/// Pages of the site, each with its pictures.
const PAGES: u64 = 40;
const RECORDINGS: u64 = 20;
const FEW: usize = 5;
const SPLITS: u64 = 30;
const NODES: u64 = 3;

/// A number that is the same in each run of the test.
fn drawn(one: u64, other: u64) -> u64 {
    let drawn = (one * 1009 + other + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (drawn ^ drawn >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93) >> 32
}

/// How many pictures a page has: what comes together.
fn pictures(page: u64) -> u64 {
    page % 3
}

/// Whether somebody asks for a page in a run: for the first five always, for each other with a chance of its own from 4
/// to 72 %.
fn is_asked_for(run: u64, page: u64) -> bool {
    page < 5 || drawn(run, page) % 100 < 2 + (page - 4) * 2
}

fn addresses(pages: impl Iterator<Item = u64>) -> Vec<String> {
    let of_page = |page| {
        let pictures = (0..pictures(page)).map(move |picture| format!("{page}-{picture}.png"));
        pictures.chain([format!("{page}.html")])
    };
    pages.flat_map(of_page).collect()
}

/// A web server with the pages, not started.
fn web_server(place: &Path) -> Result<Container> {
    let site = place.join("pages");
    fs::create_dir(&site)?;
    for name in addresses(0..PAGES) {
        fs::write(site.join(&name), name)?;
    }
    let container = Container::create("slim-test/nginx:latest", &[], &[])?;
    docker(&["cp", &site.to_string_lossy(), &format!("{}:/srv/site/", container.name())])?;
    Ok(container)
}

/// Records one start, on one of some nodes, and what is asked for in it.
fn recorded(run: u64, container: &Container, place: &Path) -> Result<PathBuf> {
    let path = place.join(format!("{run}.json"));
    let asked = addresses((0..PAGES).filter(|&page| is_asked_for(run, page)));
    let load = format!(
        "until curl -sfo /dev/null \"http://$SLIM_CONTAINER_IP/health\"; do sleep 0.05; done\n\
         curl -sSf \"http://$SLIM_CONTAINER_IP/pages/{{{}}}\" > /dev/null",
        asked.join(",")
    );
    let mut command = Command::new("unshare");
    command.args(["--uts", "sh", "-euc", "hostname \"$0\"; exec \"$@\"", &format!("node{}", run % NODES)]);
    command.arg(agent()?.get_program()).args(["record", container.name(), "-o"]).arg(&path);
    outcome(command.args(["--", "sh", "-euc", &load]))?.expect(0)?;
    container.kill()?;
    Ok(path)
}

fn coverage(manifests: &[PathBuf], options: &[&str], code: i32) -> Result<Value> {
    let mut command = agent()?;
    command.args(["coverage", "--format", "json"]).args(options).args(manifests);
    serde_json::from_str(&outcome(&mut command)?.expect(code)?).context("coverage printed no JSON")
}

fn number(value: &Value) -> Result<f64> {
    value.as_f64().with_context(|| format!("{value} is no number"))
}

/// The interval of unseen paths.
fn interval(coverage: &Value) -> Result<(f64, f64)> {
    let estimate = &coverage["paths"]["estimate"];
    ensure!(estimate["over"] == "starts", "{coverage}");
    Ok((number(&estimate["unseen_lower"])?, number(&estimate["unseen_upper"])?))
}

/// Five recordings, another choice for each `split`.
fn few(manifests: &[PathBuf], split: u64) -> Vec<PathBuf> {
    let mut order: Vec<u64> = (0..manifests.len() as u64).collect();
    order.sort_by_key(|&recording| drawn(1000 + split, recording));
    order.iter().take(FEW).map(|&recording| manifests[recording as usize].clone()).collect()
}

#[test]
fn intervals_from_five_starts_hold_what_fifteen_more_find() -> Result<()> {
    let place = tempfile::tempdir()?;
    let container = web_server(place.path())?;
    let manifests =
        (0..RECORDINGS).map(|run| recorded(run, &container, place.path())).collect::<Result<Vec<_>>>()?;
    let all = coverage(&manifests, &[], 0)?;
    let observed = number(&all["paths"]["observed"])?;
    let (mut held, mut told) = (0, Vec::new());
    for split in 0..SPLITS {
        let known = coverage(&few(&manifests, split), &[], 0)?;
        let later = observed - number(&known["paths"]["observed"])?;
        let (lower, upper) = interval(&known)?;
        ensure!(later > 0.0, "five recordings found all: {known}");
        held += u64::from((lower..=upper).contains(&later));
        told.push(format!("{later} in {lower}-{upper}"));
    }
    println!("found later: {}", told.join(", "));
    // They share recordings, so that they are not as many samples as there are splits.
    ensure!(held * 10 >= SPLITS * 8, "{held} of {SPLITS} hold: {told:?}");
    ensure!(interval(&all)?.1 < interval(&coverage(&few(&manifests, 0), &[], 0)?)?.1, "{all}");
    knows_starts_and_nodes(&all)?;
    gates(&manifests)?;
    dates(&manifests)
}

fn knows_starts_and_nodes(all: &Value) -> Result<()> {
    ensure!(all["starts"] == RECORDINGS && all["nodes"] == NODES, "{all}");
    let line = all["line"].as_str().context("there is no line")?;
    ensure!(line.ends_with(&format!("; {RECORDINGS} starts, {NODES} nodes")), "{line}");
    ensure!(all["paths"]["nodes"]["samples"] == NODES, "{all}");
    // A start that showed something is not quiet, and somebody asked for something new in most of the first ones.
    let curve = all["paths"]["history"]["by_start"].as_array().context("there is no curve")?;
    ensure!(curve.len() as u64 == RECORDINGS, "{curve:?}");
    ensure!(curve.last().map(|point| &point["known"]) == Some(&all["paths"]["observed"]), "{curve:?}");
    Ok(())
}

/// What five recordings know is not enough, what all know is; two say nothing about the rest, and no rule lets that pass.
fn gates(manifests: &[PathBuf]) -> Result<()> {
    let rules = ["--min-recordings", "5", "--min-nodes", "3", "--max-unseen", "2"];
    let refused = coverage(&manifests[..FEW], &rules, 6)?;
    let unmet = refused["unmet"].as_array().context("nothing is unmet")?;
    ensure!(refused["ready"] == false && unmet.len() == 2, "both kinds have something unseen: {unmet:?}");
    coverage(manifests, &["--min-recordings", "20", "--min-nodes", "3", "--max-unseen", "60"], 0)?;
    ensure!(coverage(&manifests[..2], &rules, 6)?["paths"]["estimate"].is_null());
    let never = coverage(manifests, &["--quiet-for", "48h", "--min-hours", "1"], 6)?;
    ensure!(never["unmet"].as_array().is_some_and(|unmet| unmet.len() == 3), "{never}");
    Ok(())
}

/// Each path is dated within its recording.
fn dates(manifests: &[PathBuf]) -> Result<()> {
    let manifest = read_json(manifests.first().context("nothing was recorded")?)?;
    let recordings = manifest["recordings"].as_object().context("there are no recordings")?;
    let recording = recordings.values().next().context("there is no recording")?;
    let started = recording["started"].as_str().context("it never started")?;
    let started: u64 = slim_tests::output(Command::new("date").args(["+%s", "--date", started]))?.parse()?;
    let lasted = recording["duration_ms"].as_u64().context("it did not last")? / 1000 + 1;
    let used = |kind: &Value| kind.as_object().into_iter().flatten().map(|(_, used)| used.clone()).collect();
    let files: Vec<Value> = used(&manifest["files"]);
    let calls: Vec<Value> = used(&manifest["syscalls"]["x86_64"]);
    for thing in files.iter().chain(&calls) {
        let seen = thing["first_seen"].as_u64().with_context(|| format!("not dated: {thing}"))?;
        ensure!((started..=started + lasted).contains(&seen), "{thing} of {started} and {lasted} s");
    }
    ensure!(recording["node"] == "node0", "{recording}");
    Ok(())
}
