//! A drop-in for a systemd service that runs the application without a container.

use std::collections::BTreeSet;

use super::deployment::{Deployment, one_line};
use crate::harden::{Family, Hardening, ports};
use crate::manifest::PathBytes;

/// Names on one line.
const COLUMNS: usize = 100;
/// What systemd gives each service of its own.
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];
/// Who may wait at low ports.
const LOW_PORTS: &str = "CAP_NET_BIND_SERVICE";

/// The drop-in.
pub fn drop_in(deployment: &Deployment<'_>) -> String {
    let Deployment { name, hardening, .. } = deployment;
    let mut unit = Unit::default();
    unit.comment(&deployment.headline());
    unit.comment(&format!(
        "Use: /etc/systemd/system/{name}.service.d/50-slim-agent.conf, then systemctl daemon-reload."
    ));
    unit.comment(
        "Paths are those of the image: the host must have the application at the same ones, or the service",
    );
    unit.comment("RootDirectory= or RootImage=.");
    deployment.notes().iter().for_each(|note| unit.comment(note));
    unit.text.push_str("\n[Service]\n");
    privileges(deployment, &mut unit);
    files(deployment, &mut unit);
    let families: Vec<&str> = hardening.families.iter().map(Family::constant).collect();
    unit.comment("families of sockets that were seen, and those that a C library uses");
    unit.set("RestrictAddressFamilies", &families);
    calls(deployment, &mut unit);
    unit.text
}

#[derive(Debug, Default)]
struct Unit {
    text: String,
}

impl Unit {
    fn comment(&mut self, text: &str) {
        self.text.push_str(&format!("# {}\n", one_line(text)));
    }

    /// Several lines where one would be long: for lists, they add up.
    fn set(&mut self, key: &str, words: &[&str]) {
        let mut line = format!("{key}=");
        let mut is_first = true;
        for word in words {
            if !is_first && line.len() + word.len() >= COLUMNS {
                self.text.push_str(&line);
                self.text.push('\n');
                line = format!("{key}=");
                is_first = true;
            }
            if !is_first {
                line.push(' ');
            }
            line.push_str(word);
            is_first = false;
        }
        self.text.push_str(&line);
        self.text.push('\n');
    }
}

fn privileges(deployment: &Deployment<'_>, unit: &mut Unit) {
    let Hardening { capabilities, account, gains, listens, .. } = deployment.hardening;
    if gains.is_empty() {
        unit.comment("no program that gives privileges was executed");
        unit.set("NoNewPrivileges", &["yes"]);
    }
    deployment.gains().for_each(|why| unit.comment(&why));
    unit.comment(deployment.capabilities());
    let mut needed: BTreeSet<&str> = capabilities.needed.keys().map(String::as_str).collect();
    let waits_low = ports(listens).into_keys().any(|port| port < 1024);
    if waits_low && !account.may_be_root() {
        needed.insert(LOW_PORTS);
        unit.set("AmbientCapabilities", &[LOW_PORTS]);
    }
    unit.set("CapabilityBoundingSet", &needed.into_iter().collect::<Vec<_>>());
}

fn files(deployment: &Deployment<'_>, unit: &mut Unit) {
    let Hardening { read_only, mounts, .. } = deployment.hardening;
    if !read_only.is_possible() {
        deployment.read_only_obstacles().for_each(|why| unit.comment(&why));
        return;
    }
    unit.comment("nothing can be written but to these directories, where they are");
    unit.set("ProtectSystem", &["strict"]);
    let all = read_only.writable.iter().map(|dir| &dir.path).chain(mounts.iter().map(|mount| &mount.path));
    let all: BTreeSet<&PathBytes> = all.collect();
    let (own, shared): (Vec<&PathBytes>, Vec<&PathBytes>) =
        all.into_iter().partition(|path| TEMPORARY.iter().any(|dir| path.as_bytes() == dir.as_bytes()));
    if !own.is_empty() {
        unit.set("PrivateTmp", &["yes"]);
    }
    for path in shared {
        match spelled(path) {
            Some(path) => unit.set("ReadWritePaths", &[&path]),
            None => unit.comment(&format!("{path} must be writable, and its name cannot be spelled here")),
        }
    }
}

/// A path that need not be there, in quotes.
fn spelled(path: &PathBytes) -> Option<String> {
    let text = std::str::from_utf8(path.as_bytes()).ok().filter(|text| !text.contains(char::is_control))?;
    Some(format!("\"-{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%")))
}

fn calls(deployment: &Deployment<'_>, unit: &mut Unit) {
    unit.comment("as slim-agent export seccomp --no-runtime-calls allows; all other calls do not exist");
    if deployment.hardening.abis.len() == 1 {
        unit.set("SystemCallArchitectures", &["native"]);
    }
    let names: Vec<&str> = deployment.alone.reasons.keys().map(String::as_str).collect();
    unit.set("SystemCallFilter", &names);
    unit.set("SystemCallErrorNumber", &["ENOSYS"]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_paths_are_quoted_or_left_out() {
        assert_eq!(
            spelled(&"/a \"%\\".into()).as_deref(),
            Some(r#""-/a \"%%\\\\""#.replace(r"\\\\", r"\\").as_str())
        );
        assert_eq!(spelled(&PathBytes::new(b"/\xff".to_vec())), None);
    }

    #[test]
    fn long_lists_take_several_lines() {
        let mut unit = Unit::default();
        unit.set("A", &["x".repeat(60).as_str(), "y".repeat(60).as_str(), "z"]);
        unit.set("B", &[]);
        let lines: Vec<&str> = unit.text.lines().collect();
        assert_eq!((lines.len(), lines[2]), (3, "B="));
        assert!(lines[1].ends_with("y z"));
    }
}
