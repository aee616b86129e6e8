//! Images at random, of everything that a layer can hold, put into the engine as an archive.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use crate::command::output;
use crate::docker::Tag;

/// A layer: what it has in its root.
pub type Layer = BTreeMap<OsString, Node>;

/// What a layer has under a name.
#[derive(Debug, Clone)]
pub enum Node {
    /// A directory: whether it hides what lower layers have in it, and what is in it.
    Directory(Metadata, bool, Layer),
    /// Anything else.
    Leaf(Metadata, Leaf),
    /// Nothing, whatever lower layers have.
    Whiteout,
}

/// What is no directory.
#[derive(Debug, Clone)]
pub enum Leaf {
    /// A regular file.
    File(Vec<u8>),
    /// Another name of an earlier file of the layer, if there is one.
    HardLink(usize),
    /// A symbolic link.
    Symlink(Vec<u8>),
    /// A device: its type and numbers.
    Device(EntryType, u32, u32),
    /// A named pipe.
    Fifo,
}

/// What belongs to any entry.
#[derive(Debug, Clone)]
pub struct Metadata {
    mode: u32,
    owner: (u32, u32),
    /// PAX spelling.
    mtime: String,
    /// Which of [`XATTRS`] it has; the number after the last is the [`access_list`].
    xattrs: Vec<usize>,
}

