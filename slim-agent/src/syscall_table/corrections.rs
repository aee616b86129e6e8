//! Where the `syscalls` crate departs from the kernel's tables (arch/*/entry/syscalls/*.tbl, scripts/syscall.tbl) or
//! from the names that libseccomp uses.

use std::ops::RangeInclusive;

use super::Abi;

/// ARM's calls outside of the common table (arch/arm/include/uapi/asm/unistd.h): every program makes `set_tls`.
pub(super) const PRIVATE: RangeInclusive<u32> = 0x0f_0001..=0x0f_0006;

/// Calls that the crate lacks or names otherwise.
const RIGHT: [(Abi, u32, &str); 8] = [
    // libseccomp and the kernel's table say newfstatat; asm-generic/unistd.h's __NR3264_fstatat is only an alias.
    (Abi::Aarch64, 79, "newfstatat"),
    // A word that Rust reserves, so the crate leaves it out.
    (Abi::I386, 17, "break"),
    (Abi::Arm, 0x0f_0001, "breakpoint"),
    (Abi::Arm, 0x0f_0002, "cacheflush"),
    (Abi::Arm, 0x0f_0003, "usr26"),
    (Abi::Arm, 0x0f_0004, "usr32"),
    (Abi::Arm, 0x0f_0005, "set_tls"),
    (Abi::Arm, 0x0f_0006, "get_tls"),
];

/// `Some(None)`: the crate has a name here that the kernel has not.
pub(super) fn name(abi: Abi, nr: u32) -> Option<Option<&'static str>> {
    // The calls with 64-bit time exist only where time was 32 bits wide.
    if abi == Abi::Aarch64 && (403..=423).contains(&nr) {
        return Some(None);
    }
    RIGHT.iter().find(|&&(of, number, _)| (of, number) == (abi, nr)).map(|&(_, _, name)| Some(name))
}

pub(super) fn number(abi: Abi, name: &str) -> Option<u32> {
    RIGHT.iter().find(|&&(of, _, right)| (of, right) == (abi, name)).map(|&(_, nr, _)| nr)
}
