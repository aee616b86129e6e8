//! Programs that do nothing, on the two busiest hooks: what any program there costs, the floor that benchmarks
//! compare with.

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

/// Nothing at entry.
#[btf_tracepoint(function = "sys_enter")]
pub fn empty_enter(_: BtfTracePointContext) -> i32 {
    0
}

/// Nothing at exit.
#[btf_tracepoint(function = "sys_exit")]
pub fn empty_exit(_: BtfTracePointContext) -> i32 {
    0
}
