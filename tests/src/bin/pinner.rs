//! What the tests of pinned programs run as processes of their own.
//!
//! `pin DIR RING` pins programs with a ring of that many bytes below a directory of a bpffs, says how it came to them, and
//! holds them until its standard input ends. `touch DIR` makes a file after the other there, with a number as name, until
//! its standard input ends. `check` does what an agent's life may bring, where there is nothing but this program: pinning,
//! being killed, adoption and hand-over, while a container's process makes files.

use std::fs::File;
use std::io::{Read, stdin};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use slim_agent::probe::{Adoption, Probe, Tier};
use slim_tests::{Cgroup, Pins, Told, Toucher, birth_of, come, small_limits};

/// Bytes of the ring.
const RING: u32 = 4 << 20;

/// Between two files: fewer records than a ring takes in a test's time.
const PACE: Duration = Duration::from_millis(3);

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["pin", dir, ring] => pin(Path::new(dir), ring.parse()?),
        ["touch", dir] => touch(Path::new(dir)),
        ["check"] => check(),
        _ => bail!("usage: pinner pin DIR RING | pinner touch DIR | pinner check"),
    }
}

fn pin(dir: &Path, ring: u32) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _entered = runtime.enter();
    let (_probe, adoption) = Probe::pinned(dir, &small_limits(ring), Tier::Auto)?;
    println!("{}", how(&adoption));
    stdin().read_to_end(&mut Vec::new()).context("cannot wait").map(drop)
}

fn touch(dir: &Path) -> Result<()> {
    let ended = std::thread::spawn(|| stdin().read_to_end(&mut Vec::new()));
    for number in 0.. {
        if ended.is_finished() {
            break;
        }
        File::create(dir.join(format!("{number}"))).context("cannot make a file")?;
        std::thread::sleep(PACE);
    }
    Ok(())
}

fn how(adoption: &Adoption) -> &'static str {
    match adoption {
        Adoption::Fresh => "fresh",
        Adoption::GivenUp(_) => "given up",
        Adoption::Adopted => "adopted",
        Adoption::HandedOver(_) => "handed over",
    }
}

fn check() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _entered = runtime.enter();
    let (pins, cgroup, program) = (Pins::new(), Cgroup::new()?, std::env::current_exe()?);
    killed(&program, pins.path())?;
    let (mut probe, adoption) = pins.open(&small_limits(RING))?;
    ensure!(how(&adoption) == "adopted", "after a kill: {}", how(&adoption));
    let born = come(&mut probe, &cgroup, 1, "docker")?;
    let slot = birth_of(&probe, &born)?.slot;
    let toucher = Toucher::begin(&born, &program)?;
    let mut told = Told::of(&mut probe)?;
    let hooks = probe.hooks().clone();
    drop(probe);
    let (mut probe, adoption) = pins.open(&small_limits(RING / 2))?;
    let Adoption::HandedOver(mut former) = adoption else { bail!("not handed over: {}", how(&adoption)) };
    ensure!(*probe.hooks() == hooks, "other hooks serve: {:?}, not {hooks:?}", probe.hooks());
    told.add_last_words(&mut former)?;
    former.discard()?;
    let files = toucher.end()?;
    told.add(&mut probe)?;
    told.has_all(slot, &files)?;
    probe.leave(slot)?;
    probe.recycle(&[slot].into())?;
    ensure!(birth_of(&probe, &born).is_err() && probe.tally()?.adds_up());
    println!(
        "ok pinned: {} files, {} bytes of maps, {hooks:?}",
        files.len(),
        probe.memory().values().sum::<u64>()
    );
    Ok(())
}

/// Another agent, which pins programs and is killed.
fn killed(program: &Path, dir: &Path) -> Result<()> {
    let mut command = Command::new(program);
    command.arg("pin").arg(dir).arg(RING.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut agent = command.spawn().context("cannot run another agent")?;
    // It says how, and waits.
    let mut word = [0];
    agent.stdout.as_mut().context("no output")?.read_exact(&mut word).context("the agent pinned nothing")?;
    agent.kill()?;
    agent.wait().map(drop).context("cannot wait for another agent")
}
