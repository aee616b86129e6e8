//! Recordings shared through real registries: Debian's, which knows only tags, and one that answers who refers to an image.

mod refusals;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use slim_tests::{
    BASE, Container, Daemon, Meddler, Outcome, PAIR, Registry, Repository, SmallImage, agent, docker,
    manifest, outcome, output, refused, wait_until, write_json,
};

use crate::main_job::recorded;

const ARTIFACT: &str = "application/vnd.slim-agent.manifest.v1+json";
const NODES: usize = 20;

/// A registry, and somebody who may write to it.
struct Team {
    registry: Registry,
    login: PathBuf,
    place: tempfile::TempDir,
}

impl Team {
    fn new(registry: Registry) -> Result<Self> {
        Ok(Self { login: registry.login(PAIR)?, registry, place: tempfile::tempdir()? })
    }

    fn repository(&self, name: &str) -> Repository {
        Repository::of(&self.registry, name)
    }

    fn slim(&self, args: &[&str]) -> Result<Command> {
        let mut agent = agent()?;
        agent.args(args).env("DOCKER_CONFIG", &self.login).current_dir(self.place.path());
        Ok(agent)
    }

    fn run(&self, args: &[&str]) -> Result<Outcome> {
        outcome(&mut self.slim(args)?)
    }

