//! What the engine answers to requests. What needs the disk, or a large union, is put together beside the loop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::known::Known;
use super::{Engine, losses_of, meters, rfc3339};
use crate::container::Container;
use crate::daemon::active::Active;
use crate::daemon::control::{Answer, Ask, Refusal, Request};
use crate::daemon::model::{
    ActiveRecording, Births, DaemonStatus, Disk, Forgotten, Health, KernelMeasures, Measurements,
    ProfileStatus, ProgramMeasures, Room, Started, State, Stopped, StoreMeasures,
};
use crate::daemon::rules::{ProfileName, usual_profile};
use crate::daemon::store::ProfileKey;
use crate::manifest::io;

type Granted = Result<Answer, Refusal>;

/// A container that somebody wants recorded.
#[derive(Debug)]
pub struct Wish {
    container: String,
    profile: Option<ProfileName>,
    answer: oneshot::Sender<Granted>,
}

/// A checkpoint that is older than so many of the intervals between them means that something is wrong.
const LATE: u32 = 24;

impl Engine {
    /// Answers one request, or has it answered beside the loop.
    pub(super) async fn answer(&mut self, request: Request) {
        let Request { ask, answer } = request;
        let answered = match ask {
            Ask::Status { profile: None } => return self.answer_status(answer),
            Ask::List => return self.answer_list(answer),
            Ask::Status { profile: Some(name) } => return self.answer_profile(&name, answer),
            Ask::Snapshot { profile } => return self.answer_snapshot(&profile, answer),
            Ask::Metrics => return self.answer_metrics(answer),
            Ask::Health => Ok(Answer::Health(self.health())),
            Ask::Start { container, profile } => match profile.map(ProfileName::try_from).transpose() {
                Ok(profile) => {
                    let wish = Wish { container: container.clone(), profile, answer };
                    return self.ask_for(container, wish);
                }
                Err(wrong) => Err(Refusal::invalid(wrong)),
            },
            Ask::Stop { name } => self.stop_recordings(&name).await,
            Ask::Forget { profile } => self.forget(&profile).await,
        };
        let _gone = answer.send(answered);
    }

    /// Containers that are being recorded, by profile.
    fn recording(&self) -> BTreeMap<ProfileKey, Vec<ActiveRecording>> {
        let mut found: BTreeMap<ProfileKey, Vec<ActiveRecording>> = BTreeMap::new();
        for one in self.active.values() {
            if let Some(key) = &one.profile {
                let lost = self.probe.lost_of(one.recorder.slot()).unwrap_or_default();
                found.entry(key.clone()).or_default().push(described(one, lost));
            }
        }
        found
    }

    /// Profiles as the interface tells them.
    fn profiles(&self) -> impl FnOnce(&Known) -> Result<Vec<ProfileStatus>, Refusal> + Send + use<> {
        let mut recording = self.recording();
        let config = self.config.clone();
        move |known| {
            let status = |key: &ProfileKey| {
                let status = known.summary(key)?.status(config.ready_when(&key.name), false);
                Ok(with_containers(status, recording.remove(key).unwrap_or_default()))
            };
            known.keys().map(status).collect()
        }
    }

    fn answer_list(&mut self, answer: oneshot::Sender<Granted>) {
        let profiles = self.profiles();
        beside(answer, self.known(|_| true), |known| profiles(&known).map(Answer::Profiles));
    }

    fn answer_status(&mut self, answer: oneshot::Sender<Granted>) {
        let profiles = self.profiles();
        let engines = Arc::clone(&self.runtimes);
        let status = self.status().map_err(|error| unavailable(&error));
        let all = status.and_then(|status| Ok((status, self.known(|_| true)?)));
        beside(answer, all, move |(mut status, known)| {
            status.profiles = profiles(&known)?;
            status.disk.bytes = status.profiles.iter().map(|profile| profile.bytes_on_disk).sum();
            status.engines = super::look::engines(&engines);
            Ok(Answer::Status(Box::new(status)))
        });
    }

    fn answer_profile(&mut self, name: &str, answer: oneshot::Sender<Granted>) {
        let mut recording = self.recording();
        let config = self.config.clone();
        beside(answer, self.known_of(name), move |(key, known)| {
            let status = known.summary(&key)?.status(config.ready_when(&key.name), true);
            let status = with_containers(status, recording.remove(&key).unwrap_or_default());
            Ok(Answer::Profile(Box::new(status)))
        });
    }

    fn answer_snapshot(&mut self, name: &str, answer: oneshot::Sender<Granted>) {
        beside(answer, self.known_of(name), move |(key, known)| {
            let bytes = known.union_of(&key).and_then(|union| io::to_bytes(&union));
            bytes.map(Answer::Snapshot).map_err(|error| unavailable(&error))
        });
    }

    /// Takes what the runtimes know of a container that somebody wants recorded.
    pub(super) fn found_wish(&mut self, wish: Wish, found: super::Answer) {
        let Wish { container, profile, answer } = wish;
        let granted = match found {
            Ok(Some((_, container))) => self.start_recording(container, profile),
            Ok(None) => {
                Err(Refusal::not_found(format!("no container engine here knows a container {container:?}")))
            }
            Err(error) => Err(unavailable(&error)),
        };
        let _gone = answer.send(granted);
    }

