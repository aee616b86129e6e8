//! Which other file the kernel loads to run an executable: the `#!` line (fs/binfmt_script.c) and the ELF
//! interpreter (fs/binfmt_elf.c). Pure but for the reads it asks for; no bytes make it fail.

use anyhow::Result;

use super::elf;

/// As much of a script as the kernel looks at (BINPRM_BUF_SIZE).
const SCRIPT_HEAD: usize = 256;

/// Interpreters of interpreters that the kernel goes through (exec_binprm, fs/exec.c).
pub const MAX_INTERPRETERS: usize = 5;

/// What an executable needs to be run, besides itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interpreter {
    /// The program named by a `#!` line.
    Script(Vec<u8>),
    /// The dynamic linker named by an ELF file.
    Elf(Vec<u8>),
}

/// Finds what interprets a file; `None` when it runs by itself or not at all. `read(offset, len)` gives up to `len`
/// bytes of it, fewer at its end.
///
/// # Errors
/// Those of `read`.
pub fn interpreter(mut read: impl FnMut(u64, usize) -> Result<Vec<u8>>) -> Result<Option<Interpreter>> {
    let head = read(0, SCRIPT_HEAD)?;
    if let Some(line) = head.strip_prefix(b"#!") {
        return Ok(script(line).map(Interpreter::Script));
    }
    Ok(elf::interpreter(&head, read)?.map(Interpreter::Elf))
}

/// The words of a script's `#!` line, the program first; none when `head`, its first 256 bytes, has no such line.
pub fn script_words(head: &[u8]) -> Vec<Vec<u8>> {
    let head = &head[..head.len().min(SCRIPT_HEAD)];
    let line = head.strip_prefix(b"#!").unwrap_or_default();
    if script(line).is_none() {
        return Vec::new();
    }
    let end = line.iter().position(|&byte| byte == b'\n' || byte == 0).unwrap_or(line.len());
    let words = line[..end].split(|byte| b" \t".contains(byte)).filter(|word| !word.is_empty());
    words.map(<[u8]>::to_vec).collect()
}

fn script(line: &[u8]) -> Option<Vec<u8>> {
    let blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let start = line.iter().position(|byte| !blank(byte))?;
    let name = &line[start..];
    let end = name.iter().position(|byte| blank(byte) || *byte == b'\n' || *byte == 0);
    // A name that fills all the kernel looks at may be cut off, and is refused.
    let end = end.or((line.len() + 2 < SCRIPT_HEAD).then_some(name.len()))?;
    (end > 0).then(|| name[..end].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::elf::testing::{Elf, reader};
    use proptest::prelude::*;

    fn of(bytes: &[u8]) -> Option<Interpreter> {
        interpreter(reader(bytes)).unwrap()
    }

    fn script(name: &[u8]) -> Option<Interpreter> {
        Some(Interpreter::Script(name.to_vec()))
    }

    #[test]
    fn script_lines_as_the_kernel_reads_them() {
        assert_eq!(of(b"#!/bin/sh\nexit"), script(b"/bin/sh"));
        assert_eq!(of(b"#! \t/usr/bin/env -S python3\n"), script(b"/usr/bin/env"));
        assert_eq!(of(b"#!/bin/sh"), script(b"/bin/sh"));
        assert_eq!(of(b"#!\n/bin/sh"), None);
        assert_eq!(of(b"#!   "), None);
        assert_eq!(of(b"exit 0\n"), None);
        assert_eq!(of(&[&b"#!/"[..], &[b'x'; 300]].concat()), None);
    }

    fn elf(wide: bool, big: bool, interpreter: &str) -> Vec<u8> {
        Elf { wide, big, interpreter: Some(interpreter), dynamic: &[] }.bytes()
    }

    #[test]
    fn words_of_script_lines() {
        let words = |line: &[u8]| script_words(line).join(&b'|');
        assert_eq!(words(b"#! /usr/bin/env -S python3 -x\nrest"), b"/usr/bin/env|-S|python3|-x");
        assert_eq!(words(b"#!/bin/sh"), b"/bin/sh");
        assert_eq!(words(b"exit"), b"");
    }

    #[test]
    fn elf_files_of_every_form() {
        let expected = Some(Interpreter::Elf(b"/lib/ld.so".to_vec()));
        for (wide, big) in [(true, false), (true, true), (false, false), (false, true)] {
            assert_eq!(of(&elf(wide, big, "/lib/ld.so")), expected);
        }
        assert_eq!(of(&elf(true, false, "\0")), None);
        let this = std::fs::read("/proc/self/exe").unwrap();
        assert!(matches!(of(&this), Some(Interpreter::Elf(name)) if name.starts_with(b"/lib")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_fine(bytes: Vec<u8>, wide: bool, at in 0..200usize, byte: u8) {
            let _ = of(&bytes);
            let mut damaged = elf(wide, false, "/lib/ld.so");
            if let Some(place) = damaged.get_mut(at) {
                *place = byte;
            }
            let _ = of(&damaged);
        }
    }
}
