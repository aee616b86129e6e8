//! Socket addresses as system calls take them (sockaddr(3type), unix(7), ip(7), ipv6(7)).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use slim_common::record::socket;

use crate::manifest::PathBytes;

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// include/linux/net.h
const SOCK_STREAM: u32 = 1;
const SOCK_DGRAM: u32 = 2;
const SOCK_RAW: u32 = 3;
const SOCK_SEQPACKET: u32 = 5;

/// include/uapi/linux/in.h, in6.h. To its peers, a socket of MPTCP is one of TCP.
const IPPROTO_ICMP: u32 = 1;
const IPPROTO_TCP: u32 = 6;
const IPPROTO_UDP: u32 = 17;
const IPPROTO_ICMPV6: u32 = 58;
const IPPROTO_SCTP: u32 = 132;
const IPPROTO_UDPLITE: u32 = 136;
const IPPROTO_MPTCP: u32 = 262;

/// An address that a socket was connected or bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A socket file, by the name the process gave.
    UnixPath(Vec<u8>),
    /// A name in the abstract namespace.
    UnixAbstract(Vec<u8>),
    /// An internet address with its port.
    Inet(SocketAddr),
}

impl Address {
    /// Reads an address; `None` for an unnamed one, another family, or one that is cut off.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (family, rest) = bytes.split_first_chunk::<2>()?;
        match u16::from_ne_bytes(*family) {
            AF_UNIX => unix(rest),
            AF_INET => {
                let (port, rest) = rest.split_first_chunk::<2>()?;
                let address = Ipv4Addr::from(*rest.first_chunk::<4>()?);
                Some(Self::Inet((address, u16::from_be_bytes(*port)).into()))
            }
            AF_INET6 => {
                let (port, rest) = rest.split_first_chunk::<2>()?;
                let address = Ipv6Addr::from(*rest.get(4..)?.first_chunk::<16>()?);
                Some(Self::Inet((unmapped(address), u16::from_be_bytes(*port)).into()))
            }
            _ => None,
        }
    }

    /// What a socket with this address speaks, by what the kernel side told of it (`slim_common::record::socket`); `None`
    /// when it did not.
    pub fn protocol(&self, told: u32) -> Option<&'static str> {
        let (kind, number) = (told >> socket::TYPE_SHIFT & 0xff, told >> socket::PROTOCOL_SHIFT);
        match self {
            Self::UnixPath(_) | Self::UnixAbstract(_) => unix_type(kind),
            Self::Inet(_) => match (kind, number) {
                (0, _) => None,
                (SOCK_RAW, _) => Some("raw"),
                (_, IPPROTO_TCP | IPPROTO_MPTCP) => Some("tcp"),
                (_, IPPROTO_UDP) => Some("udp"),
                (_, IPPROTO_SCTP) => Some("sctp"),
                (_, IPPROTO_UDPLITE) => Some("udplite"),
                (_, IPPROTO_ICMP | IPPROTO_ICMPV6) => Some("icmp"),
                _ => None,
            },
        }
    }

    /// The manifest's spelling; `path` is where a socket file was found to lie.
    pub fn spelling(&self, path: &PathBytes) -> String {
        match self {
            Self::UnixPath(_) => format!("unix {}", path.escape()),
            Self::UnixAbstract(name) => format!("unix @{}", PathBytes::new(&name[..]).escape()),
            Self::Inet(address) => format!("inet {address}"),
        }
    }
}

/// The protocol of a unix socket is its type.
pub(super) fn unix_type(number: u32) -> Option<&'static str> {
    match number {
        SOCK_STREAM => Some("stream"),
        SOCK_DGRAM => Some("dgram"),
        SOCK_SEQPACKET => Some("seqpacket"),
        _ => None,
    }
}

fn unix(rest: &[u8]) -> Option<Address> {
    match rest.split_first()? {
        (0, []) => None,
        (0, name) => Some(Address::UnixAbstract(name.to_vec())),
        _ => {
            let path = rest.split(|&b| b == 0).next()?;
            Some(Address::UnixPath(path.to_vec()))
        }
    }
}

/// A dual-stack socket shows IPv4 peers as ::ffff:a.b.c.d: the same peer.
pub(super) fn unmapped(address: Ipv6Addr) -> IpAddr {
    address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(family: u16, rest: &[u8]) -> Option<Address> {
        Address::parse(&[&family.to_ne_bytes(), rest].concat())
    }

    #[test]
    fn families_are_told_apart() {
        let spelled = |address: Option<Address>| address.unwrap().spelling(&"/run/x".into());
        assert_eq!(spelled(address(AF_INET, &[0, 80, 127, 0, 0, 1, 0, 0])), "inet 127.0.0.1:80");
        let mut six = vec![1, 187, 0, 0, 0, 0];
        six.extend(Ipv6Addr::LOCALHOST.octets());
        assert_eq!(spelled(address(AF_INET6, &six)), "inet [::1]:443");
        assert_eq!(address(AF_UNIX, b"run/x\0junk"), Some(Address::UnixPath(b"run/x".to_vec())));
        assert_eq!(spelled(address(AF_UNIX, b"\0name")), "unix @name");
        assert_eq!(address(AF_UNIX, b""), None);
        assert_eq!(address(16, b"netlink"), None);
    }

    #[test]
    fn protocols_are_told_by_type_and_number() {
        let of = |address: &Address, kind: u32, number: u32| {
            address.protocol(kind << socket::TYPE_SHIFT | number << socket::PROTOCOL_SHIFT | 2)
        };
        let inet = Address::Inet(([127, 0, 0, 1], 80).into());
        assert_eq!(of(&inet, SOCK_STREAM, IPPROTO_TCP), Some("tcp"));
        assert_eq!(of(&inet, SOCK_STREAM, IPPROTO_MPTCP), Some("tcp"));
        assert_eq!(of(&inet, SOCK_DGRAM, IPPROTO_UDP), Some("udp"));
        assert_eq!(of(&inet, SOCK_RAW, IPPROTO_ICMP), Some("raw"));
        assert_eq!(of(&inet, 0, 0), None);
        assert_eq!(of(&Address::UnixAbstract(vec![1]), SOCK_DGRAM, 0), Some("dgram"));
    }

    proptest! {
        #[test]
        fn any_bytes_parse(bytes: Vec<u8>, told: u32) {
            let _ = Address::parse(&bytes).map(|address| address.protocol(told));
        }
    }
}
