//! One look at the processes of a container: what they hold becomes facts.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fs;

use super::place::{self, Place};
use super::sockets::{self, Socket, Sockets};
use super::{Frame, Frames, HeldFile, files};
use crate::manifest::{PathBytes, Phase, Use};
use crate::resolve::root::{self, Identity};
use crate::resolve::socket::Address;
use crate::resolve::walk::Start;
use crate::resolve::{Fact, Object, Resolver};

/// A look, while the resolver has the container's live root.
pub struct Look<'a> {
    resolver: &'a Resolver,
    frames: &'a mut Frames,
    /// Places found: processes share most of what they map.
    places: HashMap<HeldFile, Place>,
    /// Tables read, by network namespace.
    namespaces: HashMap<Option<Identity>, Sockets>,
    /// Paths that processes hold a file of that is there no longer, and that another file has now.
    pub replaced: BTreeSet<PathBytes>,
}

impl<'a> Look<'a> {
    /// Begins to look.
    pub fn begin(resolver: &'a Resolver, frames: &'a mut Frames) -> Self {
        Self {
            resolver,
            frames,
            places: HashMap::new(),
            namespaces: HashMap::new(),
            replaced: BTreeSet::new(),
        }
    }

    /// What one process holds; nothing when it is gone.
    pub fn at(&mut self, pid: u32, phase: Phase) -> Vec<Fact> {
        let frame = self.frames.of(pid);
        let held = files::of_process(pid);
        let by = held.exe.as_ref().and_then(|exe| self.path(exe, &frame));
        let mut objects = Vec::new();
        for (file, usage) in &held.files {
            objects.extend(self.path(file, &frame).map(|path| self.resolver.path(path, *usage)));
        }
        if !held.sockets.is_empty() {
            objects.extend(self.sockets(pid, &held.sockets, &frame));
        }
        let fact = |object| Fact { object, by: by.clone(), phase, time_ns: 0 };
        objects.into_iter().map(fact).collect()
    }

    fn path(&mut self, file: &HeldFile, frame: &Frame) -> Option<PathBytes> {
        let Some(root) = &self.resolver.root else { return None };
        let place = match frame {
            Frame::Same => {
                let found = || place::place(file, self.frames, frame, root);
                self.places.entry(file.clone()).or_insert_with(found).clone()
            }
            Frame::Other(..) => place::place(file, self.frames, frame, root),
        };
        match place {
            Place::At(path) => Some(path),
            Place::Was { path, replaced } => {
                if replaced {
                    self.replaced.insert(path.clone());
                }
                Some(path)
            }
            Place::Nowhere => None,
        }
    }

    fn sockets(&mut self, pid: u32, held: &BTreeSet<u64>, frame: &Frame) -> Vec<Object> {
        let namespace = fs::metadata(format!("/proc/{pid}/ns/net")).ok().as_ref().map(Identity::of);
        let table = self.namespaces.entry(namespace).or_insert_with(|| sockets::of_namespace(pid));
        let sockets: Vec<Socket> = held.iter().filter_map(|inode| table.get(inode).cloned()).collect();
        sockets.iter().flat_map(|socket| self.socket(pid, socket, frame)).collect()
    }

    fn socket(&mut self, pid: u32, socket: &Socket, frame: &Frame) -> Vec<Object> {
        let Socket { address, protocol, listens } = socket;
        let used = |usage: &'static str, path: &PathBytes| Object::Socket {
            address: address.spelling(path),
            usage: usage.into(),
            protocol: protocol.map(Cow::Borrowed),
        };
        let socket = |path: &PathBytes| used("held", path);
        let Address::UnixPath(name) = address else {
            let nowhere = PathBytes::default();
            let listens = listens.then(|| used("listen", &nowhere));
            return [socket(&nowhere)].into_iter().chain(listens).collect();
        };
        let file = place::socket_file(pid, name);
        let Some(path) = file.and_then(|file| self.path(&file, frame)) else {
            // The file was removed. What is left is the name, where it can mean one place only.
            let plain = *frame == Frame::Same && root::name_of(pid) == Some("/".into());
            let path = PathBytes::new(&name[..]);
            return (plain && name.starts_with(b"/")).then(|| socket(&path)).into_iter().collect();
        };
        // The links that the name passes, if it starts from the container's root.
        let walked = self.resolver.walk(Start::at_root(), name, true);
        let links = if walked.end == path { walked.hops } else { Vec::new() };
        let mut objects: Vec<Object> =
            links.into_iter().map(|link| self.resolver.path(link, Use::Hop)).collect();
        objects.extend([socket(&path), self.resolver.path(path, Use::Socket)]);
        objects
    }
}
