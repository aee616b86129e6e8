//! (stub)
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Abi {
    X86_64,
    I386,
    X32,
    Aarch64,
    Arm,
}
pub fn number(abi: Abi, name: &str) -> Option<u32> {
    match abi {
        Abi::X86_64 | Abi::X32 => name.parse::<syscalls::x86_64::Sysno>().ok().map(|n| n.id() as u32),
        Abi::I386 => name.parse::<syscalls::x86::Sysno>().ok().map(|n| n.id() as u32),
        _ => None,
    }
}
