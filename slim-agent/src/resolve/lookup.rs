//! Lookups that found nothing: what was asked for, and what of the live container says where it should have been.

use std::fs::File;

use nix::fcntl::OFlag;

use super::meaning::{follows, opens_nameless, row_of, usage_of};
use super::socket::Address;
use super::walk::{Node, Start, Tree};
use super::{Outside, Resolver, SYS_BIND, starts_at};
use crate::decode::{Kind, Record};
use crate::manifest::{Origin, PathBytes, Use};
use crate::probe::calls::{Links, Row};

/// A name that a call looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The call.
    pub call: &'static str,
    /// What it would have done.
    pub usage: Use,
    /// The name as the process spelled it.
    pub name: Vec<u8>,
    /// Where it starts.
    pub start: Start,
    /// Whether a symbolic link as last component is followed.
    pub follow: bool,
    /// Whether the call makes the last component: then only the directory for it need be there.
    pub makes: bool,
}

impl Lookup {
    /// What a record of a call asked for; `None` when it is of something else, when there is no name or not one of a
    /// file, or when it is not known where it starts.
    pub fn of(record: &Record<'_>) -> Option<Self> {
        let is_named = record.kind == Kind::Call && !record.name.is_empty();
        let row = row_of(&record.header).filter(|_| is_named)?;
        let (name, usage) = match row.links {
            Links::Address => (socket_file(record.name)?, Use::Socket),
            _ => (record.name.to_vec(), usage_of(row, &record.header)),
        };
        let start = starts_at(record, &name, &name)?;
        let (follow, makes) = (follows(row, &record.header), makes(row, record));
        Some(Self { call: row.name, usage, name, start, follow, makes })
    }

    /// Whether the call runs what it names: then what is missing may be what interprets it.
    pub fn runs(&self) -> bool {
        self.usage == Use::Exec
    }
}

fn socket_file(address: &[u8]) -> Option<Vec<u8>> {
    match Address::parse(address)? {
        Address::UnixPath(name) => Some(name),
        Address::UnixAbstract(_) | Address::Inet(_) => None,
    }
}

/// Whether a call makes the entry that it names.
fn makes(row: &Row, record: &Record<'_>) -> bool {
    let header = &record.header;
    match row.name {
        "creat" | "mkdir" | "mkdirat" | "mknod" | "mknodat" | "symlink" | "symlinkat" | "bind" => true,
        "link" | "linkat" | "rename" | "renameat" | "renameat2" => header.which == 1,
        "socketcall" => header.arg_flags == SYS_BIND,
        _ => {
            let creates = OFlag::from_bits_retain(header.arg_flags as i32).contains(OFlag::O_CREAT);
            row.links == Links::OpenFlags && creates && !opens_nameless(row, header)
        }
    }
}

/// The live container with another tree beneath it: what the container does not have is looked for there. So a link
/// that was made at run time leads on, whatever it leads to.
pub struct Over<'a, T> {
    live: Option<Outside<'a>>,
    beneath: &'a T,
}

impl<T: Tree> Tree for Over<'_, T> {
    fn node(&self, path: &PathBytes) -> Node {
        match self.live.as_ref().map_or(Node::Missing, |live| live.node(path)) {
            Node::Missing => self.beneath.node(path),
            node => node,
        }
    }
}

impl Resolver {
    /// The live container, as far as it lives, over `beneath`.
    pub fn over<'a, T: Tree>(&'a self, beneath: &'a T) -> Over<'a, T> {
        let live = self.root.as_ref().map(|root| Outside { root, mounts: &self.mounts });
        Over { live, beneath }
    }

    /// Where a path lies.
    pub fn origin(&self, path: &PathBytes) -> Origin {
        self.mounts.origin(path)
    }

    /// The directory that a call listed, where it lies in the container's root filesystem.
    pub fn listed(&self, record: &Record<'_>) -> Option<PathBytes> {
        let is_listing = record.kind == Kind::Call && row_of(&record.header)?.meaning == Use::List;
        self.reached(record).filter(|_| is_listing)
    }

    /// A regular file of the live container.
    pub fn live_file(&self, path: &PathBytes) -> Option<File> {
        self.root.as_ref()?.file(path)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::record;
    use super::*;

    #[test]
    fn a_failed_call_says_what_it_wanted() {
        let open = Lookup::of(&record(Kind::Call, "openat", b"conf/x")).unwrap();
        let start = Start { root: "/".into(), directory: "/srv".into() };
        let expected = Lookup {
            call: "openat",
            usage: Use::Open,
            name: b"conf/x".to_vec(),
            start,
            follow: true,
            makes: false,
        };
        assert_eq!(open, expected);
        assert!(Lookup::of(&record(Kind::Call, "execve", b"run")).unwrap().runs());
        assert_eq!(Lookup::of(&record(Kind::Exec, "execve", b"run")), None);
        assert_eq!(Lookup::of(&record(Kind::Call, "open_by_handle_at", b"")), None);
    }

    #[test]
    fn a_listing_is_known_by_the_directory_it_reached() {
        let resolver = Resolver::new(Vec::new());
        let mut listing = record(Kind::Call, "getdents64", b"");
        assert_eq!(resolver.listed(&listing), None);
        listing.reached = Some("/srv".into());
        assert_eq!(resolver.listed(&listing), Some("/srv".into()));
        listing.header.reached_dev += 1;
        assert_eq!(resolver.listed(&listing), None);
    }

    #[test]
    fn what_a_call_makes_need_not_be_there() {
        let makes = |name, which, flags: OFlag| {
            let mut made = record(Kind::Call, name, b"/x");
            (made.header.which, made.header.arg_flags) = (which, flags.bits() as u32);
            Lookup::of(&made).unwrap().makes
        };
        assert!(makes("mkdir", 0, OFlag::empty()) && makes("rename", 1, OFlag::empty()));
        assert!(!makes("rename", 0, OFlag::empty()) && !makes("unlink", 0, OFlag::empty()));
        assert!(makes("open", 0, OFlag::O_CREAT) && !makes("open", 0, OFlag::O_RDWR));
        assert!(!makes("open", 0, OFlag::O_TMPFILE | OFlag::O_RDWR));
    }

    #[test]
    fn only_sockets_with_a_file_are_looked_up() {
        let connect = |address: &[u8]| Lookup::of(&record(Kind::Call, "connect", address));
        let found = connect(b"\x01\0/run/x.sock\0").unwrap();
        assert_eq!((found.usage, found.name, found.makes), (Use::Socket, b"/run/x.sock".to_vec(), false));
        assert_eq!(connect(b"\x01\0\0abstract"), None);
        assert_eq!(connect(b"\x02\0\0\x50\x7f\0\0\x01"), None);
    }
}
