//! The engine: one loop that has the kernel programs, the recordings and the store. Whatever waits (a container engine, the
//! disk, a large union) waits beside it.

mod adopt;
mod answers;
mod births;
mod ends;
mod known;
mod look;
mod meters;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::MARKER;
use super::active::{Active, Ended, Losses};
use super::config::Config;
use super::control::Request;
use super::memory;
use super::notify::Notifier;
use super::store::{ProfileKey, Store};
use super::wishes::Wishes;
use crate::container::{Container, Runtime, Runtimes};
use crate::decode::{Kind, decode};
use crate::probe::{Counting, Limits, Probe};
use crate::recording::{Began, Recorder};
use births::{Search, Sought};
use meters::Meters;

/// Between two looks at what is to be done.
const TICK: Duration = Duration::from_secs(1);
/// Between two times that memory is given back.
const GIVE_BACK_EVERY: Duration = Duration::from_secs(15);

/// A container, and who has it.
type Known = (Arc<dyn Runtime>, Container);

/// Who has a container, if anybody has.
type Answer = Result<Option<Known>>;

/// Everything that a running daemon has.
pub struct Engine {
    config: Config,
    limits: Limits,
    probe: Probe,
    store: Store,
    wishes: Wishes,
    runtimes: Arc<Runtimes>,
    requests: mpsc::Receiver<Request>,
    /// Recordings that run, by slot.
    active: BTreeMap<u32, Active>,
    /// Slots whose container is still to be found.
    searches: BTreeMap<u32, Search>,
    /// The questions to the runtimes.
    questions: FuturesUnordered<BoxFuture<'static, (Sought, Answer)>>,
    /// Slots of what has ended, or of what nobody wants recorded: what still comes of them is dropped, and they are free once
    /// they are recycled.
    used: BTreeSet<u32>,
    /// Recordings that have ended and whose manifest the disk did not take yet.
    unsaved: Vec<Ended>,
    /// Recordings that have ended, and of whose container no runtime told yet.
    orphans: Vec<ends::Orphan>,
    /// Recordings that have ended and are on the disk, by the profile that they go into.
    waiting: BTreeMap<ProfileKey, BTreeSet<String>>,
    /// The union that is being written.
    uniting: Option<ends::Uniting>,
    /// The question what runs already.
    look: Option<JoinHandle<Vec<Known>>>,
    /// Losses of the kernel side so far, a second old at most: those of a recording that begins are counted from there.
    losses: Losses,
    meters: Meters,
    /// What the metrics tell of profiles.
    summaries: known::Summaries,
    next_recycling: Instant,
    next_retirement: Instant,
    next_refresh: Instant,
    next_giving_back: Instant,
    refreshing: Option<JoinHandle<bool>>,
    _counting: Option<Counting>,
}

/// Why the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// End, and let the kernel programs go on.
    Terminate,
    /// Read the configuration again.
    Reload,
}

impl Engine {
    /// Takes over what an earlier daemon left, or begins anew.
    ///
    /// # Errors
    /// The host cannot record, the state directory cannot be used, or another daemon runs.
    pub fn start(config: Config, requests: mpsc::Receiver<Request>) -> Result<Self> {
        let limits = config.limits();
        let store = Store::open(&config.state)?;
        let wishes = Wishes::read(store.wishes())?;
        let (probe, adoption) = Probe::pinned(&config.pins, &limits, config.tier)?;
        let runtimes = Arc::new(Runtimes::at(&config.runtimes));
        let now = Instant::now();
        let losses = losses_of(&probe)?;
        let counting = config.program_times.then(Counting::begin).and_then(|counting| {
            let cannot = "the times of the kernel programs are not measured";
            counting.inspect_err(|error| tracing::warn!("{cannot}: {error:#}")).ok()
        });
        let mut engine = Self {
            limits,
            probe,
            store,
            wishes,
            runtimes,
            requests,
            active: BTreeMap::new(),
            searches: BTreeMap::new(),
            questions: FuturesUnordered::new(),
            used: BTreeSet::new(),
            unsaved: Vec::new(),
            orphans: Vec::new(),
            waiting: BTreeMap::new(),
            uniting: None,
            look: None,
            losses,
            meters: Meters::begin()?,
            summaries: known::Summaries::default(),
            next_recycling: now,
            next_retirement: now,
            next_refresh: now,
            next_giving_back: now,
            refreshing: None,
            _counting: counting,
            config,
        };
        engine.adopt(adoption)?;
        engine.look_around();
        Ok(engine)
    }

