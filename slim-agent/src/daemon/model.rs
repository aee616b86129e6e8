//! What a daemon answers with: the JSON of its interface, and what its metrics are made of.
//!
//! Times are RFC 3339, UTC; durations are seconds, sizes bytes. Fields are added, never renamed or removed, within one
//! version of the interface; `api/openapi.json` describes them, and a test holds both together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::manifest::ImageRef;

/// How the daemon is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DaemonStatus {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it was started.
    pub since: String,
    /// Since when the kernel programs record without a break: earlier than `since` when this daemon adopted them.
    pub recording_since: String,
    /// Kernel hook -> the tier that serves it.
    pub hooks: BTreeMap<String, String>,
    /// Slots for recordings.
    pub slots: Room,
    /// Cgroups in scope, of as many as can be.
    pub scopes: Room,
    /// Accesses that were never delivered, since `recording_since`.
    pub lost: u64,
    /// Age of the oldest recording's newest checkpoint; none without an active recording.
    pub checkpoint_age_seconds: Option<f64>,
    /// Whether what is known can be stored.
    pub disk: Disk,
    /// The container engines that are watched.
    pub engines: Vec<Engine>,
    /// What the operator should know of, a sentence each.
    pub warnings: Vec<String>,
    /// All profiles, by name and newest image first, without their coverage.
    pub profiles: Vec<ProfileStatus>,
}

/// A table with a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Room {
    /// Entries in use.
    pub used: u64,
    /// Entries that are free.
    pub free: u64,
}

/// Whether what is known can be stored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Disk {
    /// Whether checkpoints are paused: what is new is held in memory meanwhile.
    pub paused: bool,
    /// Why, when they are.
    pub reason: Option<String>,
    /// What all profiles take.
    pub bytes: u64,
}

/// A container engine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Engine {
    /// Where it listens: `unix:///var/run/docker.sock`.
    pub address: String,
    /// Name and version, as it told last; empty when it never did.
    pub name: String,
    /// Whether it answers.
    pub up: bool,
    /// Why not.
    pub error: Option<String>,
}

/// How one profile is: all recordings of one image under one name.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ProfileStatus {
    /// Its name.
    pub name: String,
    /// The image.
    pub image: Option<ImageRef>,
    /// Whether containers are being recorded for it.
    pub state: State,
    /// The containers that are.
    pub containers: Vec<ActiveRecording>,
    /// Recordings in it, those in progress included.
    pub recordings: u64,
    /// Of them, those that saw the start-up.
    pub starts: u64,
    /// Hosts that they were made on.
    pub nodes: u64,
    /// Windows of an hour in which something was recorded.
    pub hours: u64,
    /// Paths of the image that were used.
    pub paths: u64,
    /// System calls that were used.
    pub syscalls: u64,
    /// How long nothing new was seen while something was recorded; none when nothing was ever seen.
    pub last_new_seconds: Option<u64>,
    /// All in one plain line.
    pub line: String,
    /// Whether its rules (`ready_when`) hold; none when it has none.
    pub ready: Option<bool>,
    /// Which rules do not hold, and by how much.
    pub unmet: Vec<String>,
    /// The statistics in full, as `slim-agent coverage --format json` tells them; only when one profile is asked for.
    #[serde(default)]
    pub coverage: Option<serde_json::Value>,
    /// Why recordings in it are not complete, a sentence each.
    pub shortcomings: Vec<String>,
    /// What it takes on the disk.
    pub bytes_on_disk: u64,
}

/// Whether a profile grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A container of it is being recorded.
    Recording,
    /// None is.
    #[default]
    Idle,
}

/// A recording in progress.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ActiveRecording {
    /// Its name in the manifest.
    pub recording: String,
    /// Full id of the container.
    pub container_id: String,
    /// Name of the container.
    pub container: String,
    /// The engine and the OCI runtime.
    pub runtime: String,
    /// When it began.
    pub since: String,
    /// Whether it began before the container's first instruction.
    pub startup_observed: bool,
    /// Paths it saw.
    pub paths: u64,
    /// System calls it saw.
    pub syscalls: u64,
    /// Addresses it saw.
    pub sockets: u64,
    /// Its accesses that were never delivered.
    pub lost: u64,
    /// How long ago it saw something new; none when it has seen nothing yet.
    pub last_new_seconds: Option<u64>,
}

/// A recording that was asked for has begun.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Started {
    /// The profile it goes to.
    pub profile: String,
    /// Name of the container.
    pub container: String,
    /// Full id of the container.
    pub container_id: String,
    /// Its name in the manifest; empty when it begins with the container.
    pub recording: String,
    /// Whether it begins before the container's first instruction.
    pub startup_observed: bool,
}

