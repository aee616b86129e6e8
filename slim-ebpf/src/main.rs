//! The kernel programs of slim-agent: which paths, programs, sockets and system calls a container uses.
//!
//! The base tier needs only BTF raw tracepoints. Every hook leaves at once when the process is in no traced
//! cgroup; nothing here ever changes what a process does.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod config;
mod emit;
mod endpoint;
mod hooks;
mod identity;
mod maps;
mod memory;
mod scope;
mod walk;

/// The kernel offers its helpers for reading memory to GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
