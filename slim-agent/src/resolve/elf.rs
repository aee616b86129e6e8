//! What an ELF file names that must be there for it to run (elf(5), ld.so(8)): its dynamic linker and its shared
//! libraries. Pure but for the reads it asks for; bounded, and no bytes make it fail.

use anyhow::Result;

/// As much of a file as holds its header.
pub(super) const HEAD: usize = 64;
/// The kernel refuses larger program header tables; more dynamic entries than fit make no sense either.
const MAX_TABLE: usize = 64 * 1024;
/// As many libraries as a file may need.
const MAX_NEEDED: usize = 1024;
/// PATH_MAX: longer names lead nowhere.
const MAX_NAME: usize = 4096;

const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const PT_INTERP: u64 = 3;

const ET_EXEC: u64 = 2;

const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;
const DT_FLAGS_1: u64 = 0x6fff_fffb;
/// Libraries that are asked for symbols besides the one that names them.
const DT_AUXILIARY: u64 = 0x7fff_fffd;
const DT_FILTER: u64 = 0x7fff_ffff;

const DF_1_NODEFLIB: u64 = 0x800;
const DF_1_PIE: u64 = 0x0800_0000;

/// What must be alike in files that are linked together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Form {
    /// 64 bits, not 32.
    pub wide: bool,
    /// Byte order.
    pub big_endian: bool,
    /// `e_machine`: 62 is x86-64, 183 is aarch64.
    pub machine: u16,
}

/// What a file names for the dynamic linker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linking {
    /// What it can be linked with.
    pub form: Form,
    /// The dynamic linker, for programs.
    pub interpreter: Option<Vec<u8>>,
    /// Names of shared libraries, in order; those with a slash are paths.
    pub needed: Vec<Vec<u8>>,
    /// Where to look for them first, and for what they need in turn: `DT_RPATH`, parted by colons, not expanded.
    pub rpath: Vec<u8>,
    /// Where to look for them after the environment's directories: `DT_RUNPATH`. It makes `rpath` void.
    pub runpath: Vec<u8>,
    /// Whether they may also be in the system's directories.
    pub in_system: bool,
    /// A program that needs no dynamic linker.
    pub is_static_program: bool,
}

/// Reads what an ELF file names; `None` for any other file. `read(offset, len)` gives up to `len` bytes of it, fewer
/// at its end.
///
/// # Errors
/// Those of `read`.
pub fn linking(mut read: impl FnMut(u64, usize) -> Result<Vec<u8>>) -> Result<Option<Linking>> {
    let head = read(0, HEAD)?;
    let Some(table) = Table::find(&head) else { return Ok(None) };
    let segments = table.segments(&mut read)?;
    let mut linking = Linking {
        form: table.form,
        interpreter: table.interpreter(&segments, &mut read)?,
        needed: Vec::new(),
        rpath: Vec::new(),
        runpath: Vec::new(),
        in_system: true,
        is_static_program: false,
    };
    let dynamic = match segments.iter().find(|segment| segment.kind == PT_DYNAMIC) {
        Some(dynamic) => read(dynamic.offset, dynamic.len.min(MAX_TABLE))?,
        None => Vec::new(),
    };
    let entries = table.dynamic(&dynamic);
    let flags = entries.iter().find(|(tag, _)| *tag == DT_FLAGS_1).map_or(0, |(_, flags)| *flags);
    linking.in_system = flags & DF_1_NODEFLIB == 0;
    let is_program = table.kind == ET_EXEC || flags & DF_1_PIE != 0;
    linking.is_static_program = is_program && linking.interpreter.is_none();
    let strings = entries.iter().find(|(tag, _)| *tag == DT_STRTAB);
    let Some(strings) = strings.and_then(|(_, address)| in_file(&segments, *address)) else {
        return Ok(Some(linking));
    };
    for (tag, value) in entries {
        if ![DT_NEEDED, DT_AUXILIARY, DT_FILTER, DT_RPATH, DT_RUNPATH].contains(&tag) {
            continue;
        }
        let Some(at) = strings.checked_add(value) else { continue };
        let Some(text) = terminated(read(at, MAX_NAME)?) else { continue };
        match tag {
            DT_RPATH => linking.rpath = text,
            DT_RUNPATH => linking.runpath = text,
            _ if linking.needed.len() < MAX_NEEDED => linking.needed.push(text),
            _ => {}
        }
    }
    Ok(Some(linking))
}

/// The dynamic linker that an ELF file names, given the `head` of it.
pub(super) fn interpreter(
    head: &[u8],
    mut read: impl FnMut(u64, usize) -> Result<Vec<u8>>,
) -> Result<Option<Vec<u8>>> {
    let Some(table) = Table::find(head) else { return Ok(None) };
    let segments = table.segments(&mut read)?;
    table.interpreter(&segments, &mut read)
}

/// Where an ELF file's program headers are, and in which form.
struct Table {
    form: Form,
    /// `e_type`.
    kind: u64,
    offset: u64,
    entry: usize,
    count: usize,
}

