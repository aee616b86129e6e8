//! Addresses that sockets were connected or messages sent to, whoever asked for it: the second tier. The kernel has copied
//! them by then.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use aya_ebpf::macros::{fentry, fexit};
use aya_ebpf::programs::{FEntryContext, FExitContext};
use slim_common::call::flags::SOCKADDR;
use slim_common::counters::hook;
use slim_common::limits::SOCKADDR_MAX;
use slim_common::record::met;

use super::call::{denies, note_base};
use super::file::{begin, deliver};
use crate::config::constant;
use crate::emit::{Draft, Outcome};
use crate::endpoint;
use crate::memory::{current_task, load, probe};

/// AF_UNIX (include/linux/socket.h).
const UNIX: u16 = 1;

/// A socket was connected, or that was begun. Its arguments are the file, the address, its length, and flags. Not the
/// security hook: that comes before it is known whether a local socket is there.
#[fexit(function = "__sys_connect_file")]
pub fn __sys_connect_file(ctx: FExitContext) -> i32 {
    let result: i32 = ctx.arg(4);
    if !denies(result.into())
        && let Some(draft) = begin(hook::CONNECT, met::CONNECTED)
    {
        used(draft, ctx.arg(1), ctx.arg(2), endpoint::spoken(endpoint::socket_of(ctx.arg(0))));
    }
    0
}

/// A message is about to be sent. Its arguments are the socket, the `struct msghdr` and the size. Whether a local socket
/// is there is not known yet: the lookup of its name tells.
#[fentry(function = "security_socket_sendmsg")]
pub fn security_socket_sendmsg(ctx: FEntryContext) -> i32 {
    let (address, length): (u64, u32) =
        (load(ctx.arg(1), constant!(msghdr_name)), load(ctx.arg(1), constant!(msghdr_namelen)));
    if address != 0
        && probe::<u16>(address, 0) != UNIX
        && let Some(draft) = begin(hook::SEND, met::SENT)
    {
        used(draft, address, length, endpoint::spoken(load(ctx.arg(0), constant!(socket_sk))));
    }
    0
}

/// Delivers the record of an address that was used, by a socket that speaks `spoken`.
#[inline(always)]
fn used(draft: Draft, address: u64, length: u32, spoken: u32) {
    draft.header().arg_flags = spoken;
    let length = if length > SOCKADDR_MAX as u32 { SOCKADDR_MAX as u32 } else { length };
    // SAFETY: the data is longer than SOCKADDR_MAX; the helper checks the source.
    let failed = unsafe { bpf_probe_read_kernel(draft.data().cast(), length, address as *const _) } != 0;
    if failed {
        draft.drop_as(Outcome::Unreadable);
        return;
    }
    draft.header().name_len = length as u16;
    note_base(draft, current_task(), 0, SOCKADDR, length as usize);
    deliver(draft.scratch, draft.counters, current_task());
}
