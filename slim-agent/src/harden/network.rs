//! Where the application waits to be connected to, and what it connects to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::manifest::{Manifest, PathBytes, Phase, SocketUse};

/// The port of name servers.
const DNS: u16 = 53;

/// An address as the manifest spells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Address {
    /// An internet address and a port.
    Inet(IpAddr, u16),
    /// A unix socket, by its path in the manifest's spelling, or `@` and its abstract name.
    Unix(String),
    /// Something else, verbatim.
    Other(String),
}

/// What is waited at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub address: Address,
    /// What is spoken there: `tcp`, `udp`...; what the recordings do not tell counts as `tcp`.
    pub protocols: BTreeSet<String>,
    /// Which programs wait.
    pub by: BTreeSet<PathBytes>,
    /// Whether the image declares the port.
    pub declared: bool,
}

/// What is connected to or sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Where to.
    pub address: Address,
    /// As of [`Listener`].
    pub protocols: BTreeSet<String>,
    /// Which programs connect.
    pub by: BTreeSet<PathBytes>,
}

/// A family of sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    Inet,
    /// IPv6.
    Inet6,
    /// To the kernel: the C library asks it for the host's addresses.
    Netlink,
    /// Below all protocols.
    Packet,
    /// Within the host.
    Unix,
}

impl Family {
    /// As socket(2) has it.
    pub fn constant(&self) -> &'static str {
        match self {
            Self::Inet => "AF_INET",
            Self::Inet6 => "AF_INET6",
            Self::Netlink => "AF_NETLINK",
            Self::Packet => "AF_PACKET",
            Self::Unix => "AF_UNIX",
        }
    }
}

impl Address {
    /// Reads the manifest's spelling.
    pub fn parse(text: &str) -> Self {
        let inet = text.strip_prefix("inet ").and_then(|text| {
            let (host, port) = text.rsplit_once(':')?;
            let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            // A link-local address names its interface.
            let host = host.split_once('%').map_or(host, |(host, _)| host);
            Some(Self::Inet(host.parse().ok()?, port.parse().ok()?))
        });
        let unix = || text.strip_prefix("unix ").map(|path| Self::Unix(path.to_owned()));
        inet.or_else(unix).unwrap_or_else(|| Self::Other(text.to_owned()))
    }

    /// Whether only the container itself can be meant.
    pub fn is_loopback(&self) -> bool {
        // To connect to no address in particular is to connect to oneself.
        matches!(self, Self::Inet(ip, _) if ip.to_canonical().is_loopback() || ip.is_unspecified())
    }

    /// Whether it is where names are asked for.
    fn is_dns(&self) -> bool {
        matches!(self, Self::Inet(_, DNS))
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inet(ip, port) => write!(out, "{}", std::net::SocketAddr::new(*ip, *port)),
            Self::Unix(path) => write!(out, "unix {path}"),
            Self::Other(text) => out.write_str(text),
        }
    }
}

impl Connection {
    /// Whether it leaves the container, and is no question for a name.
    pub fn leaves(&self) -> bool {
        matches!(self.address, Address::Inet(..)) && !self.address.is_loopback() && !self.address.is_dns()
    }
}

impl Listener {
    /// The port that others can reach; none of unix sockets, of loopback, and where the kernel chose.
    pub fn port(&self) -> Option<u16> {
        match self.address {
            Address::Inet(ip, port) if port != 0 && !ip.to_canonical().is_loopback() => Some(port),
            _ => None,
        }
    }
}

