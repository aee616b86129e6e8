//! An AppArmor profile: what may be read, written, mapped and executed, by the paths that a container sees.

use super::deployment::{Deployment, one_line, written};
use crate::harden::{Access, Family, Hardening};
use crate::manifest::PathBytes;

/// What every program uses of the kernel, and what no container is to touch there; devices are the engine's concern.
const KERNEL: [&str; 6] = [
    "/dev/{,**} rw,",
    "/dev/shm/{,**} rwkml,",
    "/proc/{,**} r,",
    "/sys/{,**} r,",
    "deny /proc/{kcore,kmem,mem,sysrq-trigger} rwklx,",
    "deny /sys/{firmware,kernel/security}/{,**} rwklx,",
];

/// What the engine mounts from the host.
const OF_ENGINE: &str = "/etc/{hosts,hostname,resolv.conf}";

/// The profile.
pub fn profile(deployment: &Deployment<'_>) -> String {
    let name = deployment.name;
    let mut rules = Rules::default();
    rules.privileges(deployment);
    rules.network(deployment.hardening);
    rules.processes(name);
    rules.section("of the kernel and of the engine");
    rules.lines.extend(KERNEL.map(str::to_owned));
    rules.lines.push(format!("{OF_ENGINE} r,"));
    for path in &deployment.hardening.kernel_writes {
        rules.lines.push(format!("{} rw,", quoted(&PathBytes::from(path.as_str()), "").replace("\\*", "*")));
    }
    rules.writable(deployment);
    rules.section("of the image");
    for (path, access) in &deployment.hardening.files {
        rules.lines.push(kept(path, *access));
    }
    let mut text = format!("# {}\n", one_line(&deployment.headline()));
    text.push_str("# Use: apparmor_parser --replace FILE, then docker run --security-opt apparmor=");
    text.push_str(&format!("{name}\n"));
    for note in deployment.notes() {
        text.push_str(&format!("# {}\n", one_line(&note)));
    }
    text.push_str(&format!("profile \"{name}\" flags=(attach_disconnected,mediate_deleted) {{\n"));
    for line in rules.lines {
        text.push_str(&format!("  {line}\n"));
    }
    text.push_str("}\n");
    text
}

/// Rules and comments, a line each.
#[derive(Debug, Default)]
struct Rules {
    lines: Vec<String>,
}

impl Rules {
    fn section(&mut self, title: &str) {
        self.lines.push(format!("# {}", one_line(title)));
    }

    fn privileges(&mut self, deployment: &Deployment<'_>) {
        self.section(deployment.capabilities());
        let needed = deployment.hardening.capabilities.needed.keys();
        let names = needed.map(|name| name.trim_start_matches("CAP_").to_ascii_lowercase());
        self.lines.extend(names.map(|name| format!("capability {name},")));
    }

    fn network(&mut self, hardening: &Hardening) {
        self.section("sockets");
        let rule = |family: &Family| match family {
            Family::Inet => "network inet,",
            Family::Inet6 => "network inet6,",
            Family::Netlink => "network netlink,",
            Family::Packet => "network packet,",
            Family::Unix => "unix,",
        };
        self.lines.extend(hardening.families.iter().map(rule).map(str::to_owned));
    }

    fn processes(&mut self, name: &str) {
        self.section("its own processes; the engine stops it");
        self.lines.push("signal (receive) peer=unconfined,".to_owned());
        self.lines.push(format!("signal (send, receive) peer=\"{name}\","));
        self.lines.push(format!("ptrace (read, trace, readby, tracedby) peer=\"{name}\","));
    }

    fn writable(&mut self, deployment: &Deployment<'_>) {
        let hardening = deployment.hardening;
        if let Some(why) = hardening.read_only.obstacles.first() {
            self.section(&format!("all can be written: {why}"));
            self.lines.push("/{,**} rwkl,".to_owned());
        }
        for dir in &hardening.read_only.writable {
            self.section(&written(dir));
            let more = if dir.executes { "mix" } else { "" };
            self.lines.push(format!("{} rwkl{more},", quoted(&dir.path, "/{,**}")));
        }
        for mount in &hardening.mounts {
            self.section(&format!("a mount point: {}", mount.kind));
            self.lines.push(format!("{} rwkl,", quoted(&mount.path, "/{,**}")));
        }
    }
}

fn kept(path: &PathBytes, access: Access) -> String {
    match access {
        Access { is_dir: true, .. } => format!("{} r,", quoted(path, "/")),
        Access { executes: true, .. } => format!("{} mrix,", quoted(path, "")),
        Access { maps: true, .. } => format!("{} mr,", quoted(path, "")),
        Access { .. } => format!("{} r,", quoted(path, "")),
    }
}

/// A path in quotes, in which nothing is a pattern, followed by a pattern. What cannot be spelled may be any character.
fn quoted(path: &PathBytes, pattern: &str) -> String {
    let mut out = String::from("\"");
    for chunk in path.as_bytes().utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                char if char.is_control() => out.push('?'),
                '"' | '\\' => out.push('?'),
                '*' | '?' | '[' | ']' | '{' | '}' | '^' => out.extend(['\\', char]),
                char => out.push(char),
            }
        }
        out.extend(chunk.invalid().iter().map(|_| '?'));
    }
    out.push_str(pattern);
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_is_a_pattern() {
        assert_eq!(quoted(&"/a b[1]*".into(), "/{,**}"), r#""/a b\[1\]\*/{,**}""#);
        assert_eq!(quoted(&PathBytes::new(b"/\xff\"\n@{x}".to_vec()), ""), r#""/???@\{x\}""#);
    }
}
