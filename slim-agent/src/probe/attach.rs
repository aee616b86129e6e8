//! Loading and attaching the programs of an object, tier by tier.

use std::os::fd::AsFd;

use anyhow::{Context, Result, anyhow, bail};
use aya::Ebpf;
use aya::programs::links::FdLink;
use aya::programs::{BtfTracePoint, FEntry, FExit, Program};

use super::hooks::{CAPABILITIES, Hook, Kind, Row, SECOND, capabilities_function};
use super::load::Kernel;
use super::stats::Programs;
use super::{Purpose, Tier};
use crate::exit::{Exit, tag};

/// An attached program; dropping the link detaches it, unless it is pinned.
pub struct Attached {
    /// What it is attached to.
    pub row: Row,
    /// What holds it there.
    pub link: FdLink,
}

/// Programs that the kernel took, to be attached.
pub struct Loaded {
    base: &'static [Hook],
    second: Vec<Row>,
    capabilities: Option<Row>,
    tier: Tier,
}

/// Loads the programs for these hooks and, for a recording, those of the second tier and for capabilities.
///
/// # Errors
/// The kernel refuses a program that is needed.
pub fn load_all(
    kernel: &Kernel,
    bpf: &mut Ebpf,
    base: &'static [Hook],
    purpose: Purpose,
    tier: Tier,
) -> Result<Loaded> {
    for hook in base {
        load_base(kernel, bpf, hook)?;
    }
    let mut loaded = Loaded { base, second: Vec::new(), capabilities: None, tier };
    if purpose != Purpose::Record {
        return Ok(loaded);
    }
    if tier != Tier::Base {
        loaded.second = optional(load_second(kernel, bpf), tier)?.unwrap_or_default();
    }
    match load_capabilities(kernel, bpf, tier == Tier::Base) {
        Ok(row) => loaded.capabilities = Some(row),
        Err(error) => tracing::debug!("capabilities are not recorded: {error:#}"),
    }
    Ok(loaded)
}

/// Attaches what [`load_all`] loaded, and gives the descriptors of the programs that serve.
///
/// # Errors
/// The kernel refuses a hook that is needed.
pub fn attach_all(bpf: &mut Ebpf, loaded: &Loaded) -> Result<(Vec<Attached>, Programs)> {
    let base = loaded.base.iter().map(|hook| attach_base(bpf, hook));
    let mut attached = base.collect::<Result<Vec<Attached>>>()?;
    if !loaded.second.is_empty() {
        attached.extend(optional(attach_second(bpf), loaded.tier)?.into_iter().flatten());
    }
    if let Some(row) = loaded.capabilities {
        match attach_capabilities(bpf, row) {
            Ok(link) => attached.push(link),
            Err(error) => tracing::debug!("capabilities are not recorded: {error:#}"),
        }
    }
    let descriptor = |one: &Attached| {
        let fd = program(bpf, one.row.program)?.fd()?.as_fd().try_clone_to_owned();
        Ok((one.row.program.to_owned(), fd.context("cannot keep a program's descriptor")?))
    };
    let programs = attached.iter().map(descriptor).collect::<Result<_>>()?;
    Ok((attached, Programs(programs)))
}

/// The second tier is needed only when it was asked for.
fn optional<T>(second: Result<T>, tier: Tier) -> Result<Option<T>> {
    match second {
        Ok(second) => Ok(Some(second)),
        Err(error) if tier == Tier::Fentry => Err(tag(Exit::Host, format!("{error:#}"))),
        Err(error) => {
            tracing::debug!("the base tier serves alone: {error:#}");
            Ok(None)
        }
    }
}

/// Loads one program of the base tier.
pub fn load_base(kernel: &Kernel, bpf: &mut Ebpf, hook: &Hook) -> Result<()> {
    load(kernel, bpf, &hook.into()).with_context(|| at_tracepoint(hook))
}

/// Attaches one program of the base tier.
pub fn attach_base(bpf: &mut Ebpf, hook: &Hook) -> Result<Attached> {
    attach(bpf, hook.into()).with_context(|| at_tracepoint(hook))
}

fn at_tracepoint(hook: &Hook) -> String {
    format!("cannot attach to the tracepoint {}, needed for {}", hook.tracepoint, hook.purpose)
}

/// Loads the second tier, all of it or nothing.
///
/// # Errors
/// This kernel lacks a function, or refuses such programs: then the base tier serves alone.
pub fn load_second(kernel: &Kernel, bpf: &mut Ebpf) -> Result<Vec<Row>> {
    let rows: Vec<Row> = SECOND.iter().map(Row::from).collect();
    let loaded = rows.iter().try_for_each(|row| {
        load(kernel, bpf, row)
            .with_context(|| format!("cannot load a {} program for {}", row.kind.as_str(), row.hook))
    });
    if loaded.is_err() {
        rows.iter().for_each(|row| unload(bpf, row));
    }
    loaded.map(|()| rows)
}