    fn start_recording(&mut self, found: Container, profile: Option<ProfileName>) -> Granted {
        let recorded = self.active.values().find(|one| one.recorder.subject().id() == Some(&found.id));
        if let Some(key) = recorded.and_then(|one| one.profile.as_ref()) {
            let message = format!("{} is recorded already, for the profile {}", found.name, key.name);
            return Err(Refusal::conflict(message));
        }
        let profile = profile.unwrap_or_else(|| usual_profile(&found));
        if let Err(error) = self.wishes.start(&found.id, profile.clone()) {
            tracing::warn!(
                "that {} is to be recorded is not remembered after a restart: {error:#}",
                found.name
            );
        }
        let mut started = Started {
            profile: profile.as_str().to_owned(),
            container: found.name.clone(),
            container_id: found.id.clone(),
            recording: String::new(),
            startup_observed: true,
        };
        // One that does not run is recorded from its first instruction when it is started.
        if found.pid.is_some() {
            let attached = self.attach(found, &profile);
            started.recording = attached.map_err(|error| Refusal::conflict(format!("{error:#}")))?;
            started.startup_observed = false;
        }
        Ok(Answer::Started(started))
    }

    async fn stop_recordings(&mut self, name: &str) -> Granted {
        let is_meant = |one: &Active| {
            let subject = one.recorder.subject();
            let id = subject.id().unwrap_or_default();
            one.profile.as_ref().is_some_and(|key| key.name == name)
                || subject.name() == name
                || name.len() >= 12 && id.starts_with(name)
        };
        let meant: Vec<u32> =
            self.active.iter().filter_map(|(slot, one)| is_meant(one).then_some(*slot)).collect();
        if meant.is_empty() {
            return Err(Refusal::not_found(format!("nothing of {name:?} is being recorded")));
        }
        let mut stopped = Stopped::default();
        self.take().map_err(|error| unavailable(&error))?;
        for slot in meant {
            let Some(one) = self.active.get(&slot) else { continue };
            stopped.profile = one.profile.as_ref().map(|key| key.name.clone()).unwrap_or_default();
            stopped.containers.push(one.recorder.subject().name().to_owned());
            let id = one.recorder.subject().id().unwrap_or_default().to_owned();
            if let Err(error) = self.wishes.stop(&id) {
                tracing::warn!(
                    "that {id:.12} is not to be recorded is not remembered after a restart: {error:#}"
                );
            }
            self.end_recording(slot).await.map_err(|error| unavailable(&error))?;
        }
        self.save_ended().map_err(|error| unavailable(&error))?;
        Ok(Answer::Stopped(stopped))
    }

    async fn forget(&mut self, name: &str) -> Granted {
        let known = self.known(|_| false)?;
        let key = known.find(name)?;
        if known.is_recorded(&key) {
            return Err(Refusal::conflict(format!(
                "{} is being recorded: `slim-agent stop {}` first",
                key.name, key.name
            )));
        }
        if let Some(uniting) = self.uniting.take_if(|uniting| *uniting.ids().0 == key) {
            self.united(uniting).await;
        }
        self.waiting.remove(&key).into_iter().flatten().for_each(|id| self.store.remove_recording(&id));
        let bytes = self.store.forget(&key);
        Ok(Answer::Forgotten(Forgotten {
            profile: key.name.clone(),
            image: Some(format!("sha256:{}", key.image)),
            bytes,
        }))
    }

