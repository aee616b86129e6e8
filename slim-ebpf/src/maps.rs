//! The maps. Sizes are the largest; the agent shrinks them at load where it needs less.

use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, PerCpuArray, Queue, RingBuf};
use slim_common::call::Call;
use slim_common::counters::{Counters, hook, overflow};
use slim_common::limits::{
    ABIS, BACKLOG_BYTES, CAPABILITY_BYTES, MAX_BACKLOG, MAX_LOST, MAX_SCOPES, MAX_SEEN, MAX_SLOTS, MAX_TASKS,
    NEAR_SCOPES, RECENT as RECENT_ENTRIES, RING_BYTES, SYSCALL_BYTES, SYSCALLS,
};
use slim_common::record::{Key, Scratch};
use slim_common::scope::{Auto, Birth, Command, ContainerId, Meta, NearScope, Scope, Slot};

/// Records on their way to the agent.
#[map]
pub static RECORDS: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

/// Accesses that were delivered. Preallocated and never evicting: a forgotten entry would only cost a duplicate,
/// an evicted one could hide that the table is too small.
#[map]
pub static SEEN: HashMap<Key, u8> = HashMap::with_max_entries(MAX_SEEN, 0);

/// Accesses of [`SEEN`] that this CPU met last, at the low bits of their hash: a look here costs a fraction of one
/// there. Per CPU, so that no two write one entry.
#[map]
pub static RECENT: PerCpuArray<Key> = PerCpuArray::with_max_entries(RECENT_ENTRIES, 0);

/// Records that found the ring full: they wait here for the agent, whole and counted as delivered.
#[map]
pub static BACKLOG: HashMap<Key, [u8; BACKLOG_BYTES]> = HashMap::with_max_entries(MAX_BACKLOG, 0);

/// Accesses that found ring and backlog full and were not delivered since.
#[map]
pub static LOST: HashMap<Key, u8> = HashMap::with_max_entries(MAX_LOST, 0);

/// What the low bits of a cgroup's id say about it. The agent changes it, too, by mapping it: member by member, since a
/// whole value would undo what was changed meanwhile.
#[map]
pub static NEAR: Array<NearScope> = Array::with_max_entries(NEAR_SCOPES, BPF_F_MMAPABLE);

/// Traced cgroups by id.
#[map]
pub static SCOPES: HashMap<u64, Scope> = HashMap::with_max_entries(MAX_SCOPES, 0);

/// Containers to trace from their first instruction: their cgroup does not exist yet.
#[map]
pub static WATCHED: HashMap<ContainerId, Scope> = HashMap::with_max_entries(MAX_SLOTS, 0);

/// Whether containers that nobody watches come into scope by themselves. Index 0.
#[map]
pub static AUTO: Array<Auto> = Array::with_max_entries(1, 0);

/// Slots that nobody uses; the agent fills it.
#[map]
pub static FREE: Queue<u32> = Queue::with_max_entries(MAX_SLOTS, 0);

/// How each slot came to be used.
#[map]
pub static BIRTHS: Array<Birth> = Array::with_max_entries(MAX_SLOTS, 0);

/// What the agent notes about the maps as a whole; no program looks at it. Index 0.
#[map]
pub static META: Array<Meta> = Array::with_max_entries(1, 0);

/// State of each recording.
#[map]
pub static SLOTS: Array<Slot> = Array::with_max_entries(MAX_SLOTS, 0);

/// Processes in scope that are not the application, with their phase.
#[map]
pub static TASKS: HashMap<u32, u8> = HashMap::with_max_entries(MAX_TASKS, 0);

/// How many processes TASKS holds: while it is zero nobody looks there. Index 0. The agent adds to it, too, by mapping
/// it: to write a value would undo what was added meanwhile.
#[map]
pub static OUTSIDERS: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// The health check of each recording's container.
#[map]
pub static HEALTHCHECKS: Array<Command> = Array::with_max_entries(MAX_SLOTS, 0);

/// Times that a table was full, by [`overflow`].
#[map]
pub static OVERFLOWS: Array<u64> = Array::with_max_entries(overflow::COUNT, 0);

/// One byte per system call, ABI, phase and answer, per slot.
#[map]
pub static CALLED: Array<[u8; SYSCALL_BYTES]> = Array::with_max_entries(MAX_SLOTS, 0);

/// One byte per capability, phase and answer, per slot.
#[map]
pub static ASKED: Array<[u8; CAPABILITY_BYTES]> = Array::with_max_entries(MAX_SLOTS, 0);

/// How system calls name files: index `abi * SYSCALLS + number`.
#[map]
pub static CALLS: Array<Call> = Array::with_max_entries((ABIS * SYSCALLS) as u32, 0);

/// What became of the calls, by [`hook`].
#[map]
pub static COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(hook::COUNT, 0);

/// Where one CPU builds its record; tracepoint programs of one hook do not nest on a CPU.
#[map]
pub static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(hook::COUNT, 0);
