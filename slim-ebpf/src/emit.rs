//! One access: is it new, and if so, into the ring with it.
//!
//! An access is marked as seen only after the ring, or the backlog behind it, took its record. When both are full it
//! stays unmarked, so that the next such access tries again, and is remembered as lost until one succeeds.

use aya_ebpf::helpers::generated::{bpf_ktime_get_boot_ns, bpf_ringbuf_output};
use slim_common::counters::{Counters, hook};
use slim_common::limits::{BACKLOG_BYTES, RECENT as RECENT_ENTRIES};
use slim_common::record::{Header, Key, Scratch, kind, truncated};

use crate::config::constant;
use crate::identity;
use crate::maps::{BACKLOG, COUNTERS, LOST, RECENT, RECORDS, SCRATCH, SEEN};
use crate::memory::{load, memory};
use crate::walk::{self, Walked};

/// The record that a hook builds on this CPU.
#[derive(Clone, Copy)]
pub struct Draft {
    /// Where it is built.
    pub scratch: *mut Scratch,
    /// Where its outcome is counted.
    pub counters: *mut Counters,
}

/// The outcomes that a hook decides itself; the rest come from [`Draft::send`].
#[derive(Clone, Copy)]
pub enum Outcome {
    /// It proved no path.
    Filtered,
    /// Its name could not be read.
    Unreadable,
}

impl Draft {
    /// Begins the record of one hit.
    #[inline(always)]
    pub fn begin(counting: u32) -> Option<Self> {
        let scratch = SCRATCH.get_ptr_mut(counting)?;
        let counters = COUNTERS.get_ptr_mut(counting)?;
        // SAFETY: a per-CPU value that only this program writes on this CPU.
        unsafe { (*counters).hits += 1 };
        Some(Self { scratch, counters })
    }

    /// The fixed part.
    #[inline(always)]
    pub fn header(&self) -> &mut Header {
        // SAFETY: the scratch value lives as long as the program and nobody else on this CPU uses it.
        unsafe { &mut (*self.scratch).header }
    }

    /// Where the name goes: the record's data.
    #[inline(always)]
    pub fn data(&self) -> *mut u8 {
        // SAFETY: in bounds of the scratch value.
        unsafe { (&raw mut (*self.scratch).data).cast() }
    }

    /// Counts an access that needs no record.
    #[inline(always)]
    pub fn drop_as(&self, outcome: Outcome) {
        // SAFETY: as in `begin`.
        let counters = unsafe { &mut *self.counters };
        match outcome {
            Outcome::Filtered => counters.filtered += 1,
            Outcome::Unreadable => counters.unreadable += 1,
        }
    }

    /// Whether the access was delivered before; counts it then.
    #[inline(always)]
    pub fn is_duplicate(&self, key: &Key) -> bool {
        let Some(recent) = RECENT.get_ptr_mut((key.name ^ key.base ^ key.file) as u32 & (RECENT_ENTRIES - 1))
        else {
            return false;
        };
        // SAFETY: a per-CPU value that only this program reads and writes on this CPU.
        let known = unsafe { *recent == *key };
        if !known {
            if SEEN.get_ptr(key).is_none() {
                return false;
            }
            // SAFETY: as above.
            unsafe { *recent = *key };
        }
        // SAFETY: as in `begin`.
        unsafe { (*self.counters).duplicate += 1 };
        true
    }

    /// The key of the access that the scratch value describes, if it is new; counts it otherwise.
    #[inline(always)]
    pub fn new_key(&self, task: u64) -> Option<Key> {
        let scratch = self.scratch;
        let hash = identity::hash_name(scratch);
        let (base, reached) = (memory!(scratch.base_id), memory!(scratch.reached_id));
        let key = key(self.header(), hash, base, reached, identity::of_executable(task));
        if self.is_duplicate(&key) { None } else { Some(key) }
    }

    /// Walks the ends that stand in the scratch value, behind the names already written, and delivers the record.
    #[inline(always)]
    pub fn send(&self, key: &Key, task: u64) {
        let scratch = self.scratch;
        let names = identity::name_length(scratch) + usize::from(memory!(scratch.header.interp_len));
        memory!(scratch.cursor = names as u64);
        // SAFETY: a helper without arguments (5.8).
        self.header().time_ns = unsafe { bpf_ktime_get_boot_ns() };
        let root = walk::root_mount_of(task);
        memory!(scratch.header.root_dev = walk::device_of_mount(root));
        memory!(scratch.root = walk::root_of_mount(root));
        memory!(scratch.header.truncated = 0);

        let base = part(memory!(scratch.base), |at| walk::through_mounts(scratch, at));
        self.header().base_dev = base.device;
        self.header().base_len = base.length;
        self.flag(base, truncated::BASE);

        let own_root = part(own_root(task, memory!(scratch.root)), |at| walk::through_mounts(scratch, at));
        self.header().own_root_len = own_root.length;
        self.flag(own_root, truncated::ROOT);

        let reached = part(memory!(scratch.reached), |at| walk::in_filesystem(scratch, at));
        self.header().reached_dev = reached.device;
        self.header().reached_len = reached.length;
        self.flag(reached, truncated::REACHED);

        let exe = part(memory!(scratch.exe), |at| walk::in_filesystem(scratch, at));
        self.header().exe_dev = exe.device;
        self.header().exe_len = exe.length;
        self.flag(exe, truncated::EXE);
        self.deliver(key);
    }