/// A program header.
struct Segment {
    kind: u64,
    offset: u64,
    address: u64,
    len: usize,
}

impl Table {
    fn find(head: &[u8]) -> Option<Self> {
        let ident = head.strip_prefix(b"\x7fELF")?;
        let wide = match ident.first()? {
            1 => false,
            2 => true,
            _ => return None,
        };
        let form = Form { wide, big_endian: *ident.get(1)? == 2, machine: 0 };
        let entry = if wide { 56 } else { 32 };
        let mut table = Self { form, kind: 0, offset: 0, entry, count: 0 };
        table.kind = table.number(head, 16, 2)?;
        table.form.machine = u16::try_from(table.number(head, 18, 2)?).ok()?;
        table.offset = table.word(head, 32, 28)?;
        let (size_at, count_at) = if wide { (54, 56) } else { (42, 44) };
        table.count = usize::try_from(table.number(head, count_at, 2)?).ok()?;
        let right_size = table.number(head, size_at, 2)? == u64::try_from(entry).ok()?;
        (right_size && table.count > 0 && table.count * entry <= MAX_TABLE).then_some(table)
    }

    fn segments(&self, read: &mut impl FnMut(u64, usize) -> Result<Vec<u8>>) -> Result<Vec<Segment>> {
        let headers = read(self.offset, self.entry * self.count)?;
        Ok(headers.chunks_exact(self.entry).filter_map(|raw| self.segment(raw)).collect())
    }

    fn segment(&self, raw: &[u8]) -> Option<Segment> {
        Some(Segment {
            kind: self.number(raw, 0, 4)?,
            offset: self.word(raw, 8, 4)?,
            address: self.word(raw, 16, 8)?,
            len: usize::try_from(self.word(raw, 32, 16)?).ok()?,
        })
    }