/// Extended attributes that any kernel takes: plain ones, and a capability (`VFS_CAP_REVISION_2`, CAP_NET_RAW).
const XATTRS: [(&str, &[u8]); 3] = [
    ("user.plain", b"some text"),
    ("user.bytes", b"\0=\xff "),
    ("security.capability", b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
];

/// An access control list that lets user 1000 read: the kernel keeps it and the mode in step.
fn access_list(mode: u32) -> Vec<u8> {
    let bits = |shift: u32| u16::try_from(mode >> shift & 7).unwrap_or_default();
    let entries = [
        (1, bits(6), u32::MAX),
        (2, 4, 1000),
        (4, 4, u32::MAX),
        (16, bits(3), u32::MAX),
        (32, bits(0), u32::MAX),
    ];
    let mut list = vec![2, 0, 0, 0];
    for (tag, permissions, id) in entries {
        list.extend(u16::to_le_bytes(tag));
        list.extend(permissions.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    list
}

/// Two or three layers.
pub fn layers() -> impl Strategy<Value = Vec<Layer>> {
    let leaf = (metadata(), leaf()).prop_map(|(metadata, leaf)| Node::Leaf(metadata, leaf));
    let node = leaf.prop_recursive(3, 40, 8, |inner| {
        prop_oneof![
            1 => Just(Node::Whiteout),
            4 => inner.clone(),
            4 => (metadata(), prop::bool::weighted(0.2), layer(inner))
                .prop_map(|(metadata, opaque, children)| Node::Directory(metadata, opaque, children)),
        ]
    });
    prop::collection::vec(layer(node), 2..4)
}

/// Few names, so that layers meet: some are not UTF-8, fit into no header, or need one more than fits.
fn layer(node: impl Strategy<Value = Node>) -> impl Strategy<Value = Layer> {
    let names: Vec<OsString> = [&b"a"[..], b"b b", b"c\\\xff", b"d", &[b'n'; 101], &[b'x'; 255]]
        .map(|name| OsString::from_vec(name.to_vec()))
        .into();
    prop::collection::btree_map(prop::sample::select(names), node, 2..6)
}

fn leaf() -> impl Strategy<Value = Leaf> {
    let targets: Vec<Vec<u8>> = vec![
        b"/a/d".to_vec(),
        b"./a//../b b/".to_vec(),
        b"nowhere\xff".to_vec(),
        b"d".to_vec(),
        vec![b't'; 300],
    ];
    prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..1500).prop_map(Leaf::File),
        1 => (0..300_000usize).prop_map(|zeros| Leaf::File(vec![0; zeros])),
        2 => (0..10usize).prop_map(Leaf::HardLink),
        3 => prop::sample::select(targets).prop_map(Leaf::Symlink),
        1 => Just(Leaf::Device(EntryType::Char, 1, 3)),
        1 => (1..300u32, 0..70_000u32).prop_map(|(major, minor)| Leaf::Device(EntryType::Block, major, minor)),
        1 => Just(Leaf::Fifo),
    ]
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let id = prop_oneof![Just(0), 1..2000u32, 2_097_152..4_000_000_000u32];
    let mtime =
        prop_oneof!["[1-9][0-9]{0,8}", "[1-9][0-9]{0,8}\\.[0-9]{0,8}[1-9]", "-[1-9][0-9]{0,4}(\\.5)?"];
    let xattrs = prop::sample::subsequence((0..=XATTRS.len()).collect::<Vec<_>>(), 0..3);
    (0..0o10000u32, (id.clone(), id), mtime, xattrs).prop_map(|(mode, owner, mtime, xattrs)| Metadata {
        mode,
        owner,
        mtime,
        xattrs,
    })
}

/// The config of every such image: all that the specification names, and what it does not.
fn config(digests: &[String]) -> Value {
    json!({
        "architecture": "amd64", "os": "linux", "created": "2001-02-03T04:05:06.000000007Z", "author": "nobody",
        "x-unknown": [1, {"two": null}],
        "config": {
            "User": "1000:2000", "ExposedPorts": {"80/tcp": {}}, "Env": ["A=1", "PATH=/a"], "Entrypoint": ["/a/d"],
            "Cmd": ["x", ""], "Volumes": {"/v": {}}, "WorkingDir": "/d", "Labels": {"l": "\u{e9}\n"},
            "StopSignal": "SIGQUIT", "Shell": ["/d", "-c"], "OnBuild": ["RUN x"],
            "Healthcheck": {"Test": ["CMD", "/d"], "Interval": 3_000_000_000u64, "Retries": 4},
        },
        "history": digests.iter().map(|_| json!({"created_by": "test"})).collect::<Vec<_>>(),
        "rootfs": {"type": "layers", "diff_ids": digests},
    })
}

/// Loads an image of these layers into the engine.
pub fn load(layers: &[Layer]) -> Result<Tag> {
    let tag = Tag::new("random");
    let tars = layers.iter().map(layer_tar).collect::<Result<Vec<_>>>()?;
    let digests: Vec<_> = tars.iter().map(|tar| format!("sha256:{}", hex(tar))).collect();
    let config = config(&digests).to_string();
    let names: Vec<_> = (0..tars.len()).map(|number| format!("{number}.tar")).collect();
    let manifest = json!([{"Config": "config.json", "RepoTags": [tag.name()], "Layers": names}]).to_string();
    let mut archive = Builder::new(tempfile::NamedTempFile::new()?);
    let mut add = |name: &str, content: &[u8]| append(&mut archive, empty_header(), name.as_bytes(), content);
    names.iter().zip(&tars).try_for_each(|(name, tar)| add(name, tar))?;
    add("config.json", config.as_bytes())?;
    add("manifest.json", manifest.as_bytes())?;
    let archive = archive.into_inner()?;
    let mut load = std::process::Command::new("docker");
    output(load.args(["load", "--quiet", "--input"]).arg(archive.path()))
        .context("the engine does not take it")?;
    Ok(tag)
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A layer's archive being written.
struct Writer {
    archive: Builder<Vec<u8>>,
    files: Vec<(PathBuf, Metadata)>,
}

fn layer_tar(layer: &Layer) -> Result<Vec<u8>> {
    let mut writer = Writer { archive: Builder::new(Vec::new()), files: Vec::new() };
    writer.all(Path::new(""), layer)?;
    Ok(writer.archive.into_inner()?)
}

impl Writer {
    fn all(&mut self, directory: &Path, layer: &Layer) -> Result<()> {
        for (name, node) in layer {
            let path = directory.join(name);
            match node {
                Node::Directory(metadata, opaque, children) => {
                    self.entry(&path, metadata, EntryType::Directory, b"", b"", (0, 0))?;
                    if *opaque {
                        self.marker(&path.join(".wh..wh..opq"))?;
                    }
                    self.all(&path, children)?;
                }
                Node::Leaf(metadata, leaf) => self.leaf(&path, metadata, leaf)?,
                Node::Whiteout => {
                    let name = [b".wh.", name.as_bytes()].concat();
                    // Names that would be too long with their prefix cannot be hidden.
                    if name.len() <= 255 {
                        self.marker(&directory.join(OsStr::from_bytes(&name)))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn leaf(&mut self, path: &Path, metadata: &Metadata, leaf: &Leaf) -> Result<()> {
        let plain = Metadata { xattrs: Vec::new(), ..metadata.clone() };
        let link = Metadata { mode: 0o777, ..plain.clone() };
        match leaf {
            Leaf::HardLink(number) if !self.files.is_empty() => {
                // Engines give the file what they read last of it: archives say the same of all its names.
                let (target, metadata) = self.files[number % self.files.len()].clone();
                self.entry(path, &metadata, EntryType::Link, target.as_os_str().as_bytes(), b"", (0, 0))
            }
            Leaf::File(_) | Leaf::HardLink(_) => {
                self.files.push((path.to_owned(), metadata.clone()));
                let content = if let Leaf::File(content) = leaf { &content[..] } else { b"" };
                self.entry(path, metadata, EntryType::Regular, b"", content, (0, 0))
            }
            Leaf::Symlink(target) => self.entry(path, &link, EntryType::Symlink, target, b"", (0, 0)),
            Leaf::Device(kind, major, minor) => self.entry(path, &plain, *kind, b"", b"", (*major, *minor)),
            Leaf::Fifo => self.entry(path, &plain, EntryType::Fifo, b"", b"", (0, 0)),
        }
    }

    fn entry(
        &mut self,
        path: &Path,
        metadata: &Metadata,
        kind: EntryType,
        target: &[u8],
        content: &[u8],
        device: (u32, u32),
    ) -> Result<()> {
        let xattr = |&number: &usize| match XATTRS.get(number) {
            Some(&(name, value)) => (format!("SCHILY.xattr.{name}"), value.to_vec()),
            None => ("SCHILY.xattr.system.posix_acl_access".to_owned(), access_list(metadata.mode)),
        };
        let xattrs: Vec<_> = metadata.xattrs.iter().map(xattr).collect();
        let mtime = std::iter::once(("mtime", metadata.mtime.as_bytes()));
        let records = mtime.chain(xattrs.iter().map(|(name, value)| (name.as_str(), &value[..])));
        self.archive.append_pax_extensions(records)?;
        let mut header = empty_header();
        header.set_entry_type(kind);
        header.set_mode(metadata.mode);
        header.set_uid(metadata.owner.0.into());
        header.set_gid(metadata.owner.1.into());
        header.set_device_major(device.0)?;
        header.set_device_minor(device.1)?;
        if !target.is_empty() {
            self.long(EntryType::GNULongLink, target)?;
        }
        append(&mut self.archive, header, path.as_os_str().as_bytes(), content)
    }

    fn marker(&mut self, path: &Path) -> Result<()> {
        append(&mut self.archive, empty_header(), path.as_os_str().as_bytes(), b"")
    }

    fn long(&mut self, kind: EntryType, name: &[u8]) -> Result<()> {
        long(&mut self.archive, kind, name)
    }
}

fn empty_header() -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// A name of any bytes and any length, before the header that it belongs to.
fn long<W: Write>(archive: &mut Builder<W>, kind: EntryType, name: &[u8]) -> Result<()> {
    let mut header = empty_header();
    header.set_entry_type(kind);
    header.set_size(name.len() as u64 + 1);
    header.set_cksum();
    Ok(archive.append(&header, &[name, b"\0"].concat()[..])?)
}

fn append<W: Write>(archive: &mut Builder<W>, mut header: Header, name: &[u8], content: &[u8]) -> Result<()> {
    long(archive, EntryType::GNULongName, name)?;
    header.set_size(content.len() as u64);
    header.set_cksum();
    Ok(archive.append(&header, content)?)
}
