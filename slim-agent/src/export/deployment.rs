//! What the exporters of hardening have in common: what is run, and how what is known of it is said.

use crate::export::seccomp;
use crate::harden::{Basis, Hardening, Holds, Writable};
use crate::plan::Plan;

/// A container to be run with no more privileges than it needs.
#[derive(Debug)]
pub struct Deployment<'a> {
    /// What it is called: letters, digits and `-`.
    pub name: &'a str,
    /// The image that is run.
    pub image: &'a str,
    /// The image that was recorded.
    pub original: &'a str,
    /// Where the seccomp profile is for whoever starts it.
    pub profile: &'a str,
    /// What it needs.
    pub hardening: &'a Hardening,
    /// What its image keeps.
    pub plan: &'a Plan,
    /// Its seccomp profile.
    pub seccomp: &'a seccomp::Export,
    /// The same without what a container runtime does, where none runs.
    pub alone: &'a seccomp::Export,
}

impl Deployment<'_> {
    /// What this was made from: the first line of every output.
    pub fn headline(&self) -> String {
        let recordings = match self.hardening.recordings {
            1 => "1 recording".to_owned(),
            of => format!("{of} recordings"),
        };
        format!("{}, with the privileges that {recordings} of {} saw it need.", self.image, self.original)
    }

    /// How it is known which capabilities are needed.
    pub fn capabilities(&self) -> &'static str {
        match self.hardening.capabilities.basis {
            Basis::Measured => "all capabilities but those that the kernel was asked for, and that it had",
            Basis::NotRoot => "all capabilities: it is not root, and nothing that it executed makes it so",
            Basis::Calls => {
                "all capabilities but those that its system calls may need: derived, as the recording did not \
                 measure them"
            }
        }
    }

    /// Why there is no read-only root, a line each; none when there is one.
    pub fn read_only_obstacles(&self) -> impl Iterator<Item = String> {
        self.hardening.read_only.obstacles.iter().map(|why| format!("no read-only root: {why}"))
    }

    /// Why programs may gain privileges, a line each; none when they may not.
    pub fn gains(&self) -> impl Iterator<Item = String> {
        self.hardening.gains.iter().map(|why| format!("no no-new-privileges: {why}"))
    }

    /// What the platform does not know, and whoever deploys this must: a line each.
    pub fn notes(&self) -> Vec<String> {
        let Hardening { mounts, account, unused_ports, read_only, .. } = self.hardening;
        let mut notes = Vec::new();
        for mount in mounts.iter().filter(|mount| mount.kind == "bind") {
            notes
                .push(format!("{} was mounted from the host in a recording: mount it here, too", mount.path));
        }
        match account.uid {
            None => notes.push(format!("the image does not know its user {:?}", account.spelled)),
            Some(0) => notes.push(
                "it runs as root; whether it can do without was not recorded: record it with --user to know"
                    .into(),
            ),
            Some(uid) => notes.push(format!("it runs as user {uid} of the image, not as root")),
        }
        for port in unused_ports {
            notes.push(format!("the image declares port {port}, at which nothing waited"));
        }
        for listener in &self.hardening.listens {
            if let Some(port) = listener.port().filter(|_| !listener.declared) {
                notes.push(format!("port {port} is waited at, and the image does not declare it"));
            }
        }
        for path in &read_only.refused {
            notes.push(format!("{path} could not be written, and did not have to be"));
        }
        notes.dedup();
        notes
    }
}

/// Why a directory is writable: what was written there, by what.
pub fn written(dir: &Writable) -> String {
    let by: Vec<String> = dir.by.iter().map(ToString::to_string).collect();
    let by = if by.is_empty() { String::new() } else { format!(" by {}", by.join(", ")) };
    format!("{} was written{by}", dir.example)
}

/// Why a directory is writable, and why it is a volume if it is one.
pub fn writable(dir: &Writable) -> String {
    let volume = match &dir.holds {
        Holds::Needed(what) => format!("; a volume, because it begins with {what} of the image"),
        Holds::Nothing if dir.persists => "; a volume, because it may have to outlive a restart".to_owned(),
        Holds::Nothing => String::new(),
    };
    written(dir) + &volume
}

/// Text for a comment: on one line, whatever is in it.
pub fn one_line(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

#[cfg(test)]
mod tests;
