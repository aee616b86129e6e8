//! Sockets by their inode numbers, from the tables of a network namespace: /proc/PID/net/{tcp,tcp6,udp,udp6} and
//! /proc/PID/net/unix (proc_pid_net(5)). Only what has an address of its own counts: sockets that listen, UDP sockets
//! that are bound, and unix sockets with a name.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::resolve::socket::{Address, unix_type, unmapped};

/// States of include/net/tcp_states.h; a UDP socket without a peer is in the second.
const LISTEN: &str = "0A";
const CLOSE: &str = "07";

/// Sockets by inode number.
pub type Sockets = HashMap<u64, Socket>;

/// A socket that has an address of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// The address.
    pub address: Address,
    /// What it speaks, as the manifest spells it.
    pub protocol: Option<&'static str>,
    /// Whether it listens at an internet address.
    pub listens: bool,
}

/// The sockets of the network namespace that a process is in; empty when it is gone.
pub fn of_namespace(pid: u32) -> Sockets {
    let table = |name: &str| fs::read(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
    let mut found = Sockets::new();
    let tables =
        [("tcp", "tcp", LISTEN), ("tcp6", "tcp", LISTEN), ("udp", "udp", CLOSE), ("udp6", "udp", CLOSE)];
    for (name, protocol, state) in tables {
        let socket = |address| Socket { address, protocol: Some(protocol), listens: state == LISTEN };
        let rows = lines(&table(name)).filter_map(|line| inet(line, state)).collect::<Vec<_>>();
        found.extend(rows.into_iter().map(|(inode, address)| (inode, socket(address))));
    }
    found.extend(lines(&table("unix")).filter_map(unix));
    found
}

/// The TCP ports at which something listens in the network namespace that a process is in; none when it is gone.
pub fn listening(pid: u32) -> BTreeSet<u16> {
    let table = |name: &str| fs::read(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
    let tables = ["tcp", "tcp6"].map(table);
    let rows = tables.iter().flat_map(|table| lines(table)).filter_map(|line| inet(line, LISTEN));
    rows.filter_map(|(_, address)| match address {
        Address::Inet(address) => Some(address.port()),
        _ => None,
    })
    .collect()
}

/// The inode number in the name that a descriptor of a socket has.
pub fn inode_of(link: &[u8]) -> Option<u64> {
    let digits = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn lines(table: &[u8]) -> impl Iterator<Item = &[u8]> {
    table.split(|&b| b == b'\n').skip(1)
}

/// `sl local remote st queues timer retransmits uid timeout inode ...`.
fn inet(line: &[u8], state: &str) -> Option<(u64, Address)> {
    let mut fields = std::str::from_utf8(line).ok()?.split_ascii_whitespace().skip(1);
    let (local, _remote, found) = (fields.next()?, fields.next()?, fields.next()?);
    let inode = fields.nth(5)?.parse().ok()?;
    let address = address(local)?;
    (found == state && address.port() != 0).then_some((inode, Address::Inet(address)))
}

/// `0100007F:1F90`: words of network order, printed as numbers of this machine, and the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(host.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let host = match host.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            unmapped(Ipv6Addr::from(<[u8; 16]>::try_from(words.as_flattened()).ok()?))
        }
        _ => return None,
    };
    Some(SocketAddr::new(host, port))
}

/// `Num RefCount Protocol Flags Type St Inode Path`, with the inode number padded to five places.
fn unix(line: &[u8]) -> Option<(u64, Socket)> {
    let mut fields = line.splitn(7, |&b| b == b' ');
    let kind = u32::from_str_radix(std::str::from_utf8(fields.nth(4)?).ok()?, 16).ok()?;
    let rest = fields.nth(1)?.trim_ascii_start();
    let end = rest.iter().position(|&b| b == b' ')?;
    let inode = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
    let address = match &rest[end + 1..] {
        [] => return None,
        [b'@', name @ ..] => Address::UnixAbstract(abstract_name(name)),
        name => Address::UnixPath(name.to_vec()),
    };
    Some((inode, Socket { address, protocol: unix_type(kind), listens: false }))
}

