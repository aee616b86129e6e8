//! System call names and numbers, for each ABI that a recording can meet.
//!
//! The numbers are those of the `syscalls` crate (generated from Linux 6.17), corrected where it departs
//! from the kernel's tables or from the names that libseccomp uses.

mod corrections;
mod x32;

use std::collections::BTreeSet;
use std::str::FromStr;

/// The bit that marks an x32 call in the number that the kernel sees (`__X32_SYSCALL_BIT`).
pub const X32_BIT: u32 = 0x4000_0000;

/// A way to call the kernel, with numbers of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Abi {
    /// 64-bit x86.
    X86_64,
    /// 32-bit x86, also on a 64-bit kernel.
    I386,
    /// 32-bit pointers on a 64-bit x86 kernel.
    X32,
    /// 64-bit ARM.
    Aarch64,
    /// 32-bit ARM (EABI), also on a 64-bit kernel.
    Arm,
}

impl Abi {
    /// Every ABI that this version knows.
    pub const ALL: [Self; 5] = [Self::X86_64, Self::I386, Self::X32, Self::Aarch64, Self::Arm];

    /// The manifest's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::I386 => "i386",
            Self::X32 => "x32",
            Self::Aarch64 => "aarch64",
            Self::Arm => "arm",
        }
    }

    /// The name by which seccomp profiles call the architecture.
    pub fn seccomp_arch(self) -> &'static str {
        match self {
            Self::X86_64 => "SCMP_ARCH_X86_64",
            Self::I386 => "SCMP_ARCH_X86",
            Self::X32 => "SCMP_ARCH_X32",
            Self::Aarch64 => "SCMP_ARCH_AARCH64",
            Self::Arm => "SCMP_ARCH_ARM",
        }
    }

    /// The ABI of the kernel that offers this one: what the container runtime itself uses.
    pub fn native(self) -> Self {
        match self {
            Self::X86_64 | Self::I386 | Self::X32 => Self::X86_64,
            Self::Aarch64 | Self::Arm => Self::Aarch64,
        }
    }

    /// The ABIs that processes on this host can use, the native one first.
    pub fn of_host() -> &'static [Self] {
        if cfg!(target_arch = "aarch64") {
            &[Self::Aarch64, Self::Arm]
        } else {
            &[Self::X86_64, Self::I386, Self::X32]
        }
    }
}

impl FromStr for Abi {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|abi| abi.as_str() == text).ok_or(())
    }
}

/// The name of call `nr` in `abi`; x32 numbers with or without [`X32_BIT`].
pub fn name(abi: Abi, nr: u32) -> Option<&'static str> {
    if abi == Abi::X32 {
        return x32::name(nr & !X32_BIT);
    }
    corrections::name(abi, nr).unwrap_or_else(|| table_name(abi, nr))
}

/// The number of the call `name` in `abi`, for x32 without [`X32_BIT`]; `None` where the ABI does not have it.
pub fn number(abi: Abi, name: &str) -> Option<u32> {
    if abi == Abi::X32 {
        return x32::number(name);
    }
    let nr = corrections::number(abi, name).or_else(|| table_number(abi, name))?;
    // A number that the corrections give to another name, or to none, is not this name's.
    (self::name(abi, nr) == Some(name)).then_some(nr)
}

/// Every name that `abi` has.
pub fn names(abi: Abi) -> BTreeSet<&'static str> {
    (0..=LAST).chain(corrections::PRIVATE).filter_map(|nr| name(abi, nr)).collect()
}

/// No table reaches further, except for ARM's private calls.
const LAST: u32 = 1023;

fn table_name(abi: Abi, nr: u32) -> Option<&'static str> {
    let nr = usize::try_from(nr).ok()?;
    match abi {
        Abi::X86_64 | Abi::X32 => syscalls::x86_64::Sysno::new(nr).map(|call| call.name()),
        Abi::I386 => syscalls::x86::Sysno::new(nr).map(|call| call.name()),
        Abi::Aarch64 => syscalls::aarch64::Sysno::new(nr).map(|call| call.name()),
        Abi::Arm => syscalls::arm::Sysno::new(nr).map(|call| call.name()),
    }
}