    fn status(&mut self) -> Result<DaemonStatus> {
        self.take()?;
        let tally = self.probe.tally()?;
        let scopes: u64 = self.probe.scopes_of()?.values().map(|count| *count as u64).sum();
        let oldest = self.active.values().map(|one| one.recorder.began().wall).min();
        let since = self.meters.began.wall;
        Ok(DaemonStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            since: rfc3339(since),
            recording_since: rfc3339(oldest.map_or(since, |oldest| oldest.min(since))),
            hooks: self.probe.hooks().clone(),
            slots: self.slots(),
            scopes: Room { used: scopes, free: u64::from(self.limits.scopes).saturating_sub(scopes) },
            lost: tally.lost,
            checkpoint_age_seconds: self.checkpoint_age().map(|age| age.as_secs_f64()),
            disk: Disk { paused: self.meters.disk.is_some(), reason: self.meters.disk.clone(), bytes: 0 },
            engines: Vec::new(),
            warnings: self.health().reasons,
            profiles: Vec::new(),
        })
    }

    fn slots(&self) -> Room {
        let used = self.active.len() + self.used.len();
        Room { used: used as u64, free: u64::from(self.limits.slots).saturating_sub(used as u64) }
    }

    fn checkpoint_age(&self) -> Option<Duration> {
        self.active.values().map(Active::checkpoint_age).max()
    }

    fn health(&self) -> Health {
        let mut reasons = Vec::new();
        if let Some(reason) = &self.meters.disk {
            reasons.push(format!("checkpoints are paused, what is new is held in memory: {reason}"));
        }
        if self.checkpoint_age().is_some_and(|age| age > self.config.checkpoint.0 * LATE) {
            reasons.push("a recording had no checkpoint for long".to_owned());
        }
        if self.slots().free == 0 {
            reasons.push("all slots are in use: raise slots in [limits] of the configuration".to_owned());
        }
        Health { ok: reasons.is_empty(), reasons }
    }

    /// Asked for every few seconds for ever: what has not changed is not put together again.
    fn answer_metrics(&mut self, answer: oneshot::Sender<Granted>) {
        let mut active: BTreeMap<ProfileKey, u64> = BTreeMap::new();
        for key in self.active.values().filter_map(|one| one.profile.clone()) {
            *active.entry(key).or_default() += 1;
        }
        let rules = self.config.clone();
        let (engines, summaries) = (Arc::clone(&self.runtimes), self.summaries.clone());
        let measured = self.measure().map_err(|error| unavailable(&error));
        let all = measured.and_then(|measured| Ok((measured, self.known_anew()?)));
        beside(answer, all, move |(mut measured, known)| {
            for key in known.keys() {
                let summary = summaries.of(&known, key)?;
                let active = active.get(key).copied().unwrap_or_default();
                measured.profiles.push(summary.measures(rules.ready_when(&key.name), active, unix_now()));
            }
            measured.store.bytes = measured.profiles.iter().map(|profile| profile.bytes).sum();
            let engines = super::look::engines(&engines);
            measured.engines = engines.into_iter().map(|engine| (engine.address, engine.up)).collect();
            Ok(Answer::Metrics(Box::new(measured)))
        });
    }

    fn measure(&mut self) -> Result<Measurements> {
        let tally = self.probe.tally()?;
        let scopes: u64 = self.probe.scopes_of()?.values().map(|count| *count as u64).sum();
        let unix = self.meters.began.wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let losses = losses_of(&self.probe)?;
        let programs = self.probe.program_stats()?.into_iter().map(|stats| {
            (stats.name, ProgramMeasures { runs: stats.run_count, run_nanoseconds: stats.run_time_ns })
        });
        let meters = &self.meters;
        Ok(Measurements {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_unix_seconds: unix.as_secs_f64(),
            births: Births {
                recorded: meters.recorded,
                unwanted: meters.unwanted,
                unknown: meters.unknown,
                dropped: losses.get("slots_full").copied().unwrap_or_default(),
            },
            kernel: KernelMeasures {
                hooks: tally.counters(),
                losses,
                programs: programs.collect(),
                map_bytes: self.probe.memory(),
                adoptions: meters.adoptions,
            },
            recordings_ended: meters.ended,
            slots: self.slots(),
            scopes: Room { used: scopes, free: u64::from(self.limits.scopes).saturating_sub(scopes) },
            store: StoreMeasures {
                checkpoint_age_seconds: self.checkpoint_age().map(|age| age.as_secs_f64()),
                checkpoints: meters.checkpoints,
                checkpoints_failed: meters.checkpoints_failed,
                journal_bytes: self.active.values().map(Active::journal_bytes).sum(),
                bytes: 0,
                paused: meters.disk.is_some(),
            },
            profiles: Vec::new(),
            engines: BTreeMap::new(),
            process: meters::process(),
            healthy: self.health().ok,
        })
    }
}

/// Has an answer put together beside the loop.
fn beside<T: Send + 'static>(
    answer: oneshot::Sender<Granted>,
    from: Result<T, Refusal>,
    make: impl FnOnce(T) -> Granted + Send + 'static,
) {
    match from {
        Ok(from) => _ = spawn_blocking(move || answer.send(make(from))),
        Err(refusal) => _ = answer.send(Err(refusal)),
    }
}

fn with_containers(mut status: ProfileStatus, containers: Vec<ActiveRecording>) -> ProfileStatus {
    status.state = if containers.is_empty() { State::Idle } else { State::Recording };
    status.containers = containers;
    status
}

fn described(one: &Active, lost: u64) -> ActiveRecording {
    let subject = one.recorder.subject();
    let fold = &one.recorder.facts.fold;
    let totals = fold.totals();
    ActiveRecording {
        recording: fold.id().to_owned(),
        container_id: subject.id().unwrap_or_default().to_owned(),
        container: subject.name().to_owned(),
        runtime: subject.runtime().unwrap_or_default().to_owned(),
        since: rfc3339(one.recorder.began().wall),
        startup_observed: one.recorder.startup_observed(),
        paths: totals.files as u64,
        syscalls: fold.syscalls() as u64,
        sockets: totals.sockets as u64,
        lost,
        last_new_seconds: Some(one.recorder.facts.last_new.elapsed().as_secs()),
    }
}

pub(super) fn unavailable(error: &anyhow::Error) -> Refusal {
    Refusal::unavailable(format!("{error:#}"))
}

pub(super) fn unix_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
