//! Cheap identities for telling accesses apart: numbers that are equal when the object is the same.

use slim_common::limits::PATH_MAX;
use slim_common::record::Scratch;

use crate::config::constant;
use crate::memory::{cast, load, memory, probe};

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Joins two numbers into one.
#[inline(always)]
pub fn mix(a: u64, b: u64) -> u64 {
    let product = (a ^ b.rotate_left(32)).wrapping_mul(MULTIPLIER);
    product ^ product >> 29
}

/// Words of a name that are hashed in place.
const SHORT: usize = 8;

/// Seeded hash of the name at the front of the record's data, whose length stands in the header.
///
/// The return of a call costs as much as the rest of this for a name of usual length, where the processor needs the
/// kernel's return thunks. So only long names are hashed by a subprogram.
#[inline(always)]
pub fn hash_name(scratch: *mut Scratch) -> u64 {
    if name_length(scratch) < SHORT * 8 { hash_words::<SHORT>(scratch) } else { hash_long(scratch) }
}

#[inline(never)]
fn hash_long(scratch: *mut Scratch) -> u64 {
    hash_words::<{ PATH_MAX / 8 }>(scratch)
}

/// The length is read from memory where it is needed: as a register the verifier would go on with one range of it
/// for every round of the loop.
#[inline(always)]
fn hash_words<const MOST: usize>(scratch: *mut Scratch) -> u64 {
    // SAFETY: the data is longer than PATH_MAX, and 8-byte aligned behind the header.
    let words = unsafe { (&raw mut (*scratch).data).cast::<u64>() };
    let mut hash = constant!(hash_seed);
    for index in 0..MOST {
        if index >= name_length(scratch) / 8 {
            break;
        }
        // SAFETY: inside PATH_MAX.
        hash = mix(hash, unsafe { words.add(index).read() });
    }
    let length = name_length(scratch);
    // What stands behind the name is left from an earlier one.
    // SAFETY: as above; a length is below PATH_MAX.
    let last = unsafe { words.add(length / 8).read() } & ((1 << (length % 8 * 8)) - 1);
    mix(mix(hash, last), length as u64)
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
    // An array of pointers has no BTF type that a load could follow.
    let array: u64 = load(table, constant!(fdtable_fd));
    let place = array + u64::from(fd) * 8;
    if constant!(type_word) != 0 { load(cast(place, constant!(type_word)), 0) } else { probe(place, 0) }
}

/// Identity of the object behind a `struct file` that was probed.
#[inline(always)]
pub fn of_file(file: u64) -> u64 {
    if constant!(type_file) != 0 {
        return of_inode(load(cast(file, constant!(type_file)), constant!(file_inode)));
    }
    let inode: u64 = probe(file, constant!(file_inode));
    // The inode's address stands for the device, to save a probe: it cannot change while the file is open.
    mix(probe(inode, constant!(inode_ino)), inode)
}
