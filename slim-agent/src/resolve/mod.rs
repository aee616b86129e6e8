//! From kernel records to facts: which paths of the container were used, and how. Names are walked promptly
//! against the container's live root, because a link or a directory made at run time may be gone soon.

pub mod binary;
pub mod elf;
mod execution;
mod lookup;
mod meaning;
pub mod mounts;
pub mod root;
pub mod snapshot;
pub mod socket;
pub mod walk;

use std::borrow::Cow;
use std::collections::BTreeSet;

use nix::errno::Errno;
use nix::fcntl::ResolveFlag;
use serde::{Deserialize, Serialize};
use slim_common::record::{self, met};

use crate::capability;
use crate::decode::{Kind, Record};
use crate::manifest::{Origin, PathBytes, Phase, Use};
use crate::probe::calls;
pub use lookup::{Lookup, Over};
use meaning::{follows, met_as, opens_nameless, row_of, starts_where_it_led, stopped_at_link, usage_of};
use mounts::Mounts;
use root::LiveRoot;
use socket::Address;
use walk::{Node, Start, Tree, Walked, walk_from};

/// Working directories that are remembered.
const MAX_DIRECTORIES: usize = 256;

/// Something that a container was seen to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What it was done to.
    pub object: Object,
    /// The executable that did it, where it lies in the container's root filesystem.
    pub by: Option<PathBytes>,
    /// In which phase.
    pub phase: Phase,
    /// CLOCK_BOOTTIME in nanoseconds.
    pub time_ns: u64,
}

/// What something was done to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Object {
    /// A path, seen from the container's root.
    Path {
        /// The physical path.
        path: PathBytes,
        /// Where it lies.
        origin: Origin,
        /// What was done.
        usage: Use,
    },
    /// A socket address in the manifest's spelling.
    Socket {
        /// The address.
        address: String,
        /// `connect`, `bind`, `listen`, `send` or `held`.
        usage: Cow<'static, str>,
        /// What was spoken, where that is known.
        protocol: Option<Cow<'static, str>>,
    },
    /// A capability that the process had when the kernel asked for it, by its name.
    Capability(String),
}

/// Turns the records of one container into facts.
#[derive(Debug)]
pub struct Resolver {
    /// A process with the container's root and mounts: its first.
    init: Option<Init>,
    root: Option<LiveRoot>,
    mounts: Mounts,
    /// Mounts that the runtime told of, for when no process can be asked.
    known: Vec<(PathBytes, Origin)>,
    /// Working directories that were seen, the first few: where a relative chdir(2) may have started.
    directories: BTreeSet<PathBytes>,
}

#[derive(Debug, Clone, Copy)]
struct Init {
    pid: u32,
    root: root::Identity,
}

impl Resolver {
    /// A resolver for a container whose runtime told of these mounts.
    pub fn new(known: Vec<(PathBytes, Origin)>) -> Self {
        let directories = BTreeSet::new();
        let mut resolver = Self { init: None, root: None, mounts: Mounts::default(), known, directories };
        resolver.mounts = resolver.assumed_mounts();
        resolver
    }

    /// Says what the runtime tells of the container's mounts, for when no process can be asked.
    pub fn set_known(&mut self, known: Vec<(PathBytes, Origin)>) {
        self.known = known;
        if self.init.is_none() {
            self.mounts = self.assumed_mounts();
        }
    }

    /// Says which process has the container's root.
    pub fn set_init(&mut self, pid: u32) {
        self.init = LiveRoot::of(pid).and_then(|root| Some(Init { pid, root: root.identity()? }));
        self.begin();
    }

    /// Opens the live root for a batch of records. Without [`Self::end`] it would keep a dead container's mounts
    /// busy.
    pub fn begin(&mut self) {
        let Some(init) = self.init else { return };
        self.root = LiveRoot::of(init.pid).filter(|root| root.identity() == Some(init.root));
        self.read_mounts();
    }

    /// Reads what is mounted now: at the begin of a batch, and when a record tells that it has changed.
    fn read_mounts(&mut self) {
        let Some(init) = self.init else { return };
        if self.root.is_none() {
            self.init = None;
        } else {
            self.mounts = Mounts::of(init.pid).unwrap_or_else(|| self.assumed_mounts());
        }
    }

    /// Closes the live root.
    pub fn end(&mut self) {
        self.root = None;
    }

    /// Takes note of the container's first process, if that is what a record shows.
    pub fn note_init(&mut self, record: &Record<'_>) {
        if record.kind == Kind::Exec && record.phase == Phase::App && self.root.is_none() {
            self.set_init(record.header.tgid);
        }
    }