fn table_number(abi: Abi, name: &str) -> Option<u32> {
    let id = match abi {
        Abi::X86_64 | Abi::X32 => syscalls::x86_64::Sysno::from_str(name).ok()?.id(),
        Abi::I386 => syscalls::x86::Sysno::from_str(name).ok()?.id(),
        Abi::Aarch64 => syscalls::aarch64::Sysno::from_str(name).ok()?.id(),
        Abi::Arm => syscalls::arm::Sysno::from_str(name).ok()?.id(),
    };
    u32::try_from(id).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_numbers() {
        let known = [
            (Abi::X86_64, 0, "read"),
            (Abi::X86_64, 59, "execve"),
            (Abi::X86_64, 262, "newfstatat"),
            (Abi::X86_64, 435, "clone3"),
            (Abi::I386, 11, "execve"),
            (Abi::I386, 17, "break"),
            (Abi::I386, 102, "socketcall"),
            (Abi::I386, 300, "fstatat64"),
            (Abi::I386, 403, "clock_gettime64"),
            (Abi::X32, 0, "read"),
            (Abi::X32, 520, "execve"),
            (Abi::X32, 512, "rt_sigaction"),
            (Abi::Aarch64, 56, "openat"),
            (Abi::Aarch64, 79, "newfstatat"),
            (Abi::Aarch64, 221, "execve"),
            (Abi::Arm, 11, "execve"),
            (Abi::Arm, 322, "openat"),
            (Abi::Arm, 0x0f_0005, "set_tls"),
        ];
        for (abi, nr, call) in known {
            assert_eq!(name(abi, nr), Some(call), "{abi:?} {nr}");
            assert_eq!(number(abi, call), Some(nr), "{abi:?} {call}");
        }
        assert_eq!(name(Abi::X32, 520 | X32_BIT), Some("execve"));
    }

    #[test]
    fn calls_that_an_abi_does_not_have() {
        for (abi, call) in [
            (Abi::X86_64, "socketcall"),
            (Abi::X86_64, "clock_gettime64"),
            (Abi::X32, "uselib"),
            (Abi::Aarch64, "open"),
            (Abi::Aarch64, "fstatat"),
            (Abi::Aarch64, "clock_gettime64"),
            (Abi::Arm, "no_such_call"),
        ] {
            assert_eq!(number(abi, call), None, "{abi:?} {call}");
        }
        assert_eq!(name(Abi::X32, 59), None, "execve moved to 520");
        assert_eq!(name(Abi::X86_64, 512), None, "512 and up belong to x32");
        assert_eq!(name(Abi::X86_64, u32::MAX), None);
    }

    #[test]
    fn names_and_numbers_agree() {
        for abi in Abi::ALL {
            let names = names(abi);
            assert!(names.len() > 300, "{abi:?} has only {}", names.len());
            for call in names {
                let nr = number(abi, call).unwrap();
                assert_eq!(name(abi, nr), Some(call), "{abi:?}");
            }
            assert_eq!(abi.as_str().parse(), Ok(abi));
        }
    }

    #[test]
    fn the_running_kernel_agrees() {
        // libc's numbers are those of the target, from the kernel's own headers.
        let native = Abi::of_host()[0];
        for (call, nr) in [
            ("openat", nix::libc::SYS_openat),
            ("futex", nix::libc::SYS_futex),
            ("statx", nix::libc::SYS_statx),
            ("rt_sigreturn", nix::libc::SYS_rt_sigreturn),
            ("close_range", nix::libc::SYS_close_range),
        ] {
            assert_eq!(number(native, call).map(i64::from), Some(nr), "{call}");
        }
    }
}
