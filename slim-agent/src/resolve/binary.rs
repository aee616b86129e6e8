//! Which other file the kernel loads to run an executable: the `#!` line (fs/binfmt_script.c) and the ELF
//! interpreter (fs/binfmt_elf.c). Pure but for the reads it asks for; no bytes make it fail.

use anyhow::Result;

/// As much of a script as the kernel looks at (BINPRM_BUF_SIZE).
const SCRIPT_HEAD: usize = 256;
/// The kernel refuses larger program header tables.
const MAX_TABLE: usize = 64 * 1024;
/// PATH_MAX: the kernel refuses longer interpreter names.
const MAX_NAME: usize = 4096;
const PT_INTERP: u32 = 3;

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
    let Some(table) = Table::find(&head) else { return Ok(None) };
    let headers = read(table.offset, table.entry * table.count)?;
    let Some((offset, len)) = headers.chunks_exact(table.entry).find_map(|header| table.interp(header))
    else {
        return Ok(None);
    };
    let mut name = read(offset, len)?;
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    name.truncate(end);
    Ok((!name.is_empty()).then_some(Interpreter::Elf(name)))
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

/// Where an ELF file's program headers are, and in which form.
struct Table {
    wide: bool,
    big_endian: bool,
    offset: u64,
    entry: usize,
    count: usize,
}

impl Table {
    fn find(head: &[u8]) -> Option<Self> {
        let ident = head.strip_prefix(b"\x7fELF")?;
        let wide = match ident.first()? {
            1 => false,
            2 => true,
            _ => return None,
        };
        let big_endian = *ident.get(1)? == 2;
        let entry = if wide { 56 } else { 32 };
        let mut table = Self { wide, big_endian, offset: 0, entry, count: 0 };
        table.offset = if wide { table.number(head, 32, 8)? } else { table.number(head, 28, 4)? };
        let (size_at, count_at) = if wide { (54, 56) } else { (42, 44) };
        table.count = usize::try_from(table.number(head, count_at, 2)?).ok()?;
        let right_size = table.number(head, size_at, 2)? == u64::try_from(entry).ok()?;
        (right_size && table.count > 0 && table.count * entry <= MAX_TABLE).then_some(table)
    }

    /// Offset and length of the interpreter's name, if `header` tells it.
    fn interp(&self, header: &[u8]) -> Option<(u64, usize)> {
        if self.number(header, 0, 4)? != u64::from(PT_INTERP) {
            return None;
        }
        let (offset, len) = if self.wide { (8, 32) } else { (4, 16) };
        let width = if self.wide { 8 } else { 4 };
        let len = usize::try_from(self.number(header, len, width)?).ok()?;
        (2..=MAX_NAME).contains(&len).then_some((self.number(header, offset, width)?, len))
    }

    fn number(&self, bytes: &[u8], at: usize, width: usize) -> Option<u64> {
        let field = bytes.get(at..at + width)?;
        let shift = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Some(if self.big_endian { field.iter().fold(0, shift) } else { field.iter().rev().fold(0, shift) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(bytes: &[u8]) -> Option<Interpreter> {
        let read = |offset: u64, len: usize| {
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            Ok(bytes[from..bytes.len().min(from.saturating_add(len))].to_vec())
        };
        interpreter(read).unwrap()
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

    /// An ELF file of either class and byte order whose interpreter's name is the last thing in it.
    fn elf(wide: bool, big: bool, name: &[u8]) -> Vec<u8> {
        let (head, entry) = if wide { (64, 56) } else { (52, 32) };
        let mut bytes = vec![0; head + 2 * entry];
        let mut put = |at: usize, width: usize, value: u64| {
            let all = if big { value.to_be_bytes() } else { value.to_le_bytes() };
            let field = if big { &all[8 - width..] } else { &all[..width] };
            bytes[at..at + width].copy_from_slice(field);
        };
        let second = head + entry;
        let word = if wide { 8 } else { 4 };
        put(if wide { 32 } else { 28 }, word, head as u64);
        put(if wide { 54 } else { 42 }, 2, entry as u64);
        put(if wide { 56 } else { 44 }, 2, 2);
        put(second, 4, 3);
        put(second + if wide { 8 } else { 4 }, word, (head + 2 * entry) as u64);
        put(second + if wide { 32 } else { 16 }, word, name.len() as u64);
        bytes[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 1 + u8::from(wide), 1 + u8::from(big)]);
        [&bytes, name].concat()
    }

    #[test]
    fn elf_files_of_every_form() {
        let expected = Some(Interpreter::Elf(b"/lib/ld.so".to_vec()));
        for (wide, big) in [(true, false), (true, true), (false, false), (false, true)] {
            assert_eq!(of(&elf(wide, big, b"/lib/ld.so\0")), expected);
        }
        assert_eq!(of(&elf(true, false, b"\0\0")), None);
        let this = std::fs::read("/proc/self/exe").unwrap();
        assert!(matches!(of(&this), Some(Interpreter::Elf(name)) if name.starts_with(b"/lib")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_fine(bytes: Vec<u8>, wide: bool, at in 0..200usize, byte: u8) {
            let _ = of(&bytes);
            let mut damaged = elf(wide, false, b"/lib/ld.so\0");
            if let Some(place) = damaged.get_mut(at) {
                *place = byte;
            }
            let _ = of(&damaged);
        }
    }
}
