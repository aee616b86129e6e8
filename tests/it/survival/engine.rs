//! The container engine, and containers that come and go faster than it answers.

use std::collections::BTreeSet;
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use slim_tests::engines::Dockerd;
use slim_tests::{BASE, Container, Daemon, docker, wait_until};

use super::load::{Labels, Short, remove};
use super::truth::{Profile, asked};

/// A daemon that knows an engine of its own, and a container that it records, which waits to be told what to open.
struct Restarted {
    engine: Dockerd,
    daemon: Daemon,
}

impl Restarted {
    fn begin(live_restore: bool) -> Result<Self> {
        let engine = Dockerd::start(live_restore)?;
        let place = tempfile::tempdir()?;
        let archive = place.path().join("image.tar");
        docker(&["save", "--output", &archive.display().to_string(), BASE])?;
        engine.load(&archive)?;
        let mut daemon = Daemon::prepare(&format!("runtimes = [{:?}]", engine.address()), "")?;
        daemon.start(&[])?;
        Ok(Self { engine, daemon })
    }

    /// Starts a container that opens a path as soon as another is there.
    fn waiting(&self, name: &str) -> Result<String> {
        let script = "until [ -e /go ]; do sleep 0.05; done; : > /gone; exec sleep 1000";
        let labels = Labels::of(&self.daemon, "restarted");
        let options = labels.options();
        let words = [
            &["run", "--detach", "--name", name, "--stop-timeout", "1"][..],
            &options,
            &[BASE, "sh", "-c", script],
        ]
        .concat();
        let id = self.engine.run(&words)?;
        wait_until("it is recorded", || {
            let known = asked(&self.daemon, "/v1/status")?["profiles"].to_string().contains(name);
            Ok(known)
        })?;
        wait_until("the next daemon would know what for", || self.has_checkpoint_of(&id))?;
        Ok(id)
    }

    /// Whether a checkpoint says for which profile a container is recorded.
    fn has_checkpoint_of(&self, id: &str) -> Result<bool> {
        let recordings = self.daemon.state().join("recordings");
        let checkpoints =
            std::fs::read_dir(recordings)?.flatten().map(|entry| entry.path().join("checkpoint.json"));
        let texts = checkpoints.filter_map(|path| std::fs::read_to_string(path).ok());
        Ok(texts.into_iter().any(|text| text.contains(id) && text.contains("\"restarted\"")))
    }

    /// Lets a container go on: from outside, for no engine may be there.
    fn go_on(pid: &str) -> Result<()> {
        std::fs::write(format!("/proc/{pid}/root/go"), "").context("cannot tell the container to go on")
    }
}

#[test]
fn a_container_that_outlives_its_engine_is_recorded_all_the_time() -> Result<()> {
    let mut both = Restarted::begin(true)?;
    let id = both.waiting("stays")?;
    let pid = both.engine.run(&["inspect", "--format", "{{.State.Pid}}", "stays"])?;
    both.engine.stop()?;
    // While there is no engine, the daemon is replaced, and the container goes on.
    both.daemon.kill()?;
    both.daemon.start(&[])?;
    Restarted::go_on(&pid)?;
    wait_until("what it did meanwhile is known", || {
        Ok(Profile::now(&both.daemon, "restarted").is_ok_and(|profile| profile.has_path("/gone")))
    })?;
    both.engine.resume()?;
    ensure!(
        both.engine.run(&["inspect", "--format", "{{.State.Pid}}", "stays"])? == pid,
        "it was started anew"
    );
    wait_until("the engine is known again", || {
        Ok(asked(&both.daemon, "/v1/status")?["engines"][0]["up"] == true)
    })?;
    let profile = Profile::now(&both.daemon, "restarted")?;
    profile.is_of(&BTreeSet::from([id.as_str()]))?;
    both.engine.run(&["rm", "--force", "stays"])?;
    Profile::when_idle(&both.daemon, "restarted", 1)?.is_of(&BTreeSet::from([id.as_str()]))
}

#[test]
fn containers_that_end_with_their_engine_and_begin_with_it_are_recordings() -> Result<()> {
    let mut both = Restarted::begin(false)?;
    let first = both.waiting("first")?;
    both.engine.stop()?;
    both.engine.resume()?;
    let second = both.waiting("second")?;
    both.engine.run(&["rm", "--force", "first", "second"])?;
    let profile = Profile::when_idle(&both.daemon, "restarted", 2)?;
    profile.is_of(&BTreeSet::from([first.as_str(), second.as_str()]))
}