/// What the application waits at. `exposed`: the ports that the image declares.
pub(super) fn listens(manifest: &Manifest, exposed: &BTreeSet<String>) -> Vec<Listener> {
    // Older recordings do not tell who waits from who only chose an address of its own.
    let knows = manifest.sockets.values().any(|socket| socket.uses.contains("listen"));
    let waits = |socket: &SocketUse| {
        let bound = socket.uses.contains("bind") || socket.uses.contains("held");
        let datagrams = ["udp", "udplite", "dgram"].iter().any(|one| socket.protocols.contains(*one));
        socket.uses.contains("listen") || bound && (datagrams || !knows)
    };
    let listener = |(text, socket): (&String, &SocketUse)| {
        let address = Address::parse(text);
        let declared = match address {
            Address::Inet(_, port) => {
                protocols(socket).iter().any(|one| exposed.contains(&format!("{port}/{one}")))
            }
            Address::Unix(_) | Address::Other(_) => false,
        };
        Listener { address, protocols: protocols(socket), by: socket.by.clone(), declared }
    };
    let is_chosen_by_kernel = |one: &Listener| matches!(one.address, Address::Inet(_, 0));
    let found = manifest
        .sockets
        .iter()
        .filter(|(_, socket)| Phase::any_in_container(&socket.phases) && waits(socket));
    found.map(listener).filter(|one| !is_chosen_by_kernel(one)).collect()
}

/// The declared ports that nothing waits at.
pub(super) fn unused(listens: &[Listener], exposed: &BTreeSet<String>) -> Vec<String> {
    let used: BTreeSet<String> = listens
        .iter()
        .filter_map(|one| {
            one.port().map(|port| one.protocols.iter().map(move |name| format!("{port}/{name}")))
        })
        .flatten()
        .collect();
    exposed.difference(&used).cloned().collect()
}

/// What the application connects or sends to, unless it never sends anything there: port 0 is asked for only to learn
/// which address of its own would be used.
pub(super) fn connects(manifest: &Manifest) -> Vec<Connection> {
    let reaches = |socket: &SocketUse| socket.uses.contains("connect") || socket.uses.contains("send");
    let found = manifest
        .sockets
        .iter()
        .filter(|(_, socket)| Phase::any_in_container(&socket.phases) && reaches(socket));
    let connection = |(text, socket): (&String, &SocketUse)| Connection {
        address: Address::parse(text),
        protocols: protocols(socket),
        by: socket.by.clone(),
    };
    found.map(connection).filter(|one| !matches!(one.address, Address::Inet(_, 0))).collect()
}

/// Families of sockets: who uses one of IPv4 and IPv6 tries the other, and asks the kernel which of them there is. Pairs
/// of unix sockets have no address that could be seen.
pub(super) fn families(manifest: &Manifest, packets: bool) -> BTreeSet<Family> {
    let of_application =
        manifest.sockets.iter().filter(|(_, socket)| Phase::any_in_container(&socket.phases));
    let mut addresses = of_application.map(|(text, _)| Address::parse(text));
    let mut families = BTreeSet::from([Family::Unix]);
    if addresses.any(|address| !matches!(address, Address::Unix(_))) {
        families.extend([Family::Inet, Family::Inet6, Family::Netlink]);
    }
    if packets {
        families.insert(Family::Packet);
    }
    families
}

/// What is spoken at a socket.
fn protocols(socket: &SocketUse) -> BTreeSet<String> {
    if socket.protocols.is_empty() { ["tcp".to_owned()].into() } else { socket.protocols.clone() }
}

/// Whether names are asked for, or may be: of who reads where to ask.
pub(super) fn resolves(manifest: &Manifest) -> bool {
    let reads = manifest.files.get(&PathBytes::from("/etc/resolv.conf"));
    let asks = |(text, socket): (&String, &SocketUse)| {
        Phase::any_in_container(&socket.phases) && Address::parse(text).is_dns()
    };
    reads.is_some_and(|file| Phase::any_in_container(&file.phases)) || manifest.sockets.iter().any(asks)
}

/// Ports that others can reach, each with the protocols spoken there.
pub fn ports(listens: &[Listener]) -> BTreeMap<u16, BTreeSet<String>> {
    let mut ports: BTreeMap<u16, BTreeSet<String>> = BTreeMap::new();
    for one in listens {
        if let Some(port) = one.port() {
            ports.entry(port).or_default().extend(one.protocols.iter().cloned());
        }
    }
    ports
}
