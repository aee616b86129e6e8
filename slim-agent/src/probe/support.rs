//! What a recording needs of this host: found out without loading anything, so that a refusal can name the cause.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use serde::Serialize;

use crate::container::cgroup;
use crate::exit::{Exit, tag};

/// The oldest kernel that the hooks are proved on.
const OLDEST: (u32, u32) = (5, 10);
/// Until then, memory of maps counts against RLIMIT_MEMLOCK, which only CAP_SYS_RESOURCE raises.
const MEMLOCK_UNTIL: (u32, u32) = (5, 11);
/// The kernel's description of its own types.
const BTF: &str = "/sys/kernel/btf/vmlinux";

const CAP_DAC_OVERRIDE: u32 = 1;
const CAP_DAC_READ_SEARCH: u32 = 2;
const CAP_SYS_PTRACE: u32 = 19;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_SYS_RESOURCE: u32 = 24;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What it is about.
    pub name: &'static str,
    /// How it stands.
    pub status: Status,
    /// What was found and, where it is not right, what to do.
    pub detail: String,
}

/// How a check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Recording works; something else does not, or not as well.
    Limited,
    /// Recording is not possible.
    Missing,
}

impl Check {
    /// A check with its outcome.
    pub fn new(name: &'static str, status: Status, detail: impl Into<String>) -> Self {
        Self { name, status, detail: detail.into() }
    }
}

/// What the checks judge; gathered from the running system, or made up by a test.
#[derive(Debug)]
struct Facts {
    /// Effective capabilities, a bit each; `None` if /proc does not tell.
    capabilities: Option<u64>,
    /// The kernel's release, as uname(2) tells it.
    release: String,
    /// The type description cannot be read, and why.
    btf: Result<(), String>,
    cgroup2: Result<PathBuf, String>,
    /// The line of /sys/kernel/security/lockdown, where it exists.
    lockdown: String,
    /// The uid map of this process.
    uid_map: String,
}

/// Everything a recording needs of the host, in the order in which it matters.
pub fn checks() -> Vec<Check> {
    judge(&Facts::gather())
}

/// Passes when recording is possible.
///
/// # Errors
/// The first thing that stands in the way, as [`Exit::Host`].
pub fn require() -> Result<()> {
    match checks().into_iter().find(|check| check.status == Status::Missing) {
        Some(check) => Err(tag(Exit::Host, format!("this host cannot record: {}", check.detail))),
        None => Ok(()),
    }
}

impl Facts {
    fn gather() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let release = nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned());
        Self {
            capabilities: effective(&text("/proc/self/status")),
            release: release.unwrap_or_default(),
            btf: fs::File::open(BTF).map(drop).map_err(|error| error.to_string()),
            cgroup2: cgroup::mount_point().map_err(|error| format!("{error:#}")),
            lockdown: text("/sys/kernel/security/lockdown"),
            uid_map: text("/proc/self/uid_map"),
        }
    }
}

fn judge(facts: &Facts) -> Vec<Check> {
    let mut checks = vec![kernel(facts), capabilities(facts)];
    checks.extend(user_namespace(facts));
    checks.extend(lockdown(facts));
    checks.push(btf(facts));
    checks.push(cgroup2(facts));
    checks
}

fn kernel(facts: &Facts) -> Check {
    let (major, minor) = OLDEST;
    let release = &facts.release;
    match version(release) {
        Some(found) if found >= OLDEST => Check::new("kernel", Status::Ok, release),
        Some(_) => {
            let detail = format!("kernel {release} is too old: {major}.{minor} or newer is needed");
            Check::new("kernel", Status::Missing, detail)
        }
        None => {
            let detail =
                format!("release {release:?} cannot be compared; {major}.{minor} or newer is needed");
            Check::new("kernel", Status::Limited, detail)
        }
    }
}

fn capabilities(facts: &Facts) -> Check {
    let Some(held) = facts.capabilities else {
        return Check::new("capabilities", Status::Limited, "/proc/self/status does not tell them");
    };
    let old = version(&facts.release).is_some_and(|found| found < MEMLOCK_UNTIL);
    // Each with the capabilities that include it.
    let needed: [(&str, &[u32], bool); 5] = [
        ("CAP_BPF", &[CAP_BPF, CAP_SYS_ADMIN], true),
        ("CAP_PERFMON", &[CAP_PERFMON, CAP_SYS_ADMIN], true),
        ("CAP_SYS_PTRACE", &[CAP_SYS_PTRACE], true),
        ("CAP_DAC_READ_SEARCH", &[CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE], true),
        ("CAP_SYS_RESOURCE", &[CAP_SYS_RESOURCE], old),
    ];
    let needed = needed.iter().filter(|(_, _, needed)| *needed);
    let (has, lacks): (Vec<_>, Vec<_>) =
        needed.partition(|(_, any_of, _)| any_of.iter().any(|&bit| held & (1 << bit) != 0));
    let names =
        |of: Vec<&(&str, &[u32], bool)>| of.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", ");
    if lacks.is_empty() {
        return Check::new("capabilities", Status::Ok, names(has));
    }
    let detail = format!("missing {}: run as root, or grant them with setcap(8)", names(lacks));
    Check::new("capabilities", Status::Missing, detail)
}

