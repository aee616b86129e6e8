//! Measurements in Prometheus' text format, version 0.0.4.
//!
//! Written by hand: all of it is read anew from the kernel and the engine at each scrape, so that a registry of counters,
//! which is what libraries offer, would have nothing to count. `promtool check metrics` has the last word on the text, in
//! the tests.

mod exposition;

use super::model::{KernelMeasures, Measurements, ProcessMeasures, ProfileMeasures, Room, StoreMeasures};
use exposition::Exposition;
use exposition::Kind::{Counter, Gauge};

/// The format's name in HTTP.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All that is measured, as text.
pub fn text(measured: &Measurements) -> String {
    let mut out = Exposition::default();
    of_daemon(&mut out, measured);
    of_kernel(&mut out, &measured.kernel);
    of_containers(&mut out, measured);
    of_store(&mut out, &measured.store);
    of_profiles(&mut out, &measured.profiles);
    of_process(&mut out, &measured.process);
    out.finish()
}

fn of_daemon(out: &mut Exposition, measured: &Measurements) {
    out.family(
        ("slim_agent_build_info", Gauge, "Always 1; the label tells the version."),
        ["version"],
        [([measured.version.clone()], 1)],
    );
    out.one(
        ("slim_agent_start_time_seconds", Gauge, "When the daemon was started, in seconds since 1970."),
        measured.started_unix_seconds,
    );
    out.count(
        ("slim_agent_healthy", Gauge, "Whether the daemon records, and can store what it records."),
        u64::from(measured.healthy),
    );
    out.family(
        ("slim_agent_engine_up", Gauge, "Whether a container engine answers."),
        ["engine"],
        measured.engines.iter().map(|(engine, up)| ([engine.clone()], u8::from(*up))),
    );
}

fn of_kernel(out: &mut Exposition, kernel: &KernelMeasures) {
    let hits = |outcomes: &std::collections::BTreeMap<String, u64>| outcomes.get("hits").copied();
    out.family(
        ("slim_agent_hook_hits_total", Counter, "Calls in scope that a kernel hook looked at."),
        ["hook"],
        kernel.hooks.iter().map(|(hook, outcomes)| ([hook.clone()], hits(outcomes).unwrap_or_default())),
    );
    let of_each = kernel.hooks.iter().flat_map(|(hook, outcomes)| {
        let outcomes = outcomes.iter().filter(|(outcome, _)| *outcome != "hits");
        outcomes.map(|(outcome, calls)| ([hook.clone(), outcome.clone()], *calls))
    });
    out.family(
        ("slim_agent_hook_outcomes_total", Counter, "What became of these calls: they add up to the hits."),
        ["hook", "outcome"],
        of_each,
    );
    out.family(
        ("slim_agent_losses_total", Counter, "What a recording lacks because of a bound, by reason."),
        ["reason"],
        kernel.losses.iter().map(|(reason, count)| ([reason.clone()], *count)),
    );
    out.family(
        (
            "slim_agent_program_runs_total",
            Counter,
            "Runs of a kernel program, with kernel.bpf_stats_enabled.",
        ),
        ["program"],
        kernel.programs.iter().map(|(program, measures)| ([program.clone()], measures.runs)),
    );
    out.family(
        ("slim_agent_program_run_seconds_total", Counter, "Time that a kernel program ran, likewise."),
        ["program"],
        kernel.programs.iter().map(|(name, measures)| ([name.clone()], seconds(measures.run_nanoseconds))),
    );
    out.family(
        ("slim_agent_kernel_map_bytes", Gauge, "Memory that a kernel map takes."),
        ["map"],
        kernel.map_bytes.iter().map(|(map, bytes)| ([map.clone()], *bytes)),
    );
    out.count(
        (
            "slim_agent_adoptions_total",
            Counter,
            "Times that a daemon took over programs that were recording.",
        ),
        kernel.adoptions,
    );
}

/// Nanoseconds as seconds. Beyond 104 days of running, parts of a microsecond get lost.
#[allow(clippy::cast_precision_loss, reason = "the loss is below what is measured")]
fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

