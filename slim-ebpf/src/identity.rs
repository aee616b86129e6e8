//! Cheap identities for telling accesses apart: numbers that are equal when the object is the same.

use slim_common::limits::PATH_MAX;
use slim_common::record::Scratch;

use crate::config::constant;
use crate::memory::{load, memory, probe};

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Joins two numbers into one.
#[inline(always)]
pub fn mix(a: u64, b: u64) -> u64 {
    let product = (a ^ b.rotate_left(32)).wrapping_mul(MULTIPLIER);
    product ^ product >> 29
}

/// Seeded hash of the name at the front of the record's data, whose length stands in the header.
///
/// The length is read from memory where it is needed: as a register the verifier would go on with one range of it
/// for every round of the loop.
#[inline(never)]
pub fn hash_name(scratch: *mut Scratch) -> u64 {
    let length = name_length(scratch);
    // SAFETY: `data` is longer than PATH_MAX + 8.
    let data = unsafe { (&raw mut (*scratch).data).cast::<u8>() };
    // SAFETY: as above. The last word is whole then, whatever an earlier name left there.
    unsafe { data.add(length).cast::<u64>().write_unaligned(0) };
    let mut hash = constant!(hash_seed);
    for index in 0..PATH_MAX / 8 {
        if index * 8 >= length {
            break;
        }
        // SAFETY: inside PATH_MAX, and 8-byte aligned behind the header.
        hash = mix(hash, unsafe { data.cast::<u64>().add(index).read() });
    }
    mix(hash, name_length(scratch) as u64)
}

/// Length of the name in the record that is being built.
#[inline(always)]
pub fn name_length(scratch: *mut Scratch) -> usize {
    usize::from(memory!(scratch.header.name_len)) & (PATH_MAX - 1)
}

/// Identity of the object behind a directory entry reached by BTF-typed loads.
#[inline(always)]
pub fn of_dentry(dentry: u64) -> u64 {
    of_inode(load(dentry, constant!(dentry_inode)))
}

#[inline(always)]
fn of_inode(inode: u64) -> u64 {
    let sb: u64 = load(inode, constant!(inode_sb));
    let device: u32 = load(sb, constant!(sb_dev));
    mix(load(inode, constant!(inode_ino)), u64::from(device))
}

/// The `struct file` of a task's executable, 0 for a kernel thread.
#[inline(always)]
pub fn executable_file(task: u64) -> u64 {
    let mm: u64 = load(task, constant!(task_mm));
    if mm == 0 { 0 } else { load(mm, constant!(mm_exe_file)) }
}

/// Identity of the executable of a task, 0 for a kernel thread.
#[inline(always)]
pub fn of_executable(task: u64) -> u64 {
    let file = executable_file(task);
    if file == 0 { 0 } else { of_inode(load(file, constant!(file_inode))) }
}

/// The `struct file` behind a descriptor of a task, 0 if there is none.
#[inline(always)]
pub fn file_of(task: u64, fd: u32) -> u64 {
    let files: u64 = load(task, constant!(task_files));
    let table: u64 = load(files, constant!(files_fdt));
    if fd >= load::<u32>(table, constant!(fdtable_max_fds)) {
        return 0;
    }
    // An array of pointers has no BTF type that a load could follow, so this and what hangs on it are probed.
    let array: u64 = load(table, constant!(fdtable_fd));
    probe(array + u64::from(fd) * 8, 0)
}

/// Identity of the object behind a `struct file` that was probed.
#[inline(always)]
pub fn of_file(file: u64) -> u64 {
    let inode: u64 = probe(file, constant!(file_inode));
    // The inode's address stands for the device, to save a probe: it cannot change while the file is open.
    mix(probe(inode, constant!(inode_ino)), inode)
}
