//! The socket behind a descriptor: what it speaks, and the address that it is bound to.

use slim_common::record::{Scratch, socket};

use crate::config::constant;
use crate::identity;
use crate::memory::{cast, load, memory, probe};

/// Type bits of a mode, and those of a socket (include/uapi/linux/stat.h).
const S_IFMT: u16 = 0o170_000;
const S_IFSOCK: u16 = 0o140_000;
/// include/linux/socket.h
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// Adds what the descriptor's socket speaks to the flags in the scratch value and, where that is asked for, writes the
/// address that it is bound to in front of the data, with its length in the scratch value: 0 when there is none to tell.
/// A subprogram, as it is the same for every kind of call.
#[inline(never)]
pub fn describe(scratch: *mut Scratch, task: u64) {
    let sock = socket_of(identity::file_of(task, memory!(scratch.descriptor) as u32));
    let call = memory!(scratch.header.arg_flags) & socket::CALL_MASK;
    memory!(scratch.header.arg_flags = call | spoken(sock));
    if memory!(scratch.bound) == 0 {
        return;
    }
    memory!(scratch.address_len = 0);
    if sock == 0 || memory!(scratch.header.ret) < 0 {
        return;
    }
    let family: u16 = member(sock, constant!(sock_family));
    let port: u16 = member(sock, constant!(sock_port));
    // struct sockaddr_in, struct sockaddr_in6: the kernel keeps the port in its own byte order, the address in the network's.
    let head = u64::from(family) | u64::from(port.to_be()) << 16;
    if family == AF_INET {
        let address: u32 = member(sock, constant!(sock_address));
        put(scratch, 0, head | u64::from(address) << 32);
        memory!(scratch.address_len = 8);
    } else if family == AF_INET6 {
        put(scratch, 0, head);
        put(scratch, 1, member(sock, constant!(sock_address6)));
        put(scratch, 2, member(sock, constant!(sock_address6) + 8));
        memory!(scratch.address_len = 24);
    }
}

/// Writes a word of the address.
#[inline(always)]
fn put(scratch: *mut Scratch, index: usize, value: u64) {
    // SAFETY: the data is longer than any address, and 8-byte aligned behind the header.
    unsafe { (&raw mut (*scratch).data).cast::<u64>().add(index).write_volatile(value) };
}

/// What a `struct sock` speaks, as [`socket`] has it.
#[inline(always)]
pub fn spoken(sock: u64) -> u32 {
    if sock == 0 {
        return 0;
    }
    let kind = u32::from(member::<u16>(sock, constant!(sock_type)) & 0xff);
    let protocol = u32::from(member::<u16>(sock, constant!(sock_protocol)));
    kind << socket::TYPE_SHIFT | protocol << socket::PROTOCOL_SHIFT
}

/// The `struct sock` of a file, 0 if it is no socket: what any other file keeps there is something else.
#[inline(always)]
pub fn socket_of(file: u64) -> u64 {
    if file == 0 {
        return 0;
    }
    if constant!(type_socket) != 0 {
        let file = cast(file, constant!(type_file));
        let inode: u64 = load(file, constant!(file_inode));
        if load::<u16>(inode, constant!(inode_mode)) & S_IFMT != S_IFSOCK {
            return 0;
        }
        let socket: u64 = load(file, constant!(file_private_data));
        return load(cast(socket, constant!(type_socket)), constant!(socket_sk));
    }
    let inode: u64 = probe(file, constant!(file_inode));
    if probe::<u16>(inode, constant!(inode_mode)) & S_IFMT != S_IFSOCK {
        return 0;
    }
    probe(probe(file, constant!(file_private_data)), constant!(socket_sk))
}

/// Reads a member of what [`socket_of`] found.
#[inline(always)]
fn member<T: Copy>(sock: u64, offset: u32) -> T {
    if constant!(type_socket) != 0 { load(sock, offset) } else { probe(sock, offset) }
}