    /// What one record says.
    pub fn resolve(&mut self, record: &Record<'_>) -> Vec<Fact> {
        self.note_init(record);
        let objects = match record.kind {
            Kind::Exec => self.execution(record),
            Kind::Call => self.call(record),
            Kind::File => self.object(record),
            Kind::Birth => Vec::new(),
            Kind::Capability => vec![Object::Capability(capability::name(record.header.nr.into()))],
        };
        self.note_directories(record, &objects);
        if objects.iter().any(|object| matches!(object, Object::Path { usage: Use::Mount, .. })) {
            self.read_mounts();
        }
        let by = self.executable(record);
        let fact =
            |object| Fact { object, by: by.clone(), phase: record.phase, time_ns: record.header.time_ns };
        objects.into_iter().map(fact).collect()
    }

    fn call(&self, record: &Record<'_>) -> Vec<Object> {
        let header = &record.header;
        let Some(row) = row_of(header) else { return Vec::new() };
        if row.links == calls::Links::Address {
            return self.socket(record, row.name);
        }
        let usage = usage_of(row, header);
        if record.name.is_empty() {
            return self.reached(record).map(|path| self.path(path, usage)).into_iter().collect();
        }
        if starts_where_it_led(row, header, record.name) {
            return self.led_to(record, usage);
        }
        if opens_nameless(row, header) {
            let directory = Record { reached: None, ..record.clone() };
            return self.named(&directory, record.name, usage, true);
        }
        self.named(record, record.name, usage, follows(row, header))
    }

    /// An object that was reached, told by itself.
    fn object(&self, record: &Record<'_>) -> Vec<Object> {
        match record.header.which {
            met::CONNECTED => return self.socket(record, "connect"),
            met::SENT => return self.socket(record, "send"),
            _ => {}
        }
        let usage = met_as(&record.header);
        self.reached(record).zip(usage).map(|(path, usage)| self.path(path, usage)).into_iter().collect()
    }

    /// The links passed by a name, and what it led to: by the name and, where the kernel looked, by the file.
    fn named(&self, record: &Record<'_>, name: &[u8], usage: Use, follow: bool) -> Vec<Object> {
        let reached = self.reached(record);
        let Some(walked) = self.asked(record, name, follow) else {
            return reached.map(|path| self.path(path, usage)).into_iter().collect();
        };
        if stopped_at_link(&record.header) {
            return walked.hops.into_iter().take(1).map(|link| self.path(link, usage)).collect();
        }
        // Without a live root nothing says which links the name passes: it is kept as it is, for the image to tell.
        let by_name = walked.exists || reached.is_none() || self.root.is_none();
        // What is mounted need not be a path: the source of a tmpfs is a word.
        let by_name = by_name && (walked.exists || usage != Use::Mount);
        let met = if by_name { self.met(record, &walked) } else { None };
        let beneath = met.as_ref().and_then(|path| self.mounts.in_root(path));
        let ends: BTreeSet<PathBytes> = [reached, beneath, met].into_iter().flatten().collect();
        let hops = walked.hops.into_iter().map(|hop| self.path(hop, Use::Hop));
        hops.chain(ends.into_iter().map(|path| self.path(path, usage))).collect()
    }

    /// What a name came upon: its end, or what was in the way.
    fn met(&self, record: &Record<'_>, walked: &Walked) -> Option<PathBytes> {
        let failed =
            |error: Errno| record.header.ret == -(error as i32) && !walked.exists && self.root.is_some();
        if failed(Errno::ELOOP) {
            return None;
        }
        let mut at = walked.end.clone();
        while failed(Errno::ENOTDIR) && self.node(&at) == Node::Missing {
            at = at.parent()?;
        }
        Some(at)
    }

    /// Where a name led whose start is known no more. The links that it passed are those of a start from which it
    /// leads there, too.
    fn led_to(&self, record: &Record<'_>, usage: Use) -> Vec<Object> {
        let Some(end) = record.base.clone() else { return Vec::new() };
        let starts: Vec<Start> = if record.name.starts_with(b"/") {
            vec![Start::at_root()]
        } else {
            let start = |directory: &PathBytes| Start { directory: directory.clone(), ..Start::at_root() };
            self.directories.iter().map(start).collect()
        };
        let walked = starts.into_iter().map(|start| self.walk(start, record.name, true));
        let hops: BTreeSet<PathBytes> = walked
            .filter(|walked| walked.exists && walked.end == end)
            .flat_map(|walked| walked.hops)
            .collect();
        hops.into_iter().map(|hop| self.path(hop, Use::Hop)).chain([self.path(end, usage)]).collect()
    }

    fn note_directories(&mut self, record: &Record<'_>, objects: &[Object]) {
        let entered = objects.iter().filter_map(|object| match object {
            Object::Path { path, usage: Use::Chdir, .. } => Some(path.clone()),
            Object::Path { .. } | Object::Socket { .. } | Object::Capability(_) => None,
        });
        let relative = record.kind == Kind::Call && !record.name.starts_with(b"/");
        for directory in entered.chain(record.base.clone().filter(|_| relative)) {
            if self.directories.len() < MAX_DIRECTORIES {
                self.directories.insert(directory);
            }
        }
    }