fn of_containers(out: &mut Exposition, measured: &Measurements) {
    let births = &measured.births;
    let outcomes = [
        ("recorded", births.recorded),
        ("unwanted", births.unwanted),
        ("unknown", births.unknown),
        ("dropped", births.dropped),
    ];
    out.family(
        (
            "slim_agent_births_total",
            Counter,
            "Containers that the kernel told of, and what was done about them.",
        ),
        ["outcome"],
        outcomes.map(|(outcome, count)| ([outcome.to_owned()], count)),
    );
    out.count(
        ("slim_agent_recordings_ended_total", Counter, "Recordings that ended."),
        measured.recordings_ended,
    );
    let state = |room: &Room| [(["used".to_owned()], room.used), (["free".to_owned()], room.free)];
    out.family(
        ("slim_agent_slots", Gauge, "Slots for recordings, by state."),
        ["state"],
        state(&measured.slots),
    );
    out.family(
        ("slim_agent_scopes", Gauge, "Places for cgroups in scope, by state."),
        ["state"],
        state(&measured.scopes),
    );
}

fn of_store(out: &mut Exposition, store: &StoreMeasures) {
    out.one(
        ("slim_agent_checkpoint_age_seconds", Gauge, "Age of the oldest checkpoint of an active recording."),
        store.checkpoint_age_seconds,
    );
    out.count(("slim_agent_checkpoints_total", Counter, "Checkpoints written."), store.checkpoints);
    out.count(
        ("slim_agent_checkpoint_failures_total", Counter, "Checkpoints that could not be written."),
        store.checkpoints_failed,
    );
    out.count(
        ("slim_agent_checkpoints_paused", Gauge, "Whether checkpoints wait for room on the disk."),
        u64::from(store.paused),
    );
    out.count(
        ("slim_agent_journal_bytes", Gauge, "What the journals hold that is in no checkpoint yet."),
        store.journal_bytes,
    );
    out.count(("slim_agent_store_bytes", Gauge, "What all profiles take on the disk."), store.bytes);
}

fn of_profiles(out: &mut Exposition, profiles: &[ProfileMeasures]) {
    let mut gauge = |name: &str, help: &str, value: &dyn Fn(&ProfileMeasures) -> Option<f64>| {
        let labels = |profile: &ProfileMeasures| [profile.name.clone(), profile.image.clone()];
        let samples = profiles.iter().filter_map(|profile| Some((labels(profile), value(profile)?)));
        out.family((name, Gauge, help), ["profile", "image"], samples);
    };
    #[allow(clippy::cast_precision_loss, reason = "exact below 2^53, and nothing counted here gets there")]
    let exact = |count: u64| Some(count as f64);
    gauge("slim_agent_profile_active_recordings", "Containers being recorded.", &|p| exact(p.active));
    gauge("slim_agent_profile_recordings", "Recordings in the profile.", &|p| exact(p.recordings));
    gauge("slim_agent_profile_paths", "Paths of the image that were used.", &|p| exact(p.paths));
    gauge("slim_agent_profile_syscalls", "System calls that were used.", &|p| exact(p.syscalls));
    gauge("slim_agent_profile_last_new_seconds", "How long nothing new was seen.", &|p| {
        p.last_new_seconds.and_then(exact)
    });
    gauge("slim_agent_profile_unseen_paths_upper", "Upper bound of the estimate of unseen paths.", &|p| {
        p.unseen_upper
    });
    gauge("slim_agent_profile_ready", "Whether the profile's rules hold.", &|p| {
        p.ready.map(|ready| f64::from(u8::from(ready)))
    });
    gauge("slim_agent_profile_bytes", "What the profile takes on the disk.", &|p| exact(p.bytes));
}

fn of_process(out: &mut Exposition, process: &ProcessMeasures) {
    out.count(
        ("slim_agent_resident_memory_bytes", Gauge, "Memory of the daemon, without the kernel's maps."),
        process.resident_bytes,
    );
    out.one(("slim_agent_cpu_seconds_total", Counter, "Processor time of the daemon."), process.cpu_seconds);
    out.count(("slim_agent_open_files", Gauge, "Files that the daemon has open."), process.open_files);
}

#[cfg(test)]
mod tests;
