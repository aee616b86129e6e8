//! Offsets of structure members in the running kernel, from its BPF Type Format
//! (Documentation/bpf/btf.rst). Rust has no CO-RE, and aya does not publish members.
//!
//! Pure: bytes in, offsets out. Hostile bytes give an error, never a panic.

use std::collections::HashMap;

use anyhow::{Context, Result, anyhow, bail};

const MAGIC: u16 = 0xeb9f;
const HEADER: usize = 24;
/// Anonymous members and typedefs inside each other: a bound for malformed input.
const MAX_DEPTH: usize = 16;

/// Kinds of types (enum BTF_KIND_*, include/uapi/linux/btf.h).
mod kind {
    pub const INT: u32 = 1;
    pub const ARRAY: u32 = 3;
    pub const STRUCT: u32 = 4;
    pub const UNION: u32 = 5;
    pub const ENUM: u32 = 6;
    pub const TYPEDEF: u32 = 8;
    pub const VOLATILE: u32 = 9;
    pub const CONST: u32 = 10;
    pub const RESTRICT: u32 = 11;
    pub const FUNC: u32 = 12;
    pub const FUNC_PROTO: u32 = 13;
    pub const VAR: u32 = 14;
    pub const DATASEC: u32 = 15;
    pub const DECL_TAG: u32 = 17;
    pub const TYPE_TAG: u32 = 18;
    pub const ENUM64: u32 = 19;
}

/// The type information of a kernel.
pub struct Btf {
    bytes: Vec<u8>,
    strings: usize,
    strings_end: usize,
    /// Where each type begins in `bytes`; type 0 is void.
    types: Vec<usize>,
    structs: HashMap<Vec<u8>, u32>,
    functions: HashMap<Vec<u8>, u32>,
}

#[derive(Clone, Copy)]
struct Type {
    at: usize,
    name: u32,
    info: u32,
    size_or_type: u32,
}

impl Type {
    fn kind(self) -> u32 {
        self.info >> 24 & 0x1f
    }

    fn vlen(self) -> usize {
        (self.info & 0xffff) as usize
    }
}

struct Member {
    name: u32,
    type_id: u32,
    bits: u32,
}

impl Btf {
    /// Reads the running kernel's types from /sys/kernel/btf/vmlinux.
    ///
    /// # Errors
    /// The file is missing (CONFIG_DEBUG_INFO_BTF is off) or malformed.
    pub fn of_running_kernel() -> Result<Self> {
        let path = "/sys/kernel/btf/vmlinux";
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {path}"))?;
        Self::parse(bytes).with_context(|| format!("{path} is malformed"))
    }

    /// Parses type information in this machine's byte order.
    ///
    /// # Errors
    /// It is cut off, or has another magic number or an unknown kind of type.
    pub fn parse(bytes: Vec<u8>) -> Result<Self> {
        let word = |at| u32_at(&bytes, at);
        if word(0)? & 0xffff != u32::from(MAGIC) {
            bail!("no BTF magic number");
        }
        let header = word(4)? as usize;
        if header < HEADER {
            bail!("header of {header} bytes is too short");
        }
        let section = |at| -> Result<(usize, usize)> {
            let start = header.saturating_add(word(at)? as usize);
            let end = start.saturating_add(word(at + 4)? as usize);
            if end > bytes.len() {
                Err(anyhow!("cut off: {end} of {} bytes", bytes.len()))
            } else {
                Ok((start, end))
            }
        };
        let (start, end) = section(8)?;
        let (strings, strings_end) = section(16)?;
        let mut btf = Self {
            strings,
            strings_end,
            types: vec![0],
            structs: HashMap::new(),
            functions: HashMap::new(),
            bytes,
        };
        btf.index(start, end)?;
        Ok(btf)
    }

    fn index(&mut self, mut at: usize, end: usize) -> Result<()> {
        while at < end {
            let this = self.type_at(at)?;
            let id = u32::try_from(self.types.len()).context("too many types")?;
            self.types.push(at);
            let name = self.string(this.name).to_vec();
            match this.kind() {
                kind::STRUCT if !name.is_empty() && this.vlen() > 0 => {
                    self.structs.entry(name).or_insert(id);
                }
                kind::TYPEDEF if name.starts_with(b"btf_trace_") => {
                    self.functions.insert(name, id);
                }
                // Functions that programs can call are among these.
                kind::FUNC if name.starts_with(b"bpf_") => {
                    self.functions.insert(name, id);
                }
                _ => {}
            }
            at += 12 + trailer(this)?;
        }
        Ok(())
    }

    /// Byte offset of a member: `offset("dentry", "d_name.name")`. Members of anonymous structs and unions are
    /// found as C finds them.
    ///
    /// # Errors
    /// This kernel has no such struct or member, or the member is a bit field.
    pub fn offset(&self, structure: &str, path: &str) -> Result<u32> {
        let missing = || anyhow!("this kernel has no member {path} in struct {structure}");
        let mut id = *self.structs.get(structure.as_bytes()).ok_or_else(missing)?;
        let mut bits = 0u32;
        for name in path.split('.') {
            let (at, next) = self.member(id, name.as_bytes(), 0)?.ok_or_else(missing)?;
            bits = bits.saturating_add(at);
            id = next;
        }
        if bits.is_multiple_of(8) { Ok(bits / 8) } else { Err(anyhow!("{structure}.{path} is a bit field")) }
    }

    /// The first of several spellings of a member that this kernel has: names change between versions.
    ///
    /// # Errors
    /// It has none of them.
    pub fn offset_of_any(&self, structure: &str, paths: &[&str]) -> Result<u32> {
        let found = paths.iter().find_map(|path| self.offset(structure, path).ok());
        found.ok_or_else(|| {
            anyhow!("this kernel has none of the members {} in struct {structure}", paths.join(", "))
        })
    }

