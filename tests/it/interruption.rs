//! Recordings that are cut short: a whole manifest or none, never half, and the right exit code.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use slim_tests::{BASE, Background, Container, Manifest, agent, outcome, output, refused, wait_until};

/// A container that never rests: programs start and end all the time.
const RESTLESS: [&str; 3] = ["sh", "-c", "while :; do cat /etc/passwd > /dev/null; done"];

/// Delays below a bound, from a seed that is printed; `SLIM_SEED` repeats them.
struct Moments(u64);

impl Moments {
    fn new() -> Result<Self> {
        let seed = match std::env::var("SLIM_SEED") {
            Ok(seed) => seed.parse().context("SLIM_SEED is not a number")?,
            Err(_) => u64::from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.subsec_nanos()),
        };
        println!("SLIM_SEED={seed}");
        Ok(Self(seed))
    }

    /// A linear congruential generator (the constants are Knuth's MMIX).
    fn below(&mut self, milliseconds: u64) -> Duration {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Duration::from_millis((self.0 >> 33) % milliseconds)
    }
}

fn restless() -> Result<Container> {
    Container::create(BASE, &["--network", "none"], &RESTLESS)
}

/// A recording of a container that was started by it.
fn started() -> Result<(Container, Background)> {
    let container = restless()?;
    let recording = Background::record(&[container.name()], &[])?;
    wait_until("the container runs", || Ok(container.inspect()?["State"]["Running"] == true))?;
    Ok((container, recording))
}

/// The agent ended in order: exit code, whole manifest, nothing else left.
fn ended_in_order(recording: &mut Background, code: i32) -> Result<()> {
    recording.end()?.expect(code)?;
    Manifest::read(&recording.manifest())?.whole()?;
    ensure!(recording.left_behind()?.is_empty(), "{:?}", recording.left_behind()?);
    Ok(())
}

#[test]
fn a_killed_container_ends_the_recording_with_its_manifest() -> Result<()> {
    let mut moments = Moments::new()?;
    for _ in 0..3 {
        let (container, mut recording) = started()?;
        std::thread::sleep(moments.below(300));
        container.kill()?;
        ended_in_order(&mut recording, 0)?;
    }
    Ok(())
}

#[test]
fn a_container_that_is_removed_ends_the_recording_with_its_manifest() -> Result<()> {
    let (container, mut recording) = started()?;
    slim_tests::docker(&["rm", "--force", container.name()])?;
    ended_in_order(&mut recording, 0)
}

#[test]
fn a_killed_command_is_a_failure_with_a_manifest() -> Result<()> {
    let mut moments = Moments::new()?;
    for _ in 0..3 {
        let place = tempfile::tempdir()?;
        let noted = place.path().join("pid");
        let script = format!("echo $$ > '{0}.new'; mv '{0}.new' '{0}'; exec sleep 60", noted.display());
        let container = restless()?;
        let mut recording = Background::record(&[container.name()], &["sh", "-c", &script])?;
        wait_until("COMMAND runs", || Ok(noted.exists()))?;
        std::thread::sleep(moments.below(300));
        let kill = format!("kill -s KILL {}", fs::read_to_string(&noted)?.trim());
        output(Command::new("sh").args(["-c", &kill]))?;
        ended_in_order(&mut recording, 1)?;
    }
    Ok(())
}

#[test]
fn sigterm_and_sigint_end_a_recording_with_its_manifest() -> Result<()> {
    let mut moments = Moments::new()?;
    for signal in ["TERM", "INT"] {
        let (_container, mut recording) = started()?;
        std::thread::sleep(moments.below(300));
        recording.signal(signal)?;
        ended_in_order(&mut recording, 0)?;
    }
    Ok(())
}

#[test]
fn sigterm_at_any_moment_leaves_a_whole_manifest_or_none() -> Result<()> {
    let mut moments = Moments::new()?;
    for _ in 0..8 {
        let container = restless()?;
        let mut recording = Background::record(&[container.name()], &[])?;
        std::thread::sleep(moments.below(1_500));
        recording.signal("TERM")?;
        let outcome = recording.end()?;
        ensure!(recording.left_behind()?.is_empty(), "{:?}", recording.left_behind()?);
        // Before it could record anything, the signal just ends it.
        if outcome.code.is_none() {
            ensure!(!recording.manifest().exists(), "a manifest of nothing");
            continue;
        }
        let manifest = Manifest::read(&recording.manifest())?;
        let complete = manifest.recording()?["complete"] == true;
        outcome.expect(if complete { 0 } else { 4 })?;
    }
    Ok(())
}