    /// What `--format json` says.
    fn report(&self, args: &[&str]) -> Result<Value> {
        let said = self.run(&[args, &["--format", "json"]].concat())?.expect(0)?;
        serde_json::from_str(&said).with_context(|| format!("{said} is not JSON"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// A manifest for each node; the files' names.
    fn nodes(&self, image: &SmallImage, count: usize) -> Result<Vec<String>> {
        let write = |number: usize| {
            let name = format!("node-{number}.json");
            write_json(self.place.path(), &name, &image.recorded(number)?)?;
            Ok(name)
        };
        (0..count).map(write).collect()
    }

    /// The union as `merge` makes it.
    fn union(&self, files: &[String]) -> Result<Vec<u8>> {
        let files: Vec<_> = files.iter().map(String::as_str).collect();
        self.run(&[&["merge", "-o", "union.json"], files.as_slice()].concat())?.expect(0)?;
        Ok(fs::read(self.file("union.json"))?)
    }

    /// What `pull` gives for `place` with these options.
    fn pulled(&self, place: &str, options: &[&str]) -> Result<Vec<u8>> {
        self.run(&[&["pull", place, "-o", "pulled.json"], options].concat())?.expect(0)?;
        Ok(fs::read(self.file("pulled.json"))?)
    }
}

/// All nodes push at once; what is pulled is the union of what they have, again when they push the same again.
fn twenty_at_once(registry: Registry, by_registry: bool) -> Result<()> {
    let team = Team::new(registry)?;
    let repository = team.repository("team/app");
    let image = repository.put_image("1", "app")?;
    let files = team.nodes(&image, NODES)?;
    let place = format!("{}:1", repository.place);
    for _ in 0..2 {
        let start = |file: &String| -> Result<_> {
            let mut push = team.slim(&["push", file, &place])?;
            Ok(push.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
        };
        let pushing = files.iter().map(start).collect::<Result<Vec<_>>>()?;
        for push in pushing {
            Outcome::from(push.wait_with_output()?).expect(0)?;
        }
        let tags = repository.artifacts()?;
        ensure!(tags.len() == NODES, "expected a tag for each node, found {tags:?}");
        let union = team.union(&files)?;
        ensure!(team.pulled(&place, &[])? == union, "what was pulled is not the union");
        ensure!(team.pulled(&repository.place, &[])? == union, "without a tag something else is found");
    }
    ensure!(team.report(&["push", &files[0], &place])?["already"] == true, "it was pushed again");
    let path = match by_registry {
        true => format!("referrers/{}", image.digest),
        false => format!("manifests/{}", image.digest.replace(':', "-")),
    };
    let listed = repository.json(&path)?;
    let listed: Vec<_> = listed["manifests"].as_array().context("no list")?.iter().collect();
    ensure!(listed.iter().all(|entry| entry["artifactType"] == ARTIFACT), "{listed:?}");
    // Also the list that all rewrite has them all: who writes last puts back what it undid.
    ensure!(listed.len() == NODES, "{} of {NODES} are listed", listed.len());
    ensure!(by_registry != repository.json(&format!("manifests/sha256-{}", &image.digest[7..])).is_ok());
    Ok(())
}

#[test]
fn nothing_is_lost_when_twenty_nodes_push_at_once() -> Result<()> {
    twenty_at_once(Registry::open()?, false)
}

#[test]
fn nothing_is_lost_where_the_registry_lists_referrers_itself() -> Result<()> {
    twenty_at_once(Registry::with_referrers()?, true)
}

#[test]
fn a_real_recording_comes_back_byte_for_byte_and_other_tools_read_it() -> Result<()> {
    let (job, team) = (recorded("nginx")?, Team::new(Registry::open()?)?);
    let name = team.registry.image("team/nginx:1");
    docker(&["tag", &job.image.tag(), &name])?;
    let sent = docker(&["push", "--quiet", &name]);
    docker(&["image", "rm", &name])?;
    sent?;
    let repository = team.repository("team/nginx");
    let report = team.report(&["push", &job.manifest.to_string_lossy(), &name])?;
    let original = fs::read(&job.manifest)?;
    ensure!(
        team.pulled(&repository.place, &["--image", &job.image.tag()])? == original,
        "it is not the same"
    );
    ensure!(team.pulled(&name, &["-q"])? == original, "by tag it is not the same");

    let artifact = format!("docker://{}:{}", repository.place, report["tag"].as_str().context("no tag")?);
    let skopeo = |args: &[&str]| output(Command::new("skopeo").arg("--insecure-policy").args(args));
    let raw: Value = serde_json::from_str(&skopeo(&["inspect", "--raw", "--tls-verify=false", &artifact])?)?;
    ensure!(raw["artifactType"] == ARTIFACT && raw["subject"]["digest"] == report["subject"], "{raw}");
    ensure!(raw["annotations"]["org.slim-agent.image"] == report["image"], "{raw}");
    let copy = team.file("copy");
    let to = format!("dir:{}", copy.display());
    skopeo(&["copy", "--quiet", "--src-tls-verify=false", &artifact, &to])?;
    let layer = raw["layers"][0]["digest"].as_str().context("no layer")?;
    ensure!(
        fs::read(copy.join(layer.trim_start_matches("sha256:")))? == original,
        "skopeo has something else"
    );
    Ok(())
}

#[test]
fn recordings_meet_whatever_name_the_image_was_pulled_by() -> Result<()> {
    let team = Team::new(Registry::open()?)?;
    let repository = team.repository("team/app");
    let image = repository.put_image("1", "app")?;
    let list = repository.put_list("all", &image)?;
    // By a mirror, by the list of platforms, by a tag here, and by no name at all.
    let mirrored = vec![format!("mirror.example/app@{}", image.digest)];
    let listed = vec![format!("docker.io/library/app@{list}")];
    let tagged = vec![format!("{}:all", repository.place)];
    let names = [(mirrored, vec![]), (listed, vec![]), (vec![], tagged), (vec![], vec![])];
    for (number, (digests, tags)) in names.iter().enumerate() {
        let mut recorded = image.recorded(number)?;
        recorded["image"]["repo_digests"] = digests.clone().into();
        recorded["image"]["names"] = tags.clone().into();
        write_json(team.place.path(), &format!("node-{number}.json"), &recorded)?;
        let report = team.report(&["push", &format!("node-{number}.json"), &repository.place])?;
        let expected = if number < 3 { Value::from(image.digest.clone()) } else { Value::Null };
        ensure!(report["subject"] == expected, "{number}: {report}");
    }
    let files: Vec<_> = (0..4).map(|number| format!("node-{number}.json")).collect();
    let union = team.union(&files)?;
    for place in [format!("{}:1", repository.place), format!("{}@{list}", repository.place)] {
        ensure!(team.pulled(&place, &[])? == union, "{place} has something else");
    }
    ensure!(
        team.pulled(&repository.place, &["--subject", "all"])? == union,
        "--subject finds something else"
    );
    Ok(())
}

#[test]
fn a_pull_unites_with_what_is_here_and_says_what_is_new() -> Result<()> {
    let team = Team::new(Registry::open()?)?;
    let repository = team.repository("team/recordings");
    let image = SmallImage { id: format!("sha256:{}", "a".repeat(64)), digest: String::new() };
    let files = team.nodes(&image, 4)?;
    let merge = ["pull", &repository.place, "--merge", "node-0.json"];
    // Nothing is there yet: what is here stays, and that is said.
    let alone = team.run(&merge)?;
    ensure!(alone.stderr.contains("has no recordings"), "{}", alone.stderr);
    alone.expect(0)?;
    for file in &files {
        team.run(&["push", file, &repository.place])?.expect(0)?;
    }
    let report = team.report(&merge)?;
    ensure!(report["artifacts"] == 4 && report["refused"].as_array().is_some_and(Vec::is_empty), "{report}");
    ensure!(report["union"]["recordings"] == 4 && report["new"]["recordings"] == 3, "{report}");
    ensure!(report["union"]["nodes"] == 4 && report["new"]["nodes"] == 3, "{report}");
    ensure!(report["union"]["paths"] == 5 && report["new"]["paths"] == 3, "{report}");
    let union = fs::read(team.file("node-0.json"))?;
    ensure!(team.report(&merge)?["new"]["recordings"] == 0 && fs::read(team.file("node-0.json"))? == union);
    ensure!(team.union(&files)? == union, "it is not the union");
    // Another image in the same repository is kept apart.
    let other = SmallImage { id: format!("sha256:{}", "b".repeat(64)), digest: String::new() };
    write_json(team.place.path(), "other.json", &other.recorded(9)?)?;
    team.run(&["push", "other.json", &repository.place])?.expect(0)?;
    ensure!(team.report(&merge)?["artifacts"] == 4, "another image's recordings were taken");
    refused(&mut team.slim(&["pull", &repository.place])?, 2, &["2 images", &image.id, &other.id])?;
    Ok(())
}

#[test]
fn a_prune_leaves_what_tells_more() -> Result<()> {
    for team in [Team::new(Registry::with_referrers()?)?, Team::new(Registry::open()?)?] {
        let repository = team.repository("team/app");
        let image = repository.put_image("1", "app")?;
        let (place, files) = (format!("{}:1", repository.place), team.nodes(&image, 4)?);
        for file in &files {
            team.run(&["push", file, &place])?.expect(0)?;
        }
        let before = team.pulled(&place, &[])?;
        team.union(&files[..3])?;
        let report = team.report(&["push", "union.json", &place, "--prune"])?;
        ensure!(report["pruned"] == 3, "{report}");
        ensure!(repository.artifacts()?.len() == 2, "{:?}", repository.artifacts()?);
        ensure!(team.pulled(&place, &[])? == before, "something is gone");
        ensure!(team.report(&["push", "union.json", &place, "--prune"])?["pruned"] == 0, "it pruned itself");
    }
    Ok(())
}

/// Who pulls finds all that was there before, although somebody unites and prunes it between the pull's first request and
/// the one with these words.
fn lacks_nothing_beside_a_prune(words: &str) -> Result<()> {
    let team = Team::new(Registry::open()?)?;
    let repository = team.repository("team/app");
    let image = repository.put_image("1", "app")?;
    let (place, files) = (format!("{}:1", repository.place), team.nodes(&image, 4)?);
    for file in &files {
        team.run(&["push", file, &place])?.expect(0)?;
    }
    let union = team.union(&files)?;
    let mut prune = team.slim(&["push", "union.json", &place, "--prune"])?;
    let host = repository.place.split('/').next().unwrap_or_default().to_owned();
    let meddler = Meddler::before(&host, words, move || output(&mut prune).map(drop))?;
    ensure!(team.pulled(&meddler.place("team/app:1"), &[])? == union, "something is lacking");
    meddler.outcome()?;
    ensure!(repository.artifacts()?.len() == 1, "{:?}", repository.artifacts()?);
    Ok(())
}

#[test]
fn a_pull_beside_a_prune_lacks_nothing() -> Result<()> {
    // It has the lists, and asks for what they name; it has that, and asks for the recordings.
    lacks_nothing_beside_a_prune("GET /v2/team/app/manifests/sha256:")?;
    lacks_nothing_beside_a_prune("GET /v2/team/app/blobs/")
}

/// A complete recording of the base image, that opened this.
fn of_base(place: &Path, path: &str) -> Result<PathBuf> {
    let id = docker(&["image", "inspect", "--format", "{{.Id}}", BASE])?;
    write_json(place, "base.json", &manifest(&id, &[path]))
}

#[test]
fn a_profile_of_the_daemon_is_pushed_as_it_is_now() -> Result<()> {
    let team = Team::new(Registry::open()?)?;
    let mut daemon = Daemon::prepare("", "")?;
    daemon.start(&[])?;
    let options = ["--network", "none", "--label", daemon.label(), "--label", "slim.profile=pushed"];
    let script = "cat /etc/debian_version; exec sleep 1000";
    let _container = Container::run(BASE, &options, &["sh", "-c", script])?;
    wait_until("the profile has what its container read", || {
        Ok(daemon.verb(&["snapshot", "pushed"])?.stdout.contains("\"/etc/debian_version\""))
    })?;
    let there = team.registry.image("daemon/pushed");
    let socket = daemon.socket().display().to_string();
    team.run(&["push", "pushed", &there, "--socket", &socket])?.expect(0)?;
    let gone = team.run(&["push", "nothing", &there, "--socket", &socket])?;
    ensure!(gone.code == Some(1) && gone.stderr.contains("no profile \"nothing\""), "{}", gone.stderr);
    let pulled = team.pulled(&there, &["--image", BASE])?;
    ensure!(String::from_utf8(pulled)?.contains("\"/etc/debian_version\""));
    Ok(())
}
