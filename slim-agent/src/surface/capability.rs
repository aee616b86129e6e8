//! File capabilities: the extended attribute `security.capability`, as the kernel reads it (capabilities(7),
//! `struct vfs_cap_data` in include/uapi/linux/capability.h). Pure; no bytes make it fail.

use std::fmt;

use crate::capability;

/// The attribute's name.
pub const XATTR: &[u8] = b"security.capability";

/// The bits of the first word that tell the version, and the one that makes the set effective.
const REVISION: u32 = 0xff00_0000;
const EFFECTIVE: u32 = 1;

/// What a file's capabilities are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileCapabilities {
    /// What whoever runs it gets.
    pub permitted: u64,
    /// What whoever runs it keeps if they have it.
    pub inheritable: u64,
    /// Whether the program has the permitted ones at once, without asking for them.
    pub effective: bool,
    /// The user of the host who is root of the namespace that they hold in; none: they hold in any.
    pub root: Option<u32>,
}

impl FileCapabilities {
    /// Reads the attribute's value; none when it is not what the kernel takes: version 1, 2 or 3, of exactly that
    /// version's length.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let word = |at: usize| {
            let bytes = value.get(4 * at..4 * at + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        let magic = word(0)?;
        let (words, has_root) = match (magic & REVISION, value.len()) {
            (0x0100_0000, 12) => (1, false),
            (0x0200_0000, 20) => (2, false),
            (0x0300_0000, 24) => (2, true),
            _ => return None,
        };
        let set = |first: usize| {
            let high = if words == 2 { word(first + 2)? } else { 0 };
            Some(u64::from(word(first)?) | u64::from(high) << 32)
        };
        Some(Self {
            permitted: set(1)?,
            inheritable: set(2)?,
            effective: magic & EFFECTIVE != 0,
            root: if has_root { Some(word(5)?) } else { None },
        })
    }
}

/// As setcap(8) spells it: `cap_net_raw,cap_net_admin=ep`, the permitted ones and the inheritable ones in turn.
impl fmt::Display for FileCapabilities {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effective = if self.effective { "e" } else { "" };
        let both = self.permitted & self.inheritable;
        let mut parts = Vec::new();
        for (set, flags) in [(both, "ip"), (self.permitted & !both, "p"), (self.inheritable & !both, "i")] {
            if set != 0 {
                parts.push(format!("{}={effective}{flags}", names(set).join(",")));
            }
        }
        let root = self.root.map(|root| format!(" [rootid={root}]")).unwrap_or_default();
        let text = if parts.is_empty() { "=".to_owned() } else { parts.join(" ") };
        write!(out, "{text}{root}")
    }
}

/// The names of the capabilities in a set, in small letters; `cap_N` for what has none.
fn names(set: u64) -> Vec<String> {
    let bits = (0..u64::BITS).filter(|bit| set >> bit & 1 == 1);
    bits.map(|bit| capability::name(bit).to_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn text(words: &[u32]) -> Option<String> {
        FileCapabilities::parse(&value(words)).map(|found| found.to_string())
    }

    #[test]
    fn every_version_is_read() {
        let net_raw = 1 << 13;
        assert_eq!(text(&[0x0100_0001, net_raw, 0]).unwrap(), "cap_net_raw=ep");
        assert_eq!(text(&[0x0200_0001, net_raw | 1, 0, 0, 0]).unwrap(), "cap_chown,cap_net_raw=ep");
        assert_eq!(text(&[0x0300_0000, 0, net_raw, 1 << 7, 0, 1000]).unwrap(), {
            "cap_bpf=p cap_net_raw=i [rootid=1000]"
        });
        assert_eq!(text(&[0x0200_0000, 1, 1, 1 << 31, 0]).unwrap(), "cap_chown=ip cap_63=p");
        assert_eq!(text(&[0x0200_0000, 0, 0, 0, 0]).unwrap(), "=");
    }

    #[test]
    fn what_the_kernel_refuses_is_none() {
        for words in [&[0x0100_0000, 1, 1, 1, 1][..], &[0x0200_0000, 1, 1], &[0x0400_0000, 1, 1, 1, 1], &[]] {
            assert_eq!(text(words), None, "{words:x?}");
        }
        assert_eq!(FileCapabilities::parse(&value(&[0x0200_0000, 1, 1, 1, 1])[..19]), None);
    }

    proptest! {
        #[test]
        fn no_value_is_fatal(value in proptest::collection::vec(any::<u8>(), 0..32)) {
            if let Some(found) = FileCapabilities::parse(&value) {
                prop_assert!(!found.to_string().is_empty());
            }
        }

        #[test]
        fn what_is_written_is_read(permitted: u64, inheritable: u64, effective: bool, root: Option<u32>) {
            let (low, high) = (|set: u64| set as u32, |set: u64| (set >> 32) as u32);
            let version = if root.is_some() { 0x0300_0000 } else { 0x0200_0000 };
            let mut words = vec![version | u32::from(effective)];
            words.extend([low(permitted), low(inheritable), high(permitted), high(inheritable)]);
            words.extend(root);
            let expected = FileCapabilities { permitted, inheritable, effective, root };
            prop_assert_eq!(FileCapabilities::parse(&value(&words)), Some(expected));
        }
    }
}