#[test]
fn sigkill_at_any_moment_leaves_the_old_manifest_or_a_whole_new_one() -> Result<()> {
    let mut moments = Moments::new()?;
    let container = restless()?;
    container.start()?;
    let mut recording = Background::record(&[container.name()], &["true"])?;
    recording.end()?.expect(0)?;
    for round in 0..10 {
        recording.begin(&[container.name()], &["sleep", "0.1"])?;
        if round % 2 == 0 {
            std::thread::sleep(moments.below(1_500));
        } else {
            wait_for_writing(&mut recording)?;
        }
        recording.signal("KILL")?;
        recording.end()?;
        Manifest::read(&recording.manifest())?.lossless()?;
    }
    // Whole checkpoints, and what was being written when the signal came.
    for name in recording.left_behind()? {
        if name.starts_with("m.json.partial") {
            let manifest = Manifest::read(&recording.place().join(&name))?;
            ensure!(manifest.recording()?["complete"] == false, "{name} says that it is complete");
        } else {
            ensure!(name.starts_with(".slim-agent-"), "{name}");
        }
    }
    println!("left behind: {:?}", recording.left_behind()?);
    Ok(())
}

#[test]
fn a_killed_agent_leaves_a_checkpoint_that_says_so() -> Result<()> {
    let (_container, mut recording) = started()?;
    let checkpoint = recording.place().join("m.json.partial");
    wait_until("a checkpoint has what the container runs", || {
        Ok(Manifest::read(&checkpoint).is_ok_and(|manifest| manifest.uses("/usr/bin/cat").contains("exec")))
    })?;
    recording.signal("KILL")?;
    recording.end()?;
    ensure!(!recording.manifest().exists(), "a manifest without an end");
    let manifest = Manifest::read(&checkpoint)?;
    ensure!(manifest.recording()?["complete"] == false);
    ensure!(manifest.recording()?["incomplete"].to_string().contains("its agent was killed"));
    serves_like_any_manifest(&checkpoint)?;

    // The next recording keeps it, and says where.
    let container = Container::create(BASE, &["--network", "none"], &["true"])?;
    recording.begin(&[container.name()], &[])?;
    let outcome = recording.end()?;
    ensure!(outcome.stderr.contains("an earlier recording was killed"), "{}", outcome.stderr);
    outcome.expect(0)?;
    ensure!(recording.left_behind()? == ["m.json.partial.1"], "{:?}", recording.left_behind()?);
    Ok(())
}

/// It can be merged, and an export asks whether what is missing is accepted.
fn serves_like_any_manifest(checkpoint: &Path) -> Result<()> {
    let of = |words: &[&str]| -> Result<Command> {
        let mut command = agent()?;
        command.args(words).arg(checkpoint);
        Ok(command)
    };
    let merged = outcome(&mut of(&["merge"])?)?.expect(0)?;
    ensure!(merged.as_bytes() == fs::read(checkpoint)?, "a union with nothing is another manifest");
    refused(&mut of(&["export", "seccomp"])?, 4, &["its agent was killed", "--allow-incomplete"])?;
    let profile = outcome(&mut of(&["export", "seccomp", "--allow-incomplete"])?)?.expect(0)?;
    ensure!(profile.contains("\"execve\""), "{profile}");
    Ok(())
}

#[test]
fn a_recording_to_standard_output_leaves_nothing_in_the_directory_it_runs_in() -> Result<()> {
    let (container, place) = (restless()?, tempfile::tempdir()?);
    let mut agent = agent()?;
    agent.args(["record", container.name(), "-o", "-", "--", "sleep", "2"]).current_dir(place.path());
    let recorded = outcome(&mut agent)?.expect(0)?;
    ensure!(recorded.starts_with('{'), "{recorded}");
    let left: Vec<_> = fs::read_dir(place.path())?.collect();
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}

/// Returns as soon as a file beside the manifest is not empty, or the agent has ended.
fn wait_for_writing(recording: &mut Background) -> Result<()> {
    let old = recording.left_behind()?;
    let began = Instant::now();
    while recording.runs()? && began.elapsed() < Duration::from_secs(30) {
        for name in recording.left_behind()? {
            let size = fs::metadata(recording.place().join(&name)).map_or(0, |file| file.len());
            if size > 0 && !old.contains(&name) {
                return Ok(());
            }
        }
    }
    Ok(())
}
