//! What the engine and the OCI runtime need to start a container of the image, whatever the recordings saw.

use anyhow::Result;

use super::keeper::Keeper;
use super::reason::{Need, Reason};
use crate::image::{Config, Entry, Kind};
use crate::manifest::{Manifest, PathBytes};

/// Looked up by name to find out the ids of `User` and its groups.
const USER_FILES: [&str; 2] = ["/etc/passwd", "/etc/group"];

/// Kept where the image has them: as mount points of every runtime, and because programs take them for granted.
const STANDARD: [&str; 8] = ["/dev", "/etc", "/proc", "/run", "/sys", "/tmp", "/var/run", "/var/tmp"];

/// Keeps what the engine needs. Returns the program that a container of the image starts with, if the image has it.
pub(super) fn keep(keeper: &mut Keeper<'_>, config: &Config, manifest: &Manifest) -> Result<Option<Entry>> {
    for name in USER_FILES {
        keeper.keep_if_there(&name.into(), &Reason::Engine(Need::UserLookup))?;
    }
    for name in STANDARD {
        keeper.keep_if_there(&name.into(), &Reason::Engine(Need::StandardDirectory))?;
    }
    if !config.working_dir.is_empty() {
        keeper.keep_if_there(&absolute(config, ""), &Reason::Engine(Need::WorkingDirectory))?;
    }
    let volumes = config.volumes.iter().map(|name| PathBytes::from(name.as_str()));
    let mounts = manifest.recordings.values().flat_map(|recording| recording.mounts.keys().cloned());
    for name in volumes.chain(mounts) {
        keeper.keep_if_there(&name, &Reason::Engine(Need::MountPoint))?;
    }
    executable(keeper, config, config.healthcheck.as_deref().unwrap_or_default(), Need::Healthcheck)?;
    let entrypoint = executable(keeper, config, &config.entrypoint, Need::Entrypoint)?;
    // Entrypoint scripts usually end in running what they are given: the words of Cmd.
    let cmd = executable(keeper, config, &config.cmd, Need::Cmd)?;
    Ok(if config.entrypoint.is_empty() { cmd } else { entrypoint })
}

fn executable(
    keeper: &mut Keeper<'_>,
    config: &Config,
    command: &[String],
    need: Need,
) -> Result<Option<Entry>> {
    let Some(word) = command.first() else { return Ok(None) };
    for name in candidates(config, word) {
        let Some(entry) = keeper.find(name.as_bytes())? else { continue };
        if entry.kind == Kind::File && entry.mode & 0o111 != 0 {
            keeper.keep(&name, &Reason::Engine(need))?;
            keeper.keep_interpreters(entry.clone())?;
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

/// The names that the first word of a command may mean, as the runtime tries them.
fn candidates(config: &Config, word: &str) -> Vec<PathBytes> {
    if word.contains('/') {
        return vec![absolute(config, word)];
    }
    config.search.iter().map(|dir| absolute(config, dir).join(word.as_bytes())).collect()
}

/// `name` seen from the working directory.
fn absolute(config: &Config, name: &str) -> PathBytes {
    if name.starts_with('/') {
        return PathBytes::from(name);
    }
    PathBytes::new(format!("/{}/{name}", config.working_dir))
}
