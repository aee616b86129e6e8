//! The engine's side of the contract: it knows the profile `a/b`, and something of everything.

use std::collections::BTreeMap;

use tokio::sync::mpsc::Receiver;

use crate::daemon::control::{Answer, Ask, Refusal, Request};
use crate::daemon::model::{
    ActiveRecording, DaemonStatus, Disk, Engine, Forgotten, Health, ProfileStatus, Room, Started, State,
    Stopped,
};
use crate::manifest::ImageRef;

/// Answers until nobody can ask any more.
pub async fn run(mut requests: Receiver<Request>) {
    while let Some(Request { ask, answer }) = requests.recv().await {
        let _ = answer.send(answered(ask));
    }
}

fn known(name: &str) -> Result<String, Refusal> {
    match name {
        "a/b" => Ok(name.to_owned()),
        "busy" => Err(Refusal::unavailable("the disk is full")),
        _ => Err(Refusal::not_found(format!("there is no profile {name:?}"))),
    }
}

fn answered(ask: Ask) -> Result<Answer, Refusal> {
    Ok(match ask {
        Ask::Status { profile: None } => Answer::Status(Box::new(daemon())),
        Ask::Status { profile: Some(name) } => {
            known(&name)?;
            let coverage = Some(serde_json::json!({ "recordings": 3 }));
            Answer::Profile(Box::new(ProfileStatus { coverage, ..profile() }))
        }
        Ask::List => Answer::Profiles(vec![profile(), ProfileStatus::default()]),
        Ask::Start { container, .. } if container == "twice" => {
            return Err(Refusal::conflict("\"twice\" is being recorded already"));
        }
        Ask::Start { container, profile } => {
            let profile = known(&profile.unwrap_or_else(|| "a/b".into()))?;
            Answer::Started(Started { container, profile, ..Started::default() })
        }
        Ask::Stop { name } => {
            Answer::Stopped(Stopped { profile: known(&name)?, containers: vec!["web".into()] })
        }
        Ask::Snapshot { profile } => known(&profile).map(|_| Answer::Snapshot(b"the manifest\n".to_vec()))?,
        Ask::Forget { profile } => Answer::Forgotten(Forgotten {
            profile: known(&profile)?,
            image: Some("sha256:1".into()),
            bytes: 1 << 20,
        }),
        Ask::Metrics => Answer::Metrics(Box::default()),
        Ask::Health => Answer::Health(Health { ok: false, reasons: vec!["no engine answers".into()] }),
    })
}

fn daemon() -> DaemonStatus {
    let engine = Engine { address: "unix:///run/docker.sock".into(), up: true, ..Engine::default() };
    let down = Engine { error: Some("connection refused".into()), ..Engine::default() };
    DaemonStatus {
        version: "1.2.3".into(),
        pid: 7,
        since: "2026-01-01T00:00:00Z".into(),
        recording_since: "2026-01-01T00:00:00Z".into(),
        hooks: BTreeMap::from([("sys_exit".into(), "tp_btf".into())]),
        slots: Room { used: 1, free: 63 },
        checkpoint_age_seconds: Some(1.5),
        disk: Disk { paused: true, reason: Some("no space left on device".into()), bytes: 1 << 20 },
        engines: vec![engine, down],
        warnings: vec!["the disk is full".into()],
        profiles: vec![profile()],
        ..DaemonStatus::default()
    }
}

fn profile() -> ProfileStatus {
    let active = ActiveRecording {
        container: "web".into(),
        since: "2026-01-01T00:00:00Z".into(),
        last_new_seconds: Some(3),
        ..ActiveRecording::default()
    };
    let idle = ActiveRecording { since: "2026-01-01T00:00:00Z".into(), ..ActiveRecording::default() };
    ProfileStatus {
        name: "a/b".into(),
        image: Some(ImageRef {
            id: "sha256:1".into(),
            repo_digests: ["a/b@sha256:2".to_owned()].into(),
            names: ["a/b:latest".to_owned()].into(),
        }),
        state: State::Recording,
        containers: vec![active, idle],
        paths: 412,
        last_new_seconds: Some(60),
        ready: Some(false),
        unmet: vec!["3 of 5 starts".into()],
        shortcomings: vec!["2 paths were too long to follow".into()],
        ..ProfileStatus::default()
    }
}