/// The table shows each NUL of an abstract name as `@`. At the end they are what is left of `sun_path`; elsewhere an
/// `@` is rather what it looks like.
fn abstract_name(shown: &[u8]) -> Vec<u8> {
    let whole = shown.iter().rposition(|&b| b != b'@').map_or(0, |last| last + 1);
    let mut name = shown.to_vec();
    name[whole..].fill(0);
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn listening_and_bound_sockets_are_told_from_connected_ones() {
        let listening =
            b"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0";
        let expected = Address::Inet(([127, 0, 0, 1], 8080).into());
        assert_eq!(inet(listening, LISTEN), Some((4711, expected)));
        assert_eq!(inet(listening, CLOSE), None);
        let six = "00000000000000000000000001000000:0035";
        assert_eq!(address(six).map(|address| address.to_string()), Some("[::1]:53".into()));
        assert_eq!(address("0000000000000000FFFF00000100007F:0035"), Some(([127, 0, 0, 1], 53).into()));
    }

    #[test]
    fn unix_names_may_hold_spaces_and_abstract_ones_nuls() {
        let line = |name: &str| {
            let line = format!("0000000000000000: 00000002 00000000 00010000 0001 01   471{name}");
            unix(line.as_bytes())
        };
        let stream = |address| Some((471, Socket { address, protocol: Some("stream"), listens: false }));
        assert_eq!(line(" /run/a b"), stream(Address::UnixPath(b"/run/a b".to_vec())));
        assert_eq!(line(" @x@y@@"), stream(Address::UnixAbstract(b"x@y\0\0".to_vec())));
        assert_eq!(line(""), None);
    }

    #[test]
    fn the_tables_of_this_process_show_what_it_bound() {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = std::net::UdpSocket::bind("[::1]:0").or_else(|_| std::net::UdpSocket::bind("127.0.0.1:0"));
        let udp = udp.unwrap();
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("s");
        let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let found = of_namespace(std::process::id());
        let of = |fd: i32| {
            let link = fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
            found[&inode_of(link.as_os_str().as_encoded_bytes()).unwrap()].clone()
        };
        assert!(listening(std::process::id()).contains(&tcp.local_addr().unwrap().port()));
        let held = |address, protocol, listens| Socket { address, protocol: Some(protocol), listens };
        assert_eq!(of(tcp.as_raw_fd()), held(Address::Inet(tcp.local_addr().unwrap()), "tcp", true));
        assert_eq!(of(udp.as_raw_fd()), held(Address::Inet(udp.local_addr().unwrap()), "udp", false));
        let path = Address::UnixPath(path.as_os_str().as_encoded_bytes().to_vec());
        assert_eq!(of(unix.as_raw_fd()), held(path, "stream", false));
    }

    proptest! {
        #[test]
        fn no_line_panics(line: Vec<u8>, text: String) {
            let _ = (inet(&line, LISTEN), unix(&line), inode_of(&line), address(&text));
        }

        #[test]
        fn any_unix_name_is_read_back(inode: u64, name in "/[a-z @/]{1,30}") {
            let line = format!("0000000000000000: 00000002 00000000 00010000 0001 01 {inode:>5} {name}");
            let socket = Socket {
                address: Address::UnixPath(name.into_bytes()),
                protocol: Some("stream"),
                listens: false,
            };
            prop_assert_eq!(unix(line.as_bytes()), Some((inode, socket)));
        }

        #[test]
        fn any_address_is_read_back(host: u128, port: u16) {
            let text: String = host.to_be_bytes().chunks(4).map(|word| {
                format!("{:08X}", u32::from_ne_bytes(word.try_into().unwrap()))
            }).collect();
            let expected = SocketAddr::new(unmapped(Ipv6Addr::from(host)), port);
            prop_assert_eq!(address(&format!("{text}:{port:04X}")), Some(expected));
        }
    }
}
