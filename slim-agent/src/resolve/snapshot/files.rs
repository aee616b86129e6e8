//! What one process holds, by the links that /proc has for it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::{entries, sockets};
use crate::manifest::Use;
use crate::resolve::root::Identity;

/// A file that a process holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeldFile {
    /// Its name as the kernel tells it: seen from the root of the process's mount tree, with a mark behind it when the
    /// file was removed.
    pub name: Vec<u8>,
    /// Which file it is; `None` when the agent may not look at it.
    pub identity: Option<Identity>,
}

/// What a process holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// Its executable.
    pub exe: Option<HeldFile>,
    /// Files with the use that they show: [`Use::Exec`] for the executable, [`Use::Held`] for the others.
    pub files: BTreeSet<(HeldFile, Use)>,
    /// Inode numbers of sockets.
    pub sockets: BTreeSet<u64>,
}

/// Looks at one process; an empty answer when it is gone.
pub fn of_process(pid: u32) -> Held {
    let proc = directory_of(pid);
    let exe = file(&proc.join("exe"));
    let mut held =
        Held { files: exe.iter().map(|exe| (exe.clone(), Use::Exec)).collect(), exe, ..Held::default() };
    held.files.extend(["cwd", "root"].iter().filter_map(|name| file(&proc.join(name))).map(as_held));
    held.files.extend(mapped(&proc).into_iter().map(as_held));
    for descriptor in entries(&proc.join("fd")) {
        let Some(name) = link(&descriptor) else { continue };
        match sockets::inode_of(&name) {
            Some(inode) => held.sockets.extend([inode]),
            None => held.files.extend(named(name, &descriptor).map(as_held)),
        }
    }
    held
}

/// Where /proc tells of a process. Nothing is left where its first thread was, when that has ended before the others.
fn directory_of(pid: u32) -> PathBuf {
    let process = PathBuf::from(format!("/proc/{pid}"));
    if link(&process.join("exe")).is_some() {
        return process;
    }
    entries(&process.join("task")).find(|thread| link(&thread.join("exe")).is_some()).unwrap_or(process)
}

fn as_held(file: HeldFile) -> (HeldFile, Use) {
    (file, Use::Held)
}

fn link(path: &Path) -> Option<Vec<u8>> {
    Some(fs::read_link(path).ok()?.into_os_string().into_vec())
}

fn file(path: &Path) -> Option<HeldFile> {
    named(link(path)?, path)
}

/// A file, unless the name is that of a pipe or another object without a path. `at` leads to it, whatever its name.
fn named(name: Vec<u8>, at: &Path) -> Option<HeldFile> {
    let identity = || fs::metadata(at).ok().as_ref().map(Identity::of);
    name.starts_with(b"/").then(|| HeldFile { identity: identity(), name })
}

/// The files that a process has mapped. /proc/PID/map_files tells which file a mapping is of, where the agent may look
/// there (CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE); else the name in /proc/PID/maps has to do.
fn mapped(proc: &Path) -> Vec<HeldFile> {
    let maps = fs::read(proc.join("maps")).unwrap_or_default();
    let lines = maps.split(|&b| b == b'\n').filter_map(mapping);
    let distinct: BTreeMap<&[u8], String> = lines.map(|(range, name)| (name, range)).collect();
    let look = |(name, range): (&[u8], String)| {
        let by_name = HeldFile { name: unescaped(name), identity: None };
        file(&proc.join("map_files").join(range)).unwrap_or(by_name)
    };
    distinct.into_iter().map(look).collect()
}

/// The range of one line of /proc/PID/maps as map_files spells it, without leading zeros, and the name of its file.
fn mapping(line: &[u8]) -> Option<(String, &[u8])> {
    let range = std::str::from_utf8(line.split(|&b| b == b' ').next()?).ok()?;
    let (from, to) = range.split_once('-')?;
    let trimmed = |number: &str| u64::from_str_radix(number, 16).ok().map(|number| format!("{number:x}"));
    // Five fields, the last of them padded; only the name may hold spaces.
    let rest = line.splitn(6, |&b| b == b' ').nth(5)?.trim_ascii_start();
    rest.starts_with(b"/").then_some((format!("{}-{}", trimmed(from)?, trimmed(to)?), rest))
}

/// Only newlines are escaped in maps.
fn unescaped(name: &[u8]) -> Vec<u8> {
    let text = OsStr::from_bytes(name).to_str().map(|text| text.replace("\\012", "\n").into_bytes());
    text.unwrap_or_else(|| name.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn this_process_holds_its_executable_and_libc() {
        let held = of_process(std::process::id());
        let exe = held.exe.unwrap();
        assert_eq!(exe.name, std::env::current_exe().unwrap().into_os_string().into_vec());
        assert_eq!(exe.identity, fs::metadata("/proc/self/exe").ok().as_ref().map(Identity::of));
        assert!(held.files.contains(&(exe, Use::Exec)));
        assert!(held.files.iter().any(|(file, _)| file.name.windows(4).any(|part| part == b"libc")));
    }

    #[test]
    fn a_socket_is_held_by_its_inode_number() {
        let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(of_process(std::process::id()).sockets.len() >= 2);
        drop((one, other));
    }

    #[test]
    fn lines_of_maps_give_files_only() {
        let line = b"00400000-00401000 r-xp 00000000 00:28 1234                   /usr/lib/a b.so";
        assert_eq!(mapping(line), Some(("400000-401000".into(), b"/usr/lib/a b.so".as_slice())));
        assert_eq!(mapping(b"7f00-7f01 rw-p 00000000 00:00 0                          [heap]"), None);
        assert_eq!(mapping(b"7f00-7f01 rw-p 00000000 00:00 0                          [anon:/x]"), None);
        assert_eq!(mapping(b"7f00-7f01 rw-p 00000000 00:00 0 "), None);
        assert_eq!(unescaped(b"/a\\012b"), b"/a\nb");
    }

    proptest! {
        #[test]
        fn no_line_panics(line: Vec<u8>) {
            let _ = (mapping(&line), unescaped(&line));
        }
    }
}