    /// Whether a `tp_btf` program can attach to this raw tracepoint.
    pub fn has_tracepoint(&self, name: &str) -> bool {
        self.functions.contains_key(format!("btf_trace_{name}").as_bytes())
    }

    /// Id of a structure's type.
    pub fn structure(&self, name: &str) -> Option<u32> {
        self.structs.get(name.as_bytes()).copied()
    }

    /// Id of one of the kernel's own functions whose names begin with `bpf_`.
    pub fn function(&self, name: &str) -> Option<u32> {
        self.functions.get(name.as_bytes()).copied()
    }

    fn member(&self, id: u32, name: &[u8], depth: usize) -> Result<Option<(u32, u32)>> {
        let this = self.resolve(id)?;
        if depth > MAX_DEPTH || !matches!(this.kind(), kind::STRUCT | kind::UNION) {
            return Ok(None);
        }
        for index in 0..this.vlen() {
            let member = self.member_at(this, index)?;
            let its_name = self.string(member.name);
            if its_name == name {
                return Ok(Some((member.bits, member.type_id)));
            }
            if its_name.is_empty()
                && let Some((bits, type_id)) = self.member(member.type_id, name, depth + 1)?
            {
                return Ok(Some((member.bits.saturating_add(bits), type_id)));
            }
        }
        Ok(None)
    }

    fn member_at(&self, this: Type, index: usize) -> Result<Member> {
        let at = this.at + 12 + index * 12;
        let offset = u32_at(&self.bytes, at + 8)?;
        // With kind_flag the upper byte is the size of a bit field.
        let bits = if this.info >> 31 == 1 { offset & 0x00ff_ffff } else { offset };
        Ok(Member { name: u32_at(&self.bytes, at)?, type_id: u32_at(&self.bytes, at + 4)?, bits })
    }

    /// Looks through typedefs and qualifiers.
    fn resolve(&self, mut id: u32) -> Result<Type> {
        for _ in 0..MAX_DEPTH {
            let at = self.types.get(id as usize).filter(|&&at| at != 0).context("type id out of range")?;
            let this = self.type_at(*at)?;
            match this.kind() {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    id = this.size_or_type;
                }
                _ => return Ok(this),
            }
        }
        bail!("type {id} never ends")
    }

    fn type_at(&self, at: usize) -> Result<Type> {
        let word = |at| u32_at(&self.bytes, at);
        Ok(Type { at, name: word(at)?, info: word(at + 4)?, size_or_type: word(at + 8)? })
    }

    fn string(&self, offset: u32) -> &[u8] {
        let strings = &self.bytes[self.strings..self.strings_end];
        let rest = strings.get(offset as usize..).unwrap_or_default();
        rest.split(|&b| b == 0).next().unwrap_or_default()
    }
}

/// Bytes behind the twelve that every type has.
fn trailer(this: Type) -> Result<usize> {
    let vlen = this.vlen();
    Ok(match this.kind() {
        kind::INT | kind::VAR | kind::DECL_TAG => 4,
        kind::ARRAY => 12,
        kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => 12 * vlen,
        kind::ENUM | kind::FUNC_PROTO => 8 * vlen,
        // Pointer, forward declaration, typedef, qualifiers, function, float, type tag.
        2 | 7..=12 | 16 | 18 => 0,
        unknown => bail!("type of unknown kind {unknown}: this kernel's BTF is newer than this program"),
    })
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    let word = at.checked_add(4).and_then(|end| bytes.get(at..end)).context("cut off")?;
    Ok(u32::from_ne_bytes(word.try_into().context("cut off")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// struct s { union { int a; int b; }; struct { int c; int d; } in; }
    fn sample() -> Vec<u8> {
        let strings = b"\0s\0a\0b\0c\0d\0in\0int\0";
        let info = |kind: u32, vlen: u32| kind << 24 | vlen;
        #[rustfmt::skip]
        let types: Vec<u32> = vec![
            14, info(kind::INT, 0), 4, 0x20,
            0, info(kind::UNION, 2), 4, 3, 1, 0, 5, 1, 0,
            0, info(kind::STRUCT, 2), 8, 7, 1, 0, 9, 1, 32,
            1, info(kind::STRUCT, 2), 12, 0, 2, 0, 11, 3, 32,
        ];
        let types: Vec<u8> = types.into_iter().flat_map(u32::to_ne_bytes).collect();
        let header =
            [u32::from(MAGIC) | 1 << 16, 24, 0, types.len() as u32, types.len() as u32, strings.len() as u32];
        let mut bytes: Vec<u8> = header.into_iter().flat_map(u32::to_ne_bytes).collect();
        bytes.extend(types);
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn members_are_found_through_anonymous_unions_and_nested_structs() {
        let btf = Btf::parse(sample()).unwrap();
        assert_eq!(btf.offset("s", "b").unwrap(), 0);
        assert_eq!(btf.offset("s", "in.d").unwrap(), 8);
        assert_eq!(btf.offset_of_any("s", &["gone", "in"]).unwrap(), 4);
        assert!(btf.offset("s", "x").unwrap_err().to_string().contains("no member x"));
    }

    proptest! {
        #[test]
        fn damaged_bytes_never_panic(at in 0usize..200, value: u8, cut in 0usize..200) {
            let mut bytes = sample();
            if let Some(byte) = bytes.get_mut(at) { *byte = value; }
            bytes.truncate(bytes.len().saturating_sub(cut));
            if let Ok(btf) = Btf::parse(bytes) {
                let _ = btf.offset("s", "in.d");
                let _ = btf.offset("s", "a");
            }
        }
    }
}
