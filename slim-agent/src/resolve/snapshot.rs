//! The past of processes that run already, as far as /proc still tells it: what they execute, have mapped, hold
//! open, and stand in (proc(5)). What they read and closed before is not to be known.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use crate::manifest::{PathBytes, Use};

/// Mark that the kernel puts behind the name of a file that was removed.
const DELETED: &[u8] = b" (deleted)";

/// What a process holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// Its executable.
    pub exe: Option<PathBytes>,
    /// Paths with the use that they show: [`Use::Exec`] for the executable, [`Use::Held`] for the others.
    pub paths: BTreeSet<(PathBytes, Use)>,
}

/// Looks at one process; an empty answer when it is gone.
pub fn of_process(pid: u32) -> Held {
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let exe = link(&proc.join("exe"));
    let mut paths: BTreeSet<(PathBytes, Use)> = exe.iter().map(|path| (path.clone(), Use::Exec)).collect();
    let links = ["cwd", "root"].iter().filter_map(|name| link(&proc.join(name)));
    let descriptors = entries(&proc.join("fd")).filter_map(|fd| link(&fd));
    let maps = fs::read(proc.join("maps")).unwrap_or_default();
    let mapped = maps.split(|&b| b == b'\n').filter_map(mapped_file);
    paths.extend(links.chain(descriptors).chain(mapped).map(|path| (path, Use::Held)));
    Held { exe, paths }
}

fn entries(dir: &std::path::Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn link(path: &std::path::Path) -> Option<PathBytes> {
    file_name(fs::read_link(path).ok()?.into_os_string().into_vec())
}

/// A path, unless it is a pipe, a socket or another object without one, or a file that was removed.
fn file_name(name: Vec<u8>) -> Option<PathBytes> {
    (name.starts_with(b"/") && !name.ends_with(DELETED)).then(|| PathBytes::new(name))
}

/// The file of one line of /proc/PID/maps: the sixth field, in which only newlines are escaped.
fn mapped_file(line: &[u8]) -> Option<PathBytes> {
    let start = line.iter().position(|&b| b == b'/')?;
    let escaped =
        OsStr::from_bytes(&line[start..]).to_str().map(|text| text.replace("\\012", "\n").into_bytes());
    file_name(escaped.unwrap_or_else(|| line[start..].to_vec()))
}

/// Numbers of the system calls that the threads of a process are blocked in, and whether they are of the 32-bit ABI.
/// x32 counts as native, as the bit in its numbers tells.
pub fn blocked_in(pid: u32) -> (BTreeSet<u32>, bool) {
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let number = |task: PathBuf| -> Option<u32> {
        let text = fs::read_to_string(task.join("syscall")).ok()?;
        text.split(' ').next()?.parse().ok()
    };
    (entries(&proc.join("task")).filter_map(number).collect(), is_32_bit(&proc))
}

/// ELFCLASS32 in the executable (elf(5)).
fn is_32_bit(proc: &std::path::Path) -> bool {
    let mut head = [0; 5];
    let read = fs::File::open(proc.join("exe")).and_then(|mut exe| exe.read_exact(&mut head));
    read.is_ok() && head == *b"\x7fELF\x01"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_holds_its_executable_and_libc() {
        let held = of_process(std::process::id());
        let exe = held.exe.unwrap();
        assert_eq!(exe.as_path(), std::env::current_exe().unwrap());
        assert!(held.paths.contains(&(exe, Use::Exec)));
        assert!(held.paths.iter().any(|(path, _)| path.as_bytes().windows(4).any(|part| part == b"libc")));
    }

    #[test]
    fn a_sleeping_process_is_blocked_in_its_sleep() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let names = || {
            let (numbers, _) = blocked_in(child.id());
            numbers.into_iter().filter_map(|nr| crate::syscall_table::name(crate::probe::ABIS[0], nr))
        };
        let asleep = || names().any(|name| name == "clock_nanosleep");
        let found = (0..100).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            asleep()
        });
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found);
    }

    #[test]
    fn lines_of_maps_give_files_only() {
        let line = b"7f00-7f01 r-xp 00000000 00:28 1234   /usr/lib/a b.so";
        assert_eq!(mapped_file(line), Some("/usr/lib/a b.so".into()));
        assert_eq!(mapped_file(b"7f00-7f01 rw-p 0 00:00 0  [heap]"), None);
        assert_eq!(mapped_file(b"7f00-7f01 rw-s 0 00:01 5  /memfd:x (deleted)"), None);
    }
}