/// Containers of one kind in the burst; there are two kinds, and two who start them.
const BURST: usize = 15;

#[test]
fn each_start_of_a_container_that_is_restarted_for_ever_is_a_recording() -> Result<()> {
    let mut daemon = Daemon::prepare("", "")?;
    let labels = Labels::of(&daemon, "loop");
    daemon.start(&[])?;
    let options = [&labels.options()[..], &["--restart", "always"]].concat();
    let container = Container::run(BASE, &options, &["sh", "-c", ": > /again; exit 3"])?;
    let restarts =
        || -> Result<u64> { Ok(container.inspect()?["RestartCount"].as_u64().unwrap_or_default()) };
    wait_until("it was restarted a few times", || Ok(restarts()? >= 4))?;
    docker(&["update", "--restart", "no", container.name()])?;
    wait_until("it is not restarted any more", || Ok(container.inspect()?["State"]["Running"] == false))?;
    container.wait()?;
    let starts = restarts()? as usize + 1;
    let profile = Profile::when_idle(&daemon, "loop", starts)?;
    for recording in profile.recordings() {
        ensure!(recording["container_id"] == container.id() && recording["complete"] == true, "{recording}");
    }
    ensure!(profile.has_path("/again"));
    Ok(())
}

/// What a daemon says of the births that it was told of, by what became of them.
fn births(daemon: &Daemon, outcome: &str) -> Result<u64> {
    let (_, metrics) = daemon.curl(&[], "/metrics", &[])?;
    let sample = format!("slim_agent_births_total{{outcome=\"{outcome}\"}} ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&sample));
    Ok(value.with_context(|| format!("no {outcome} in {metrics}"))?.parse::<f64>()? as u64)
}

/// Containers that stay, and others that are removed as soon as they end.
fn burst(labels: &Labels, first: usize) -> Result<Vec<Short>> {
    let mut stay = Vec::new();
    for number in first..first + BURST {
        stay.push(Short::start(labels, number)?);
        let script = format!(": > /removed-{number}");
        let words = [&["run", "--rm"][..], &labels.options(), &[BASE, "sh", "-c", &script]].concat();
        docker(&words)?;
    }
    Ok(stay)
}

#[test]
fn a_burst_of_containers_is_recorded_with_few_slots() -> Result<()> {
    let mut daemon = Daemon::prepare("", "[limits]\nslots = 64\n")?;
    let labels = Labels::of(&daemon, "burst");
    daemon.start(&[])?;
    let stay = thread::scope(|scope| {
        let labels = &labels;
        let halves = [0, 100].map(|first| scope.spawn(move || burst(labels, first)));
        let halves = halves.map(|half| half.join().map_err(|_| anyhow!("a burst panicked"))?);
        halves.into_iter().collect::<Result<Vec<_>>>()
    })?;
    let stay: Vec<Short> = stay.into_iter().flatten().collect();
    wait_until("all have ended", || {
        let idle = asked(&daemon, "/v1/profiles/burst")?["state"] == "idle";
        Ok(idle && births(&daemon, "recorded")? + births(&daemon, "unknown")? >= 4 * BURST as u64)
    })?;
    let (unknown, dropped) = (births(&daemon, "unknown")?, births(&daemon, "dropped")?);
    eprintln!("{unknown} were removed before the engine could be asked, {dropped} found no slot");
    ensure!(dropped == 0 && asked(&daemon, "/v1/status")?["lost"] == 0);
    let profile = Profile::now(&daemon, "burst")?;
    let is_recorded = |id: &str| profile.recordings().filter(|one| one["container_id"] == id).count() == 1;
    ensure!(stay.iter().all(|short| is_recorded(short.container.id())));
    ensure!(profile.recordings().all(|one| one["complete"] == true && one["startup_observed"] == true));
    profile.has(&stay.iter().map(|short| short.path.clone()).collect::<BTreeSet<_>>())?;
    let removed =
        (0..BURST).chain(100..100 + BURST).filter(|number| profile.has_path(&format!("/removed-{number}")));
    ensure!(removed.count() as u64 + unknown >= 2 * BURST as u64, "some were neither recorded nor counted");
    remove(&stay)
}