/// Capabilities of a user namespace are no capabilities to the bpf(2) system call.
fn user_namespace(facts: &Facts) -> Option<Check> {
    let map: Vec<_> = facts.uid_map.split_whitespace().collect();
    let initial = map.is_empty() || map == ["0", "0", "4294967295"];
    let detail = "this is a user namespace, where eBPF is not allowed: run on the host itself";
    (!initial).then(|| Check::new("user namespace", Status::Missing, detail))
}

fn lockdown(facts: &Facts) -> Option<Check> {
    let detail = "the kernel is locked down for confidentiality, so eBPF cannot read kernel memory: boot without \
                  lockdown=confidentiality";
    facts.lockdown.contains("[confidentiality]").then(|| Check::new("lockdown", Status::Missing, detail))
}

fn btf(facts: &Facts) -> Check {
    match &facts.btf {
        Ok(()) => Check::new("kernel BTF", Status::Ok, BTF),
        Err(error) => {
            let detail = format!(
                "{BTF} cannot be read ({error}): a kernel built with CONFIG_DEBUG_INFO_BTF=y is needed"
            );
            Check::new("kernel BTF", Status::Missing, detail)
        }
    }
}

fn cgroup2(facts: &Facts) -> Check {
    match &facts.cgroup2 {
        Ok(at) if at == Path::new("/sys/fs/cgroup") => {
            Check::new("cgroup v2", Status::Ok, at.to_string_lossy())
        }
        Ok(at) => Check::new("cgroup v2", Status::Ok, format!("{}, beside v1 hierarchies", at.display())),
        Err(error) => Check::new("cgroup v2", Status::Missing, error.clone()),
    }
}

/// `CapEff` of /proc/PID/status: proc_pid_status(5).
fn effective(status: &str) -> Option<u64> {
    let field = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(field.trim(), 16).ok()
}

/// Major and minor number of a release such as `6.1.0-18-cloud-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Major and minor version of the running kernel.
///
/// # Errors
/// The kernel does not tell, or not in numbers.
pub fn kernel_version() -> Result<(u32, u32)> {
    let names = nix::sys::utsname::uname().context("cannot ask for the kernel's version")?;
    let release = names.release().to_string_lossy();
    version(&release).ok_or_else(|| anyhow!("cannot read the kernel version {release}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Facts {
        Facts {
            capabilities: Some(u64::MAX),
            release: "6.1.0-18-cloud-amd64".into(),
            btf: Ok(()),
            cgroup2: Ok("/sys/fs/cgroup".into()),
            lockdown: "[none] integrity confidentiality\n".into(),
            uid_map: "         0          0 4294967295\n".into(),
        }
    }

    fn missing(facts: &Facts) -> Vec<String> {
        let checks = judge(facts).into_iter().filter(|check| check.status == Status::Missing);
        checks.map(|check| check.detail).collect()
    }

    #[test]
    fn a_good_host_passes() {
        assert_eq!(missing(&good()), [""; 0]);
        // CAP_SYS_ADMIN includes what was split from it.
        let old_style = 1 << CAP_SYS_ADMIN | 1 << CAP_SYS_PTRACE | 1 << CAP_DAC_OVERRIDE;
        assert_eq!(missing(&Facts { capabilities: Some(old_style), ..good() }), [""; 0]);
    }

    #[test]
    fn missing_capabilities_are_named() {
        let facts = Facts { capabilities: Some(1 << CAP_BPF), ..good() };
        let found = missing(&facts).concat();
        assert!(found.contains("CAP_PERFMON") && found.contains("CAP_SYS_PTRACE"), "{found}");
        assert!(!found.contains("CAP_BPF") && !found.contains("CAP_SYS_RESOURCE"), "{found}");
        let old = Facts { capabilities: Some(0), release: "5.10.0".into(), ..good() };
        assert!(missing(&old).concat().contains("CAP_SYS_RESOURCE"));
    }

    #[test]
    fn every_obstacle_is_named() {
        let cases = [
            (Facts { release: "5.4.0-1".into(), ..good() }, "too old"),
            (Facts { btf: Err("no such file".into()), ..good() }, "BTF"),
            (Facts { cgroup2: Err("no cgroup v2".into()), ..good() }, "cgroup v2"),
            (Facts { lockdown: "none integrity [confidentiality]".into(), ..good() }, "locked down"),
            (Facts { uid_map: "0 1000 1".into(), ..good() }, "user namespace"),
        ];
        for (facts, word) in cases {
            let found = missing(&facts);
            assert!(found.len() == 1 && found[0].contains(word), "{word}: {found:?}");
        }
    }

    #[test]
    fn releases_and_capability_sets() {
        assert_eq!(version("6.18.44-fc"), Some((6, 18)));
        assert_eq!(version("5.10"), Some((5, 10)));
        assert_eq!(version("6.1-rc2"), Some((6, 1)));
        assert_eq!(version("linux"), None);
        assert_eq!(effective("Name:\tx\nCapEff:\t000001ffffffffff\n"), Some(0x1ff_ffff_ffff));
        assert_eq!(effective(""), None);
    }
}
