//! `status`: how the daemon is, or whether one profile has seen enough.

use std::path::Path;

use anyhow::Result;

use super::show::document::{Document, figures, list, words};
use super::socket::{Format, SocketArgs, show, size};
use crate::daemon::model::{ActiveRecording, DaemonStatus, Engine, ProfileStatus, State};
use crate::exit::Exit;

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The profile, its newest image; PROFILE@IMAGE is that of another. Without it: the daemon and all profiles
    profile: Option<String>,
    /// Exit with 6 unless the profile's rules hold
    #[arg(long, requires = "profile")]
    ready: bool,
    /// How to write the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    socket: SocketArgs,
}

/// Runs the command.
///
/// # Errors
/// No daemon answers, it knows no such profile, or standard output cannot be written.
pub async fn run(args: &Args) -> Result<Exit> {
    let client = args.socket.client();
    let answered = match &args.profile {
        Some(profile) => client.profile(profile).await?,
        None => client.status().await?,
    };
    if args.format == Format::Json {
        super::emit(Path::new("-"), &answered.0)?;
    }
    if args.profile.is_none() {
        if args.format == Format::Text {
            show(&of_daemon(&answered.read()?))?;
        }
        return Ok(Exit::Ok);
    }
    let profile: ProfileStatus = answered.read()?;
    if args.format == Format::Text {
        show(&of_profile(&profile))?;
    }
    // One without rules is not known to be ready.
    let unproved = args.ready && profile.ready != Some(true);
    Ok(if unproved { Exit::Unproved } else { Exit::Ok })
}

fn of_daemon(daemon: &DaemonStatus) -> Document {
    let mut document = Document::default();
    document.heading(format!("slim-agent {}, process {}", daemon.version, daemon.pid));
    document
        .line(format!("since {}, recording without a break since {}", daemon.since, daemon.recording_since));
    document.line(format!(
        "{} of {} slots used; {} accesses lost; {}; {}",
        daemon.slots.used,
        daemon.slots.used.saturating_add(daemon.slots.free),
        daemon.lost,
        checkpoint(daemon),
        disk(daemon)
    ));
    daemon.engines.iter().for_each(|one| document.line(engine(one)));
    daemon.warnings.iter().for_each(|warning| document.line(format!("warning: {warning}")));
    if daemon.profiles.is_empty() {
        document.line("no profiles yet: label a container slim.record=true, or slim-agent start CONTAINER");
    }
    let row = |profile: &ProfileStatus| {
        vec![profile.name.clone(), state(profile).to_owned(), ready(profile), profile.line.clone()]
    };
    let rows = daemon.profiles.iter().map(row).collect();
    document.table(&[words("profile"), words("state"), words("ready"), words("seen")], rows);
    document
}

fn checkpoint(daemon: &DaemonStatus) -> String {
    match daemon.checkpoint_age_seconds {
        Some(age) => format!("checkpoint {age:.0} s ago"),
        None => "nothing to checkpoint".to_owned(),
    }
}

fn disk(daemon: &DaemonStatus) -> String {
    match (&daemon.disk.reason, daemon.disk.paused) {
        (_, false) => format!("{} on disk", size(daemon.disk.bytes)),
        (reason, true) => {
            format!("checkpoints paused: {}", reason.as_deref().unwrap_or("the disk takes nothing"))
        }
    }
}

fn engine(engine: &Engine) -> String {
    let name = if engine.name.is_empty() { "engine" } else { &engine.name };
    match (&engine.error, engine.up) {
        (_, true) => format!("{name} at {}", engine.address),
        (None, false) => format!("{name} at {} does not answer", engine.address),
        (Some(error), false) => format!("{name} at {} does not answer: {error}", engine.address),
    }
}

fn state(profile: &ProfileStatus) -> &'static str {
    match profile.state {
        State::Recording => "recording",
        State::Idle => "idle",
    }
}

fn ready(profile: &ProfileStatus) -> String {
    match profile.ready {
        Some(true) => "yes",
        Some(false) => "no",
        None => "-",
    }
    .to_owned()
}

