//! System calls that processes are blocked in: they have no end that a hook could see.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::entries;

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
fn is_32_bit(proc: &Path) -> bool {
    let mut head = [0; 5];
    let read = fs::File::open(proc.join("exe")).and_then(|mut exe| exe.read_exact(&mut head));
    read.is_ok() && head == *b"\x7fELF\x01"
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
