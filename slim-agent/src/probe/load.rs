//! Loading and attaching the kernel programs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::slice;

use anyhow::{Context, Result, anyhow, bail};
use aya::maps::Array;
use aya::programs::{BtfTracePoint, FEntry, FExit, Program};
use aya::{Ebpf, EbpfLoader};
use slim_common::call::Call;

use super::btf::Btf;
use super::cast::Cast;
use super::hooks::{CAPABILITIES, CAPABILITIES_FUNCTION, Hook, Kind, SECOND, Second};
use super::limits::Limits;
use super::{Purpose, calls, offsets, support};
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
    btf: Btf,
    types: aya::Btf,
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
    let (root_device, root_inode) = host_root()?;
    let host = offsets::Host {
        root_device,
        root_inode,
        hash_seed: random_seed()?,
        misses: purpose == Purpose::Watch,
        direct: support::kernel_version()? >= (5, 11),
        regs_helper: support::kernel_version()? >= (5, 15),
    };
    let cast = Cast::of(btf);
    let config = offsets::config(btf, &host, cast).map_err(|error| {
        tag(Exit::Host, format!("this kernel's structures are not as slim-agent knows them: {error:#}"))
    })?;
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

/// Attaches every row of a tier; the answer says which tier serves each hook.
pub fn attach(kernel: &Kernel, bpf: &mut Ebpf, hooks: &[Hook]) -> Result<BTreeMap<String, String>> {
    let mut served = BTreeMap::new();
    for hook in hooks {
        attach_one(bpf, &kernel.types, hook).with_context(|| {
            format!("cannot attach to the tracepoint {}, needed for {}", hook.tracepoint, hook.purpose)
        })?;
        served.insert(hook.tracepoint.to_owned(), "tp_btf".to_owned());
    }
    Ok(served)
}

/// Attaches what sees capabilities: to the tracepoint or, where the kernel has none and unless only the base tier is
/// wanted, to the function. The answer is the hook and its tier.
///
/// # Errors
/// This kernel has neither, or refuses the program: then capabilities are not recorded.
pub fn attach_capabilities(
    kernel: &Kernel,
    bpf: &mut Ebpf,
    base_only: bool,
) -> Result<BTreeMap<String, String>> {
    if kernel.btf.has_tracepoint(CAPABILITIES.tracepoint) {
        return attach(kernel, bpf, slice::from_ref(&CAPABILITIES));
    }
    let (name, hook) = &CAPABILITIES_FUNCTION;
    if base_only {
        bail!("this kernel has no tracepoint {} (Linux 6.14), and other hooks are not wanted", hook.function);
    }
    let program = bpf.program_mut(name).ok_or_else(|| anyhow!("the object has no program {name}"))?;
    let program: &mut FExit = program.try_into()?;
    let failed = || {
        format!(
            "this kernel has no tracepoint {0} (Linux 6.14), and takes no {1} program for the function",
            hook.function,
            hook.kind.as_str()
        )
    };
    program.load(hook.function, &kernel.types).with_context(failed)?;
    program.attach().with_context(failed)?;
    Ok([(hook.function.to_owned(), hook.kind.as_str().to_owned())].into())
}

/// Attaches the second tier, all of it or nothing.
///
/// # Errors
/// This kernel lacks a function, or refuses such programs: then the base tier serves alone.
pub fn attach_second(kernel: &Kernel, bpf: &mut Ebpf) -> Result<BTreeMap<String, String>> {
    let attached = load_and_attach(bpf, &kernel.types);
    if attached.is_err() {
        SECOND.iter().for_each(|hook| unload_second(bpf, hook));
    }
    attached?;
    let served = |hook: &Second| (hook.function.to_owned(), hook.kind.as_str().to_owned());
    Ok(SECOND.iter().map(served).collect())
}

fn load_and_attach(bpf: &mut Ebpf, btf: &aya::Btf) -> Result<()> {
    for hook in SECOND {
        load_second(bpf, btf, hook)
            .with_context(|| format!("cannot load a {} program for {}", hook.kind.as_str(), hook.function))?;
    }
    for hook in SECOND {
        attach_program(bpf, hook)
            .with_context(|| format!("cannot attach to the function {}", hook.function))?;
    }
    Ok(())
}

/// Detaches a program and takes it out of the kernel again; with one that was not loaded there is nothing to do.
fn unload_second(bpf: &mut Ebpf, hook: &Second) {
    let Ok(program) = second(bpf, hook) else { return };
    let _not_loaded = match hook.kind {
        Kind::Entry => <&mut FEntry>::try_from(program).and_then(FEntry::unload),
        Kind::Exit => <&mut FExit>::try_from(program).and_then(FExit::unload),
    };
}

fn load_second(bpf: &mut Ebpf, btf: &aya::Btf, hook: &Second) -> Result<()> {
    let program = second(bpf, hook)?;
    match hook.kind {
        Kind::Entry => <&mut FEntry>::try_from(program)?.load(hook.function, btf)?,
        Kind::Exit => <&mut FExit>::try_from(program)?.load(hook.function, btf)?,
    }
    Ok(())
}

fn attach_program(bpf: &mut Ebpf, hook: &Second) -> Result<()> {
    let program = second(bpf, hook)?;
    match hook.kind {
        Kind::Entry => {
            <&mut FEntry>::try_from(program)?.attach()?;
        }
        Kind::Exit => {
            <&mut FExit>::try_from(program)?.attach()?;
        }
    }
    Ok(())
}

fn second<'a>(bpf: &'a mut Ebpf, hook: &Second) -> Result<&'a mut Program> {
    bpf.program_mut(hook.function).ok_or_else(|| anyhow!("the object has no program {}", hook.function))
}

fn attach_one(bpf: &mut Ebpf, btf: &aya::Btf, hook: &Hook) -> Result<()> {
    let program =
        bpf.program_mut(hook.program).ok_or_else(|| anyhow!("the object has no program {}", hook.program))?;
    let program: &mut BtfTracePoint = program.try_into()?;
    program.load(hook.tracepoint, btf)?;
    program.attach()?;
    Ok(())
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