    fn interpreter(
        &self,
        segments: &[Segment],
        read: &mut impl FnMut(u64, usize) -> Result<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>> {
        let is_name = |segment: &&Segment| segment.kind == PT_INTERP && (2..=MAX_NAME).contains(&segment.len);
        let Some(segment) = segments.iter().find(is_name) else { return Ok(None) };
        let mut name = read(segment.offset, segment.len)?;
        let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
        name.truncate(end);
        Ok((!name.is_empty()).then_some(name))
    }

    /// Tags and values up to the end mark.
    fn dynamic(&self, raw: &[u8]) -> Vec<(u64, u64)> {
        let entry = if self.form.wide { 16 } else { 8 };
        let pairs = raw.chunks_exact(entry).map_while(|raw| {
            let pair = (self.word(raw, 0, 0)?, self.word(raw, 8, 4)?);
            (pair.0 != DT_NULL).then_some(pair)
        });
        pairs.collect()
    }

    /// A field as wide as an address, which stands at one place in 64-bit files and at another in 32-bit ones.
    fn word(&self, bytes: &[u8], wide_at: usize, narrow_at: usize) -> Option<u64> {
        if self.form.wide { self.number(bytes, wide_at, 8) } else { self.number(bytes, narrow_at, 4) }
    }

    fn number(&self, bytes: &[u8], at: usize, width: usize) -> Option<u64> {
        let field = bytes.get(at..at + width)?;
        let shift = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        let big_endian = self.form.big_endian;
        Some(if big_endian { field.iter().fold(0, shift) } else { field.iter().rev().fold(0, shift) })
    }
}

/// The offset of what is loaded at `address`.
fn in_file(segments: &[Segment], address: u64) -> Option<u64> {
    let loaded = segments.iter().filter(|segment| segment.kind == PT_LOAD);
    loaded.into_iter().find_map(|segment| {
        let inside = address.checked_sub(segment.address)?;
        (usize::try_from(inside).ok()? < segment.len).then(|| segment.offset.checked_add(inside)).flatten()
    })
}

fn terminated(mut text: Vec<u8>) -> Option<Vec<u8>> {
    let end = text.iter().position(|&byte| byte == 0)?;
    text.truncate(end);
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
pub(crate) mod testing {
    //! ELF files made to measure.

    /// An ELF file of either class and byte order: its interpreter, and its dynamic entries with strings.
    pub(crate) struct Elf<'a> {
        pub wide: bool,
        pub big: bool,
        pub interpreter: Option<&'a str>,
        pub dynamic: &'a [(u64, &'a str)],
    }

    impl Elf<'_> {
        /// The file: header, three program headers, the interpreter's name, strings, dynamic entries.
        pub fn bytes(&self) -> Vec<u8> {
            let (head, entry, word) = if self.wide { (64, 56, 8) } else { (52, 32, 4) };
            let mut bytes = vec![0; head + 3 * entry];
            let name = self.interpreter.map(|name| [name.as_bytes(), b"\0"].concat()).unwrap_or_default();
            let name_at = bytes.len();
            bytes.extend(&name);
            let strings_at = bytes.len();
            bytes.push(0);
            let mut pairs = vec![(super::DT_STRTAB, strings_at)];
            for (tag, text) in self.dynamic {
                pairs.push((*tag, bytes.len() - strings_at));
                bytes.extend(text.as_bytes());
                bytes.push(0);
            }
            let dynamic_at = bytes.len();
            for (tag, value) in pairs {
                self.put(&mut bytes, dynamic_at, word, tag);
                let at = bytes.len();
                self.put(&mut bytes, at, word, value as u64);
            }
            let end = bytes.len();
            bytes[..6].copy_from_slice(&[
                0x7f,
                b'E',
                b'L',
                b'F',
                1 + u8::from(self.wide),
                1 + u8::from(self.big),
            ]);
            let (kind_at, count_at) = if self.wide { (54, 56) } else { (42, 44) };
            for (at, width, value) in [
                (16, 2, 3),
                (18, 2, 62),
                (if self.wide { 32 } else { 28 }, word, head as u64),
                (kind_at, 2, entry as u64),
                (count_at, 2, 3),
            ] {
                self.set(&mut bytes, at, width, value);
            }
            for (nth, kind, from, to) in
                [(0, 1, 0, end), (1, 3, name_at, name_at + name.len()), (2, 2, dynamic_at, end)]
            {
                let at = head + nth * entry;
                let (offset, address, len) = if self.wide { (8, 16, 32) } else { (4, 8, 16) };
                self.set(&mut bytes, at, 4, kind);
                self.set(&mut bytes, at + offset, word, from as u64);
                self.set(&mut bytes, at + address, word, from as u64);
                self.set(&mut bytes, at + len, word, (to - from) as u64);
            }
            bytes
        }

        fn put(&self, bytes: &mut Vec<u8>, from: usize, width: usize, value: u64) {
            let at = bytes.len().max(from);
            bytes.resize(at + width, 0);
            self.set(bytes, at, width, value);
        }

        fn set(&self, bytes: &mut [u8], at: usize, width: usize, value: u64) {
            let all = if self.big { value.to_be_bytes() } else { value.to_le_bytes() };
            let field = if self.big { &all[8 - width..] } else { &all[..width] };
            bytes[at..at + width].copy_from_slice(field);
        }
    }

    /// A reader of `bytes`.
    pub(crate) fn reader(bytes: &[u8]) -> impl FnMut(u64, usize) -> anyhow::Result<Vec<u8>> + '_ {
        |offset, len| {
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            Ok(bytes[from..bytes.len().min(from.saturating_add(len))].to_vec())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{Elf, reader};
    use super::*;
    use proptest::prelude::*;

    const DYNAMIC: [(u64, &str); 5] = [
        (DT_NEEDED, "liba.so.1"),
        (14, "me.so"),
        (DT_NEEDED, "./b.so"),
        (DT_RPATH, "/r"),
        (DT_RUNPATH, "$ORIGIN/x:/y"),
    ];

    #[test]
    fn names_of_either_class_and_byte_order() {
        for (wide, big) in [(true, false), (true, true), (false, false), (false, true)] {
            let bytes = Elf { wide, big, interpreter: Some("/lib/ld.so"), dynamic: &DYNAMIC }.bytes();
            let found = linking(reader(&bytes)).unwrap().unwrap();
            assert_eq!(found.form, Form { wide, big_endian: big, machine: 62 });
            assert_eq!(found.interpreter.as_deref(), Some(&b"/lib/ld.so"[..]));
            assert_eq!(found.needed, [&b"liba.so.1"[..], b"./b.so"]);
            assert_eq!((&found.rpath[..], &found.runpath[..]), (&b"/r"[..], &b"$ORIGIN/x:/y"[..]));
            assert!(found.in_system && !found.is_static_program);
        }
    }

    #[test]
    fn a_real_program() {
        let bytes = std::fs::read("/proc/self/exe").unwrap();
        let found = linking(reader(&bytes)).unwrap().unwrap();
        assert!(found.needed.contains(&b"libc.so.6".to_vec()), "{found:?}");
        assert!(linking(reader(b"#!/bin/sh\n")).unwrap().is_none());
    }

    #[test]
    fn a_program_without_a_loader_is_static() {
        let mut program = Elf { wide: true, big: false, interpreter: None, dynamic: &[] }.bytes();
        assert!(!linking(reader(&program)).unwrap().unwrap().is_static_program, "a library");
        program[16] = 2;
        assert!(linking(reader(&program)).unwrap().unwrap().is_static_program);
    }

    proptest! {
        #[test]
        fn any_bytes_are_fine(bytes: Vec<u8>, wide: bool, big: bool, damage: Vec<(usize, u8)>) {
            let _ = linking(reader(&bytes));
            let mut damaged = Elf { wide, big, interpreter: Some("/lib/ld.so"), dynamic: &DYNAMIC }.bytes();
            for (at, byte) in damage {
                let at = at % damaged.len();
                damaged[at] = byte;
            }
            let _ = linking(reader(&damaged));
        }
    }
}