fn of_profile(profile: &ProfileStatus) -> Document {
    let mut document = Document::default();
    document.heading(format!("{}: {}", profile.name, profile.line));
    match &profile.image {
        Some(image) if image.names.is_empty() => document.line(format!("image {}", image.id)),
        Some(image) => document.line(format!("image {} ({})", image.id, list(&image.names))),
        None => document.line("no image: a bare cgroup"),
    }
    document.line(format!(
        "{}; {} recordings, {} of them from the start; {} on disk",
        state(profile),
        profile.recordings,
        profile.starts,
        size(profile.bytes_on_disk)
    ));
    match profile.ready {
        Some(true) => document.line("ready: all rules of ready_when hold"),
        Some(false) => profile.unmet.iter().for_each(|unmet| document.line(format!("not ready: {unmet}"))),
        None => document.line("not known to be ready: no ready_when of the configuration is for it"),
    }
    profile.shortcomings.iter().for_each(|why| document.line(format!("incomplete: {why}")));
    document.table(&COLUMNS, profile.containers.iter().map(active).collect());
    document
}

const COLUMNS: [super::show::document::Column; 7] = [
    words("container"),
    words("since"),
    words("from its start"),
    figures("paths"),
    figures("calls"),
    figures("addresses"),
    figures("lost"),
];

fn active(active: &ActiveRecording) -> Vec<String> {
    let count = |count: u64| count.to_string();
    vec![
        active.container.clone(),
        active.since.clone(),
        if active.startup_observed { "yes" } else { "no" }.to_owned(),
        count(active.paths),
        count(active.syscalls),
        count(active.sockets),
        count(active.lost),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::model::{Disk, Room};

    fn profile() -> ProfileStatus {
        ProfileStatus {
            name: "web".into(),
            line: "412 paths, nothing new for 3 d 4 h".into(),
            state: State::Recording,
            recordings: 14,
            starts: 13,
            ready: Some(false),
            unmet: vec!["3 of 5 starts".into()],
            bytes_on_disk: 1_500_000,
            containers: vec![ActiveRecording {
                container: "web-1".into(),
                since: "2026-01-01T00:00:00Z".into(),
                startup_observed: true,
                paths: 400,
                ..ActiveRecording::default()
            }],
            ..ProfileStatus::default()
        }
    }

    fn written(document: &Document) -> String {
        super::super::show::text::text(document, None, false)
    }

    #[test]
    fn a_daemon_has_a_line_for_each_profile() {
        let daemon = DaemonStatus {
            version: "1.2.3".into(),
            pid: 7,
            since: "2026-01-02T00:00:00Z".into(),
            recording_since: "2026-01-01T00:00:00Z".into(),
            slots: Room { used: 1, free: 63 },
            checkpoint_age_seconds: Some(2.4),
            disk: Disk { bytes: 12_300_000, ..Disk::default() },
            engines: vec![Engine {
                address: "unix:///x".into(),
                error: Some("refused".into()),
                ..Engine::default()
            }],
            profiles: vec![
                profile(),
                ProfileStatus { name: "a".into(), line: "0 paths".into(), ..ProfileStatus::default() },
            ],
            ..DaemonStatus::default()
        };
        assert_eq!(
            written(&of_daemon(&daemon)),
            "slim-agent 1.2.3, process 7\n\
             since 2026-01-02T00:00:00Z, recording without a break since 2026-01-01T00:00:00Z\n\
             1 of 64 slots used; 0 accesses lost; checkpoint 2 s ago; 12.3 MB on disk\n\
             engine at unix:///x does not answer: refused\n\
             \n\
             profile  state      ready  seen\n\
             web      recording  no     412 paths, nothing new for 3 d 4 h\n\
             a        idle       -      0 paths\n"
        );
        let disk = Disk { paused: true, reason: Some("full".into()), bytes: 0 };
        let paused = written(&of_daemon(&DaemonStatus { disk, ..DaemonStatus::default() }));
        assert!(
            paused.contains("checkpoints paused: full") && paused.contains("no profiles yet"),
            "{paused}"
        );
    }

    #[test]
    fn a_profile_says_what_it_lacks() {
        assert_eq!(
            written(&of_profile(&profile())),
            "web: 412 paths, nothing new for 3 d 4 h\n\
             no image: a bare cgroup\n\
             recording; 14 recordings, 13 of them from the start; 1.5 MB on disk\n\
             not ready: 3 of 5 starts\n\
             \n\
             container  since                 from its start  paths  calls  addresses  lost\n\
             web-1      2026-01-01T00:00:00Z  yes               400      0          0     0\n"
        );
        let other = ProfileStatus { ready: None, shortcomings: vec!["2 lost".into()], ..profile() };
        let text = written(&of_profile(&other));
        assert!(text.contains("not known to be ready") && text.contains("\nincomplete: 2 lost\n"), "{text}");
    }
}