    #[inline(always)]
    fn flag(&self, walked: Walked, bit: u8) {
        let scratch = self.scratch;
        if walked.truncated {
            memory!(scratch.header.truncated = memory!(scratch.header.truncated) | bit);
        }
    }

    #[inline(always)]
    fn deliver(&self, key: &Key) {
        let scratch = self.scratch;
        // SAFETY: as in `begin`.
        let counters = unsafe { &mut *self.counters };
        let length = (size_of::<Header>() + walk::cursor_of(self.scratch)) as u64;
        // SAFETY: header and data are longer together than any length that a cursor stands for.
        let full = unsafe {
            let record = (&raw mut (*self.scratch).header).cast();
            bpf_ringbuf_output((&raw const RECORDS).cast_mut().cast(), record, length, 0) != 0
        };
        let deferred = full && self.defer(key, length);
        if full && !deferred {
            counters.ring_full += 1;
            if LOST.insert(key, 1, 0).is_err() {
                counters.forgotten += 1;
            }
            return;
        }
        // Always asked: the loss may have been on another CPU, whose counters are not these.
        let _ = LOST.remove(key);
        match (memory!(scratch.header.truncated) != 0, SEEN.insert(key, 1, 0)) {
            (true, _) => counters.truncated += 1,
            (false, Err(_)) => counters.seen_full += 1,
            (false, Ok(())) if deferred => counters.deferred += 1,
            (false, Ok(())) => counters.sent += 1,
        }
    }

    /// Puts a record that found the ring full into the backlog; false when it does not fit there.
    #[inline(always)]
    fn defer(&self, key: &Key, length: u64) -> bool {
        // SAFETY: header and data are longer together than a record of the backlog; what stands behind the record's
        // own bytes is left from an earlier one and not looked at.
        let record = unsafe { &*(&raw const (*self.scratch).header).cast::<[u8; BACKLOG_BYTES]>() };
        length <= BACKLOG_BYTES as u64 && BACKLOG.insert(key, record, 0).is_ok()
    }
}

/// Tells the agent that a container came into scope. When the ring is full, the agent finds it all the same.
#[inline(always)]
pub fn birth(cgroup: u64, slot: u32) {
    // SAFETY: a helper without arguments (5.8).
    let time_ns = unsafe { bpf_ktime_get_boot_ns() };
    let header = Header { time_ns, cgroup, slot, kind: kind::BIRTH, ..Header::default() };
    // SAFETY: the ring, and as many bytes as the header has.
    let _full = unsafe {
        let record = (&raw const header).cast_mut().cast();
        bpf_ringbuf_output((&raw const RECORDS).cast_mut().cast(), record, size_of::<Header>() as u64, 0)
    };
}

#[inline(always)]
fn part(address: u64, walk: impl FnOnce(u64) -> Walked) -> Walked {
    if address == 0 { Walked { length: 0, device: 0, truncated: false } } else { walk(address) }
}

/// The `struct path` of a task's root directory, 0 when that is `root`, the root of its mount tree.
#[inline(always)]
fn own_root(task: u64, root: u64) -> u64 {
    let fs: u64 = load(task, constant!(task_fs));
    let directory: u64 = load(fs, constant!(fs_root) + constant!(path_dentry));
    if directory == root { 0 } else { fs + u64::from(constant!(fs_root)) }
}

/// Directory entry of a task's executable, 0 for a kernel thread.
#[inline(always)]
pub fn executable_of(task: u64) -> u64 {
    let file = identity::executable_file(task);
    if file == 0 { 0 } else { load(file, constant!(file_path) + constant!(path_dentry)) }
}

/// What tells this access from others: `call` is the hook and the call's number and place.
#[inline(always)]
pub fn key(header: &Header, hash: u64, base: u64, reached: u64, exe: u64) -> Key {
    let what = u64::from(header.slot) << 48
        | u64::from(header.kind) << 40
        | u64::from(header.which) << 36
        | u64::from(header.phase) << 32
        | u64::from(header.abi) << 16
        | u64::from(header.nr);
    // The same name means another file when the flags say whether a link is followed.
    let name = identity::mix(hash, u64::from(header.arg_flags) << 8 | u64::from(header.resolve));
    Key { what, name, base, file: identity::mix(reached, exe) }
}

/// The counting hooks by their place in the maps.
pub use hook::{CALL, EXEC};
