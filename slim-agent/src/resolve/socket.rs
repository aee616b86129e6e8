//! Socket addresses as system calls take them (sockaddr(3type), unix(7), ip(7), ipv6(7)).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::manifest::PathBytes;

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

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

    /// The manifest's spelling; `path` is where a socket file was found to lie.
    pub fn spelling(&self, path: &PathBytes) -> String {
        match self {
            Self::UnixPath(_) => format!("unix {}", path.escape()),
            Self::UnixAbstract(name) => format!("unix @{}", PathBytes::new(&name[..]).escape()),
            Self::Inet(address) => format!("inet {address}"),
        }
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

    proptest! {
        #[test]
        fn any_bytes_parse(bytes: Vec<u8>) {
            let _ = Address::parse(&bytes);
        }
    }
}
