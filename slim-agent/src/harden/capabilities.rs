//! Which capabilities are needed, and how that is known.

use std::collections::{BTreeMap, BTreeSet};

use super::evidence::called;
use super::network::Listener;
use crate::capability;
use crate::manifest::{Manifest, Phase};

/// Ports below this need a privilege, unless the network's owner says otherwise.
pub(super) const UNPRIVILEGED: u16 = 1024;

/// What a recording of one start and no stop does not see. Who needs the first, and made one of these calls (or any), is
/// given the second.
const FORESEEN: [(&str, &[&str], &str, &str); 3] = [
    ("CAP_SETUID", &[], "CAP_KILL", "who starts processes as another user must be able to stop them"),
    (
        "CAP_CHOWN",
        &[],
        "CAP_DAC_OVERRIDE",
        "who gives files away finds them another user's when it starts again",
    ),
    (
        "CAP_CHOWN",
        &[
            "chmod",
            "fchmod",
            "fchmodat",
            "fchmodat2",
            "futimesat",
            "utime",
            "utimensat",
            "utimensat_time64",
            "utimes",
        ],
        "CAP_FOWNER",
        "who gives files away and changes their mode or time does so again when it starts again",
    ),
];

/// How it is known which capabilities are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The kernel was seen asking for them.
    Measured,
    /// Processes that are not root, and execute nothing that gives privileges, have none.
    NotRoot,
    /// Some recording did not see which were asked for: these are all that the engine gives and that a system call
    /// which was made may need.
    Calls,
}

/// The capabilities that are needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// How that is known.
    pub basis: Basis,
    /// `CAP_CHOWN`... -> why, a phrase each.
    pub needed: BTreeMap<String, BTreeSet<String>>,
}

impl Capabilities {
    /// `is_fixed`: nothing ever runs as root.
    pub(super) fn derive(manifest: &Manifest, is_fixed: bool, listens: &[Listener]) -> Self {
        let (basis, mut needed) = match (manifest.measured_capabilities(), is_fixed) {
            (true, _) => (Basis::Measured, measured(manifest)),
            (false, true) => (Basis::NotRoot, BTreeMap::new()),
            (false, false) => (Basis::Calls, by_calls(manifest)),
        };
        // Docker lets everybody wait at low ports, so that the kernel does not ask; others do not.
        if let Some(low) = listens.iter().filter_map(Listener::port).find(|port| *port < UNPRIVILEGED)
            && !is_fixed
        {
            let why = needed.entry("CAP_NET_BIND_SERVICE".to_owned()).or_default();
            why.insert(format!("waits at port {low}, which only Docker allows without"));
        }
        for (sign, calls, name, reason) in FORESEEN {
            if needed.contains_key(sign) && (calls.is_empty() || called(manifest, calls)) {
                needed.entry(name.to_owned()).or_default().insert(reason.to_owned());
            }
        }
        Self { basis, needed }
    }
}

fn measured(manifest: &Manifest) -> BTreeMap<String, BTreeSet<String>> {
    let granted = manifest.capabilities.iter().filter(|(_, used)| Phase::any_in_container(&used.phases));
    let reason = |(name, used): (&String, &crate::manifest::CapabilityUse)| {
        let by: Vec<String> = used.by.iter().map(ToString::to_string).collect();
        let by = if by.is_empty() { String::new() } else { format!(", by {}", by.join(" ")) };
        let (seen, of) = (used.seen_in.len(), manifest.recordings.len());
        (name.clone(), [format!("asked for and had{by}, in {seen} of {of} recordings")].into())
    };
    granted.map(reason).collect()
}

fn by_calls(manifest: &Manifest) -> BTreeMap<String, BTreeSet<String>> {
    let derived = capability::derived_from(manifest.calls_in_container());
    let reason = |(name, calls): (&str, BTreeSet<String>)| {
        let calls: Vec<String> = calls.into_iter().collect();
        (name.to_owned(), [format!("may be needed by {}", calls.join(" "))].into())
    };
    derived.into_iter().map(reason).collect()
}