/// Attaches the second tier, all of it or nothing.
///
/// # Errors
/// This kernel refuses such hooks: then the base tier serves alone.
pub fn attach_second(bpf: &mut Ebpf) -> Result<Vec<Attached>> {
    let rows = SECOND.iter().map(Row::from);
    let attached = rows
        .map(|row| attach(bpf, row).with_context(|| format!("cannot attach to the function {}", row.hook)))
        .collect::<Result<Vec<Attached>>>();
    if attached.is_err() {
        SECOND.iter().for_each(|hook| unload(bpf, &hook.into()));
    }
    attached
}

/// Loads what sees capabilities: for the tracepoint or, where the kernel has none and unless only the base tier is
/// wanted, for the function.
///
/// # Errors
/// This kernel has neither, or refuses the program: then capabilities are not recorded.
pub fn load_capabilities(kernel: &Kernel, bpf: &mut Ebpf, base_only: bool) -> Result<Row> {
    if kernel.btf.has_tracepoint(CAPABILITIES.tracepoint) {
        load_base(kernel, bpf, &CAPABILITIES)?;
        return Ok((&CAPABILITIES).into());
    }
    let row = capabilities_function();
    if base_only {
        bail!("this kernel has no tracepoint {} (Linux 6.14), and other hooks are not wanted", row.hook);
    }
    load(kernel, bpf, &row).with_context(|| without_tracepoint(&row))?;
    Ok(row)
}

/// Attaches what sees capabilities.
///
/// # Errors
/// This kernel refuses the hook: then capabilities are not recorded.
pub fn attach_capabilities(bpf: &mut Ebpf, row: Row) -> Result<Attached> {
    match row.kind {
        Kind::Tracepoint => attach_base(bpf, &CAPABILITIES),
        Kind::Entry | Kind::Exit => attach(bpf, row).with_context(|| without_tracepoint(&row)),
    }
}

fn without_tracepoint(row: &Row) -> String {
    format!(
        "this kernel has no tracepoint {0} (Linux 6.14), and takes no {1} program for the function",
        row.hook,
        row.kind.as_str()
    )
}

fn load(kernel: &Kernel, bpf: &mut Ebpf, row: &Row) -> Result<()> {
    let program = program_mut(bpf, row.program)?;
    match row.kind {
        Kind::Tracepoint => <&mut BtfTracePoint>::try_from(program)?.load(row.hook, &kernel.types)?,
        Kind::Entry => <&mut FEntry>::try_from(program)?.load(row.hook, &kernel.types)?,
        Kind::Exit => <&mut FExit>::try_from(program)?.load(row.hook, &kernel.types)?,
    }
    Ok(())
}

fn attach(bpf: &mut Ebpf, row: Row) -> Result<Attached> {
    let program = program_mut(bpf, row.program)?;
    let link = match row.kind {
        Kind::Tracepoint => {
            let program = <&mut BtfTracePoint>::try_from(program)?;
            let link = program.attach()?;
            program.take_link(link)?.into()
        }
        Kind::Entry => {
            let program = <&mut FEntry>::try_from(program)?;
            let link = program.attach()?;
            program.take_link(link)?.into()
        }
        Kind::Exit => {
            let program = <&mut FExit>::try_from(program)?;
            let link = program.attach()?;
            program.take_link(link)?.into()
        }
    };
    Ok(Attached { row, link })
}

/// Takes a program out of the kernel again; with one that was not loaded there is nothing to do.
fn unload(bpf: &mut Ebpf, row: &Row) {
    let Ok(program) = program_mut(bpf, row.program) else { return };
    let _not_loaded = match row.kind {
        Kind::Tracepoint => <&mut BtfTracePoint>::try_from(program).and_then(BtfTracePoint::unload),
        Kind::Entry => <&mut FEntry>::try_from(program).and_then(FEntry::unload),
        Kind::Exit => <&mut FExit>::try_from(program).and_then(FExit::unload),
    };
}

fn program<'a>(bpf: &'a Ebpf, name: &str) -> Result<&'a Program> {
    bpf.program(name).ok_or_else(|| anyhow!("the object has no program {name}"))
}

fn program_mut<'a>(bpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Program> {
    bpf.program_mut(name).ok_or_else(|| anyhow!("the object has no program {name}"))
}