    /// Records until a signal says otherwise.
    ///
    /// # Errors
    /// The kernel programs cannot be read any more.
    pub async fn run(
        &mut self,
        signals: &mut mpsc::Receiver<Signal>,
        config: &Path,
        notifier: &Notifier,
    ) -> Result<()> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                signal = signals.recv() => match signal {
                    Some(Signal::Reload) => self.reload(config, notifier),
                    Some(Signal::Terminate) | None => break,
                },
                ready = self.probe.ready() => {
                    ready?;
                    self.take()?;
                }
                Some((sought, answer)) = self.questions.next() => self.found(sought, answer)?,
                Some(request) = self.requests.recv() => self.answer(request).await,
                _ = ticks.tick() => {
                    self.tick().await?;
                    notifier.alive();
                }
            }
        }
        self.end().await
    }

    /// Takes the records that wait. Each is in the journal of its recording before it counts as taken.
    fn take(&mut self) -> Result<()> {
        let behind: BTreeSet<u32> = self.unsaved.iter().filter_map(|ended| ended.slot).collect();
        let Self { probe, active, used, limits, store, config, losses, .. } = self;
        let mut newborn = BTreeSet::new();
        let mut touched = BTreeSet::new();
        probe.drain(|bytes| {
            let record = match decode(bytes) {
                Ok(record) => record,
                Err(error) => return tracing::error!("{error}"),
            };
            let slot = record.header.slot;
            if behind.contains(&slot) || used.contains(&slot) {
                return;
            }
            let one = match active.entry(slot) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => {
                    match begin(slot, record.header.time_ns, limits, store, config, losses.clone()) {
                        Ok(new) => {
                            newborn.insert(slot);
                            place.insert(new)
                        }
                        Err(error) => return tracing::error!("cannot record a new container: {error:#}"),
                    }
                }
            };
            if record.kind == Kind::Birth {
                return;
            }
            if touched.insert(slot) {
                one.recorder.facts.resolver.begin();
            }
            one.take(&record);
        })?;
        for slot in touched {
            if let Some(one) = active.get_mut(&slot) {
                one.recorder.facts.resolver.end();
            }
        }
        self.name(&newborn)
    }

    /// What is done now and then.
    async fn tick(&mut self) -> Result<()> {
        // A record may have been put into the backlog while the ring was emptied.
        self.take()?;
        self.find_newborn()?;
        self.ask_again();
        self.end_what_is_over().await?;
        self.begin_windows()?;
        self.save_all().await?;
        self.save_ended()?;
        self.unite().await;
        self.recycle()?;
        self.look_for_engines().await?;
        self.retire();
        self.give_back();
        Ok(())
    }

    /// Gives back what was needed for a moment.
    fn give_back(&mut self) {
        if Instant::now() >= self.next_giving_back {
            self.next_giving_back = Instant::now() + GIVE_BACK_EVERY;
            memory::give_back();
        }
    }

    /// Writes checkpoints where they are due.
    async fn save_all(&mut self) -> Result<()> {
        self.losses = losses_of(&self.probe)?;
        for one in self.active.values_mut() {
            let written = one.save(&self.probe, &self.losses, self.config.checkpoint.0).await?;
            self.meters.checkpoints += written.done;
            self.meters.checkpoints_failed += written.failed;
        }
        self.note_disk();
        Ok(())
    }

    /// Tells the log when the disk begins or ceases to take what is known.
    fn note_disk(&mut self) {
        let paused = self.disk();
        match (&self.meters.disk, &paused) {
            (None, Some(reason)) => tracing::error!(
                "checkpoints are paused, what is new is held in memory: {reason}; free space in {}",
                self.config.state.display()
            ),
            (Some(_), None) => tracing::info!("the disk takes checkpoints again, nothing was lost"),
            _ => {}
        }
        self.meters.disk = paused;
    }

    /// Why what is known cannot be stored, if it cannot.
    fn disk(&self) -> Option<String> {
        let active = self.active.values().find_map(Active::unsaved);
        active.or_else(|| self.meters.unsaved.clone().filter(|_| !self.unsaved.is_empty()))
    }

    /// Reads the configuration again. One with an error changes nothing.
    fn reload(&mut self, path: &Path, notifier: &Notifier) {
        notifier.reloading();
        match Config::read(path) {
            Ok(config) => {
                let fixed = config.needs_restart(&self.config);
                if !fixed.is_empty() {
                    tracing::warn!("a change of {} holds from the next start on", fixed.join(", "));
                }
                let Config { checkpoint, window, retention, watch, ready_when, profiles, .. } = config;
                let old = std::mem::take(&mut self.config);
                self.config = Config { checkpoint, window, retention, watch, ready_when, profiles, ..old };
                tracing::info!("read {} again: {} rules", path.display(), self.config.watch.len());
                self.look_around();
            }
            Err(error) => tracing::error!("the configuration stays as it was: {error:#}"),
        }
        notifier.ready("recording");
    }

    /// The daemon ends: what it knows goes to the disk, and the kernel programs go on recording.
    async fn end(&mut self) -> Result<()> {
        self.take()?;
        let losses = losses_of(&self.probe)?;
        for one in self.active.values_mut() {
            one.save_now(&self.probe, &losses).await?;
        }
        self.save_ended()?;
        if let Some(uniting) = self.uniting.take() {
            self.united(uniting).await;
        }
        tracing::info!(
            "{} recordings go on in the kernel until the next start; `slim-agent uninstall` ends them",
            self.active.len()
        );
        Ok(())
    }

    /// Where it is noted that a recording is in memory only.
    fn marker(&self, id: &str) -> PathBuf {
        marker(&self.config, id)
    }
}

fn marker(config: &Config, id: &str) -> PathBuf {
    config.socket.with_file_name(format!("{MARKER}{id}"))
}

/// The recording of a container that came into scope by itself.
fn begin(
    slot: u32,
    time_ns: u64,
    limits: &Limits,
    store: &Store,
    config: &Config,
    baseline: Losses,
) -> Result<Active> {
    let recorder = Recorder::newborn(slot, Began::at(time_ns)?, limits)?;
    let id = recorder.facts.fold.id().to_owned();
    Ok(Active::begin(recorder, None, store.recording(&id), marker(config, &id), baseline))
}

/// Losses so far, of all recordings.
fn losses_of(probe: &Probe) -> Result<Losses> {
    let losses = probe.tally().context("cannot read the kernel side's totals")?.losses();
    Ok(losses.into_iter().map(|(reason, count)| (reason.to_owned(), count)).collect())
}

/// A moment as the interface spells it.
fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}
