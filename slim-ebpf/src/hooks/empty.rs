//! A program that does nothing, on the busiest hook: what any program there costs, the floor that benchmarks
//! compare with.

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

/// Nothing at exit.
#[btf_tracepoint(function = "sys_exit")]
pub fn empty_exit(_: BtfTracePointContext) -> i32 {
    0
}
