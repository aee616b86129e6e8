//! What the tests of pinned programs run as processes of their own.
//!
//! `pin DIR RING` pins programs with a ring of that many bytes below a directory of a bpffs, says how it came to them, and
//! holds them until its standard input ends. `touch DIR` makes a file after the other there, with a number as name, until
//! its standard input ends.

use std::fs::File;
use std::io::{Read, stdin};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use slim_agent::probe::{Adoption, Probe, Tier};

/// Between two files: fewer records than a ring takes in a test's time.
const PACE: Duration = Duration::from_millis(1);

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["pin", dir, ring] => pin(Path::new(dir), ring.parse()?),
        ["touch", dir] => touch(Path::new(dir)),
        _ => bail!("usage: pinner pin DIR RING | pinner touch DIR"),
    }
}

fn pin(dir: &Path, ring: u32) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _entered = runtime.enter();
    let (_probe, adoption) = Probe::pinned(dir, &slim_tests::small_limits(ring), Tier::Auto)?;
    let how = match adoption {
        Adoption::Fresh => "fresh",
        Adoption::GivenUp(_) => "given up",
        Adoption::Adopted => "adopted",
        Adoption::HandedOver(_) => "handed over",
    };
    println!("{how}");
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
