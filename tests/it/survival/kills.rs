//! SIGKILL at any moment.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use slim_tests::Daemon;

use super::load::{Labels, Load, Short, remove};
use super::truth::Profile;

/// How often the daemon is killed.
const KILLS: u32 = 50;
/// The longest that one lives after it is ready: longer than from one checkpoint to the next.
const LIFE: u64 = 1_300;
/// The longest that there is none.
const DEATH: u64 = 250;
/// Containers that come while daemons do, at most.
const BIRTHS: usize = 80;
/// The moments at which it is killed follow from this.
const SEED: u64 = 6;

/// Numbers that look random, the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        // Knuth's MMIX generator; its high bits are good.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn milliseconds(&mut self, bound: u64) -> Duration {
        Duration::from_millis(self.below(bound))
    }
}

/// When daemons were killed.
#[derive(Debug, Default)]
struct Stages {
    coming_up: u32,
    just_ready: u32,
    at_work: u32,
    slowest: Duration,
}

impl Stages {
    /// Starts a daemon and kills it.
    fn one(&mut self, daemon: &mut Daemon, dice: &mut Dice) -> Result<()> {
        let began = Instant::now();
        daemon.begin(&[])?;
        if dice.below(3) == 0 {
            // A moment, not a wait for something: any will do.
            thread::sleep(dice.milliseconds(400));
            let count = if daemon.is_ready()? { &mut self.just_ready } else { &mut self.coming_up };
            *count += 1;
        } else {
            daemon.told("READY=1")?;
            self.slowest = self.slowest.max(began.elapsed());
            thread::sleep(dice.milliseconds(LIFE));
            self.at_work += 1;
        }
        daemon.kill()
    }
}

/// Runs containers until it is told to stop.
fn churn(labels: &Labels, stop: &AtomicBool) -> Result<Vec<Short>> {
    let mut shorts = Vec::new();
    while !stop.load(Ordering::Relaxed) && shorts.len() < BIRTHS {
        shorts.push(Short::start(labels, shorts.len())?);
    }
    Ok(shorts)
}

#[test]
fn nothing_is_missing_after_fifty_kills_under_load() -> Result<()> {
    let mut daemon = Daemon::prepare("window = \"20s\"", "")?;
    let labels = Labels::of(&daemon, "kills");
    daemon.start(&[])?;
    let load = Load::begin(&labels, 100)?;
    daemon.kill()?;
    let (stop, mut dice, mut stages) = (AtomicBool::new(false), Dice(SEED), Stages::default());
    let (killed, born, unseen) = thread::scope(|scope| {
        let churning = scope.spawn(|| churn(&labels, &stop));
        let mut unseen = Vec::new();
        let killed = (0..KILLS).try_for_each(|round| {
            stages.one(&mut daemon, &mut dice)?;
            if round % 6 == 5 {
                // One that comes and goes while there is no daemon.
                unseen.push(Short::run(&labels, 1_000 + unseen.len())?);
            }
            thread::sleep(dice.milliseconds(DEATH));
            Ok(())
        });
        stop.store(true, Ordering::Relaxed);
        (killed, churning.join(), unseen)
    });
    killed.map_err(|error: anyhow::Error| error.context(daemon.log().unwrap_or_default()))?;
    let mut shorts = born.map_err(|_| anyhow!("the churn panicked"))??;
    eprintln!(
        "{} containers, {} of them without a daemon; killed: {stages:?}",
        shorts.len() + unseen.len(),
        unseen.len()
    );
    shorts.extend(unseen);
    daemon.start(&[])?;
    let done = load.end()?;

    let compared = Profile::has_all(&daemon, "kills", &load, &done, &shorts);
    eprintln!("{} paths, {} calls", done.paths.len(), done.calls.len());
    remove(&shorts)?;
    compared?;
    ensure!(stages.coming_up > 0 && stages.at_work > 0, "{stages:?}");
    ensure!(
        done.calls.len() > 10 && shorts.len() > 20,
        "{} calls, {} starts",
        done.calls.len(),
        shorts.len()
    );
    Ok(())
}
