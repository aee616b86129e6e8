//! `list`: the daemon's profiles.

use std::path::Path;

use anyhow::Result;
use serde::Deserialize;

use super::show::document::{Document, figures, list, words};
use super::socket::{Format, SocketArgs, show, size};
use crate::daemon::model::{ProfileStatus, State};

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How to write the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    socket: SocketArgs,
}

/// What the daemon answers.
#[derive(Deserialize)]
struct Profiles {
    profiles: Vec<ProfileStatus>,
}

/// Runs the command.
///
/// # Errors
/// No daemon answers, or standard output cannot be written.
pub async fn run(args: &Args) -> Result<()> {
    let answered = args.socket.client().profiles().await?;
    match args.format {
        Format::Json => super::emit(Path::new("-"), &answered.0),
        Format::Text => show(&document(&answered.read::<Profiles>()?.profiles)),
    }
}

fn document(profiles: &[ProfileStatus]) -> Document {
    let mut document = Document::default();
    let columns = [
        words("profile"),
        words("image"),
        words("recorded now"),
        figures("recordings"),
        figures("nodes"),
        figures("paths"),
        figures("calls"),
        figures("on disk"),
    ];
    document.table(&columns, profiles.iter().map(row).collect());
    document
}

fn row(profile: &ProfileStatus) -> Vec<String> {
    let now = match profile.state {
        State::Idle => "-".to_owned(),
        State::Recording => list(profile.containers.iter().map(|active| &active.container)),
    };
    vec![
        profile.name.clone(),
        profile.image.as_ref().map_or_else(|| "-".to_owned(), |image| short(&image.id).to_owned()),
        now,
        profile.recordings.to_string(),
        profile.nodes.to_string(),
        profile.paths.to_string(),
        profile.syscalls.to_string(),
        size(profile.bytes_on_disk),
    ]
}

/// An image's id as the docker CLI shortens it: enough to name it by.
fn short(id: &str) -> &str {
    let digits = id.strip_prefix("sha256:").unwrap_or(id);
    digits.get(..12).unwrap_or(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::model::ActiveRecording;
    use crate::manifest::ImageRef;

    #[test]
    fn each_profile_has_a_row() {
        let id = format!("sha256:{}", "0123456789abcdef".repeat(4));
        let web = ProfileStatus {
            name: "web".into(),
            image: Some(ImageRef { id, repo_digests: [].into(), names: [].into() }),
            state: State::Recording,
            containers: vec![ActiveRecording { container: "web-1".into(), ..ActiveRecording::default() }],
            paths: 412,
            ..ProfileStatus::default()
        };
        let idle = ProfileStatus { name: "a".into(), bytes_on_disk: 20_000_000, ..ProfileStatus::default() };
        assert_eq!(
            super::super::show::text::text(&document(&[web, idle]), None, false),
            "profile  image         recorded now  recordings  nodes  paths  calls  on disk\n\
             web      0123456789ab  web-1                  0      0    412      0     0 kB\n\
             a        -             -                      0      0      0      0  20.0 MB\n"
        );
    }
}
