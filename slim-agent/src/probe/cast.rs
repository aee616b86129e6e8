//! `bpf_rdonly_cast` (Linux 6.2): turns any address into a typed pointer that a program may read through directly.
//!
//! It is one of the kernel's own functions, which a program calls by the number that it has in the kernel's BTF. aya
//! resolves no such calls, so the object calls a number that stands for it ([`CAST`]), and the agent replaces that.

use slim_common::config::CAST;

use super::btf::Btf;

/// BPF_JMP | BPF_CALL (include/uapi/linux/bpf_common.h, bpf.h).
const CALL: u8 = 0x85;
/// BPF_PSEUDO_KFUNC_CALL, in the upper half of the second byte: the source register.
const KERNEL_FUNCTION: u8 = 2 << 4;
/// Bytes of one instruction.
const INSTRUCTION: usize = 8;

/// The function, and the types that the programs cast to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cast {
    function: u32,
    /// `struct file`.
    pub file: u32,
    /// A structure that begins with a number of eight bytes.
    pub word: u32,
    /// `struct socket`.
    pub socket: u32,
}

impl Cast {
    /// What the kernel has for it, if it does.
    pub fn of(btf: &Btf) -> Option<Self> {
        Some(Self {
            function: btf.function("bpf_rdonly_cast")?,
            file: btf.structure("file")?,
            word: btf.structure("timespec64")?,
            socket: btf.structure("socket")?,
        })
    }

    /// The object with the kernel's number at every call.
    pub fn put_into(self, object: &[u8]) -> Vec<u8> {
        let mut object = object.to_vec();
        // Sections with instructions begin at multiples of eight.
        for instruction in object.chunks_exact_mut(INSTRUCTION) {
            if instruction == call(0, CAST as u32) {
                instruction.copy_from_slice(&call(KERNEL_FUNCTION, self.function));
            }
        }
        object
    }
}

/// A call instruction: `struct bpf_insn` in this machine's byte order.
fn call(registers: u8, number: u32) -> [u8; INSTRUCTION] {
    let [a, b, c, d] = number.to_ne_bytes();
    [CALL, registers, 0, 0, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_calls_change() {
        let cast = Cast { function: 77, file: 1, word: 2, socket: 3 };
        let other = [0x85, 0, 0, 0, 4, 0, 0, 0];
        let object = [&call(0, CAST as u32)[..], &other, b"tail"].concat();
        let expected = [&[0x85, 0x20, 0, 0, 77, 0, 0, 0][..], &other, b"tail"].concat();
        assert_eq!(cast.put_into(&object), expected);
    }

    #[test]
    fn the_object_has_such_calls() {
        let cast = Cast { function: 77, file: 1, word: 2, socket: 3 };
        assert_ne!(cast.put_into(crate::probe::load::OBJECT), crate::probe::load::OBJECT);
    }
}