/// Recordings were ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stopped {
    /// The profile.
    pub profile: String,
    /// Names of the containers that are not recorded any more.
    pub containers: Vec<String>,
}

/// A profile was removed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Forgotten {
    /// The profile.
    pub profile: String,
    /// Its image's id.
    pub image: Option<String>,
    /// What that freed.
    pub bytes: u64,
}

/// Whether the daemon does its work.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Health {
    /// Whether it records, and can store what it records.
    pub ok: bool,
    /// Why not, a sentence each.
    pub reasons: Vec<String>,
}

/// What the daemon measures. All but gauges grow only, and begin anew with the kernel programs (`kernel`) or with the
/// daemon's process (all else).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measurements {
    /// The daemon's version.
    pub version: String,
    /// When its process was started, in seconds since 1970.
    pub started_unix_seconds: f64,
    /// What the kernel side counts.
    pub kernel: KernelMeasures,
    /// What was done about the births of containers.
    pub births: Births,
    /// Recordings that ended, well or not.
    pub recordings_ended: u64,
    /// Slots for recordings.
    pub slots: Room,
    /// Cgroups in scope.
    pub scopes: Room,
    /// What is stored.
    pub store: StoreMeasures,
    /// Every profile.
    pub profiles: Vec<ProfileMeasures>,
    /// Engine's address -> whether it answers.
    pub engines: BTreeMap<String, bool>,
    /// The daemon's own process.
    pub process: ProcessMeasures,
    /// Whether [`Health::ok`].
    pub healthy: bool,
}

/// What the kernel side counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KernelMeasures {
    /// Hook -> outcome (`hits`, `duplicate`, `sent`, ..., see `slim_common::counters`) -> calls.
    pub hooks: BTreeMap<String, BTreeMap<String, u64>>,
    /// What was not delivered or not followed, by reason: `not_delivered`, `scopes_full`, `tasks_full`,
    /// `call_out_of_range`, `seen_full`, `truncated`, `unreadable`, `missed_runs`.
    pub losses: BTreeMap<String, u64>,
    /// The programs, by name. Their times stand still unless `kernel.bpf_stats_enabled` is set.
    pub programs: BTreeMap<String, ProgramMeasures>,
    /// Map's name -> memory that it takes in the kernel.
    pub map_bytes: BTreeMap<String, u64>,
    /// Times that a daemon took over programs that were recording already.
    pub adoptions: u64,
}

/// What one kernel program did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProgramMeasures {
    /// How often it ran.
    pub runs: u64,
    /// How long, in nanoseconds.
    pub run_nanoseconds: u64,
}

/// Containers that the kernel side told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Births {
    /// Recorded.
    pub recorded: u64,
    /// No rule wanted them.
    pub unwanted: u64,
    /// No engine knew them in time.
    pub unknown: u64,
    /// Not recorded from their first instruction: there was no free slot.
    pub dropped: u64,
}

/// What is stored.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StoreMeasures {
    /// Age of the oldest recording's newest checkpoint; none without an active recording.
    pub checkpoint_age_seconds: Option<f64>,
    /// Checkpoints written.
    pub checkpoints: u64,
    /// Checkpoints that failed.
    pub checkpoints_failed: u64,
    /// What the journals hold that no checkpoint holds yet.
    pub journal_bytes: u64,
    /// What all profiles take.
    pub bytes: u64,
    /// Whether checkpoints are paused because the disk takes nothing.
    pub paused: bool,
}

/// One profile's figures.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProfileMeasures {
    /// Its name.
    pub name: String,
    /// Its image's id.
    pub image: String,
    /// Containers being recorded.
    pub active: u64,
    /// Recordings in it.
    pub recordings: u64,
    /// Paths of the image that were used.
    pub paths: u64,
    /// System calls that were used.
    pub syscalls: u64,
    /// How long nothing new was seen.
    pub last_new_seconds: Option<u64>,
    /// Upper bound of the estimate of unseen paths; none with too few recordings.
    pub unseen_upper: Option<f64>,
    /// Whether its rules hold; none when it has none.
    pub ready: Option<bool>,
    /// What it takes on the disk.
    pub bytes: u64,
}

/// The daemon's own process.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ProcessMeasures {
    /// Memory that it has, not counting the kernel's maps.
    pub resident_bytes: u64,
    /// Processor time that it used, in user and in kernel mode.
    pub cpu_seconds: f64,
    /// Files that it has open.
    pub open_files: u64,
}