    fn socket(&self, record: &Record<'_>, call: &str) -> Vec<Object> {
        let Some(address) = Address::parse(record.name) else { return Vec::new() };
        let usage = match (call, record.header.arg_flags & record::socket::CALL_MASK) {
            ("bind", _) | ("socketcall", SYS_BIND) => "bind",
            ("connect", _) | ("socketcall", SYS_CONNECT) => "connect",
            ("listen", _) | ("socketcall", SYS_LISTEN) => "listen",
            _ => "send",
        };
        let protocol = address.protocol(record.header.arg_flags);
        let mut objects = Vec::new();
        let mut path = PathBytes::default();
        if let Address::UnixPath(name) = &address
            && let Some(start) = starts_at(record, name, name)
        {
            let walked = self.walk(start, name, true);
            objects.extend(walked.hops.into_iter().map(|hop| self.path(hop, Use::Hop)));
            path = walked.end;
            objects.push(self.path(path.clone(), Use::Socket));
        }
        objects.push(Object::Socket {
            address: address.spelling(&path),
            usage: usage.into(),
            protocol: protocol.map(Cow::Borrowed),
        });
        objects
    }

    /// The file reached, if it lies in the container's root filesystem: elsewhere the name says more.
    fn reached(&self, record: &Record<'_>) -> Option<PathBytes> {
        record.reached.clone().filter(|_| record.header.reached_dev == record.header.root_dev)
    }

    /// The executable that a record is of, where it lies in the container's root filesystem.
    pub fn executable(&self, record: &Record<'_>) -> Option<PathBytes> {
        record.exe.clone().filter(|_| record.header.exe_dev == record.header.root_dev)
    }

    fn path(&self, path: PathBytes, usage: Use) -> Object {
        Object::Path { origin: self.mounts.origin(&path), path, usage }
    }

    /// Where a name leads that a record is about; `None` when it is not known where it starts.
    fn asked(&self, record: &Record<'_>, name: &[u8], follow: bool) -> Option<Walked> {
        Some(self.walk(starts_at(record, record.name, name)?, name, follow))
    }

    fn walk(&self, start: Start, name: &[u8], follow: bool) -> Walked {
        match &self.root {
            Some(root) => walk_from(&Outside { root, mounts: &self.mounts }, start, name, follow),
            None => Walked { hops: Vec::new(), end: tidied(start.directory, name), exists: false },
        }
    }

    fn node(&self, path: &PathBytes) -> Node {
        let outside = self.root.as_ref().map(|root| Outside { root, mounts: &self.mounts });
        outside.map_or(Node::Missing, |tree| tree.node(path))
    }

    fn assumed_mounts(&self) -> Mounts {
        let mut mounts = Mounts::assumed();
        self.known.iter().for_each(|(point, origin)| mounts.add(point.clone(), *origin));
        mounts
    }
}

/// Numbers of calls for socketcall(2) (include/uapi/linux/net.h).
const SYS_BIND: u32 = 2;
const SYS_CONNECT: u32 = 3;
const SYS_LISTEN: u32 = 4;

/// The live root without the kernel's own filesystems: a link in /proc means something else to every reader.
struct Outside<'a> {
    root: &'a LiveRoot,
    mounts: &'a Mounts,
}

impl Tree for Outside<'_> {
    fn node(&self, path: &PathBytes) -> Node {
        if self.mounts.origin(path) == Origin::Kernel { Node::Directory } else { self.root.node(path) }
    }
}

/// Where `name` starts. The kernel side tells it of the name `spelled`: the root of the process if that is absolute,
/// else the directory, or the descriptor's under RESOLVE_IN_ROOT.
fn starts_at(record: &Record<'_>, spelled: &[u8], name: &[u8]) -> Option<Start> {
    let base = record.base.clone()?;
    if ResolveFlag::from_bits_truncate(record.header.resolve.into()).contains(ResolveFlag::RESOLVE_IN_ROOT) {
        return Some(Start { root: base.clone(), directory: base });
    }
    let root = record.own_root.clone()?;
    match (spelled.starts_with(b"/"), name.starts_with(b"/")) {
        (true, true) => Some(Start { root: base.clone(), directory: base }),
        (false, true) => Some(Start { root: root.clone(), directory: root }),
        (false, false) => Some(Start { root, directory: base }),
        (true, false) => None,
    }
}

/// A name that cannot be walked: without empty and `.` components. `..` stays, since what it means depends on
/// the links before it; the image will tell.
fn tidied(start: PathBytes, name: &[u8]) -> PathBytes {
    let parts = name.split(|&b| b == b'/').filter(|part| !part.is_empty() && *part != b".");
    parts.fold(start, |path, part| path.join(part))
}

#[cfg(test)]
mod tests;
