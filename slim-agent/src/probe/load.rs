//! Loading the kernel programs' object, with what the running kernel decides filled in.

use std::borrow::Cow;
use std::fs;
use std::os::unix::fs::MetadataExt;

use anyhow::{Context, Result};
use aya::maps::Array;
use aya::{Ebpf, EbpfLoader};
use sha2::{Digest, Sha256};
use slim_common::call::Call;
use slim_common::config::Config;

use super::btf::Btf;
use super::cast::Cast;
use super::hooks::Hook;
use super::limits::Limits;
use super::{Purpose, Tier, calls, offsets, support};
use crate::exit::{Exit, tag};
use crate::syscall_table::Abi;

/// The object that the build script made.
pub(super) static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/slim-ebpf"));

/// The ABIs of this processor, in the order of `slim_common::scope::abi`.
#[cfg(target_arch = "x86_64")]
pub const ABIS: [Abi; 3] = [Abi::X86_64, Abi::I386, Abi::X32];
/// The ABIs of this processor, in the order of `slim_common::scope::abi`.
#[cfg(target_arch = "aarch64")]
pub const ABIS: [Abi; 2] = [Abi::Aarch64, Abi::Arm];

/// The running kernel's types, for us and for aya: each takes more than a tenth of a second to read, so that is done once.
pub struct Kernel {
    pub(super) btf: Btf,
    pub(super) types: aya::Btf,
}

impl Kernel {
    /// Reads them.
    ///
    /// # Errors
    /// The kernel does not tell its types: this host cannot record.
    pub fn read() -> Result<Self> {
        let btf = Btf::of_running_kernel().map_err(|error| tag(Exit::Host, format!("{error:#}")))?;
        let types = aya::Btf::from_sys_fs().context("cannot read the kernel's BTF")?;
        Ok(Self { btf, types })
    }
}

/// Loads the object for these hooks and fills in what the running kernel and the purpose decide.
pub fn load(kernel: &Kernel, hooks: &[Hook], limits: &Limits, purpose: Purpose) -> Result<Ebpf> {
    let btf = &kernel.btf;
    if let Some(hook) = hooks.iter().find(|hook| !btf.has_tracepoint(hook.tracepoint)) {
        let Hook { tracepoint, purpose, .. } = hook;
        return Err(tag(
            Exit::Host,
            format!("this kernel has no tracepoint {tracepoint}, needed for {purpose}"),
        ));
    }
    let cast = Cast::of(btf);
    let config = config(btf, cast, random_seed()?, purpose)?;
    // The kernel side's few messages are compiled in; below this level the verifier drops them.
    let log_level = if tracing::enabled!(tracing::Level::DEBUG) { aya_log::Level::Debug as u8 } else { 0 };
    let mut loader = EbpfLoader::new();
    loader.btf(Some(&kernel.types));
    loader.override_global("CONFIG", &config, true).override_global("AYA_LOG_LEVEL", &log_level, true);
    for (map, entries) in limits.maps() {
        loader.map_max_entries(map, entries);
    }
    let object = cast.map_or(Cow::Borrowed(OBJECT), |cast| Cow::Owned(cast.put_into(OBJECT)));
    let mut bpf = loader.load(&object).context("cannot load the kernel programs")?;
    let map = bpf.map_mut("CALLS").context("the object has no map CALLS")?;
    let mut table: Array<_, Call> = Array::try_from(map)?;
    for (index, call) in calls::table(&ABIS) {
        table.set(index, call, 0).context("cannot fill the table of calls")?;
    }
    Ok(bpf)
}

/// The programs' constants on this host.
fn config(btf: &Btf, cast: Option<Cast>, hash_seed: u64, purpose: Purpose) -> Result<Config> {
    let (root_device, root_inode) = host_root()?;
    let host = offsets::Host {
        root_device,
        root_inode,
        hash_seed,
        misses: purpose == Purpose::Watch,
        direct: support::kernel_version()? >= (5, 11),
        regs_helper: support::kernel_version()? >= (5, 15),
    };
    offsets::config(btf, &host, cast).map_err(|error| {
        tag(Exit::Host, format!("this kernel's structures are not as slim-agent knows them: {error:#}"))
    })
}

/// What makes the programs' constants out of the kernel's types.
const MAKERS: [&str; 4] =
    [include_str!("offsets.rs"), include_str!("btf.rs"), include_str!("cast.rs"), include_str!("load.rs")];

/// What tells programs that record from others: their instructions, what makes their constants, the table of calls, and
/// the limits. The kernel is the same, for nothing pinned outlives it; so its types, which take long to read, need not be.
/// The seed is left out, and the level of messages: they are of no consequence to who takes the records.
///
/// # Errors
/// The host's root cannot be looked at.
pub fn fingerprint(limits: &Limits, tier: Tier) -> Result<[u8; 32]> {
    let calls: Vec<_> = calls::table(&ABIS).into_iter().collect();
    let mut hash = Sha256::new();
    hash.update(OBJECT);
    MAKERS.iter().for_each(|source| hash.update(source));
    hash.update(format!("{:?} {calls:?} {:?} {tier:?}", host_root()?, limits.maps()));
    Ok(hash.finalize().into())
}

/// Where a process's root is: the kernel's own number for its device, from which `st_dev` of stat(2) differs on btrfs,
/// and the directory of that filesystem.
fn root_of(pid: &str) -> Result<(u32, String)> {
    let path = format!("/proc/{pid}/mountinfo");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let found = text.lines().rev().find_map(|line| {
        let mut fields = line.split(' ').skip(2);
        let (device, directory) = (fields.next()?, fields.next()?);
        (fields.next()? == "/").then_some((device.split_once(':')?, directory))
    });
    let ((major, minor), directory) = found.with_context(|| format!("{path} names no root"))?;
    Ok((major.parse::<u32>()? << 20 | minor.parse::<u32>()?, directory.to_owned()))
}

/// Device and inode number of the host's root. The first process's root may be closed to an agent with fewer
/// capabilities; mostly it is the agent's own.
fn host_root() -> Result<(u32, u64)> {
    let host = root_of("1")?;
    let path = if root_of("self")? == host { "/" } else { "/proc/1/root/" };
    let root = fs::metadata(path).with_context(|| format!("cannot look at the host's root at {path}"))?;
    Ok((host.0, root.ino()))
}

fn random_seed() -> Result<u64> {
    let mut bytes = [0; 8];
    let mut source = fs::File::open("/dev/urandom").context("cannot open /dev/urandom")?;
    std::io::Read::read_exact(&mut source, &mut bytes).context("cannot read /dev/urandom")?;
    Ok(u64::from_ne_bytes(bytes))
}
