//! What the kernel side consists of on this host: its hooks and who would serve them, and its programs as the kernel
//! sees them once loaded.

use anyhow::{Context, Result};
use aya::Ebpf;
use serde::Serialize;

use super::btf::Btf;
use super::hooks::{BASE, CAPABILITIES, Hook, Row, SECOND};
use super::{Limits, Purpose, attach, load};

/// The base tier.
const TIER: &str = "tp_btf";
/// Bytes of one instruction (struct bpf_insn, include/uapi/linux/bpf.h).
const INSTRUCTION: u32 = 8;

/// A kernel hook, and the tier that would serve it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Served {
    /// Name of the hook.
    pub hook: &'static str,
    /// What is lost without it.
    pub purpose: &'static str,
    /// The tier; `None` when there is none for it on this kernel.
    pub tier: Option<&'static str>,
    /// Why not another tier.
    pub detail: String,
}

/// A program as the kernel took it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Program {
    /// Name of the program.
    pub name: &'static str,
    /// The hook it is attached to.
    pub hook: &'static str,
    /// The tier it belongs to.
    pub tier: &'static str,
    /// Instructions that the verifier looked at, again for every path through the program; `None` on kernels before
    /// 5.16, which do not tell.
    pub verified_instructions: Option<u32>,
    /// Instructions that are left after the verifier; `None` when it was not loaded.
    pub translated_instructions: Option<u32>,
    /// Why it could not be loaded and attached.
    pub error: Option<String>,
}

/// Every hook of a recording. Nothing is loaded.
pub fn hooks() -> Vec<Served> {
    let btf = Btf::of_running_kernel().map_err(|error| format!("{error:#}"));
    let exists = |hook: &Hook| btf.as_ref().map(|btf| btf.has_tracepoint(hook.tracepoint));
    let base = BASE.iter().map(|hook| served(hook, exists(hook)));
    base.chain([capabilities_served(exists(&CAPABILITIES))]).collect()
}

fn capabilities_served(exists: Result<bool, &String>) -> Served {
    let served = served(&CAPABILITIES, exists);
    if exists != Ok(false) {
        return served;
    }
    let detail = format!("{} (Linux 6.14); fexit serves where the kernel takes it", served.detail);
    Served { detail, ..served }
}

fn served(hook: &Hook, exists: Result<bool, &String>) -> Served {
    let (tier, detail) = match exists {
        Ok(true) => (Some(TIER), "the second tier has no program for it".to_owned()),
        Ok(false) => (None, "this kernel has no such tracepoint".to_owned()),
        Err(error) => (None, error.clone()),
    };
    Served { hook: hook.tracepoint, purpose: hook.purpose, tier, detail }
}

/// Loads and attaches every program of a recording, and detaches them again. A program that the kernel refuses is
/// listed with the reason, and the others with what the kernel says of them.
///
/// # Errors
/// None of them can be loaded: the host lacks what all need.
pub fn programs() -> Result<Vec<Program>> {
    let kernel = load::Kernel::read()?;
    let mut bpf = load::load(&kernel, BASE, &Limits::default(), Purpose::Record)?;
    let mut programs: Vec<Program> = BASE.iter().map(|hook| program(&kernel, &mut bpf, hook)).collect();
    if second(&kernel, &mut bpf).is_ok() {
        programs.extend(SECOND.iter().map(|hook| described(&bpf, hook.into(), hook.function)));
    }
    // Recording goes on without, so a refusal is no error.
    let capabilities = capability_row(&kernel, &mut bpf, false).ok();
    programs.extend(capabilities.map(|row| described(&bpf, row, CAPABILITIES.tracepoint)));
    Ok(programs)
}

fn second(kernel: &load::Kernel, bpf: &mut Ebpf) -> Result<()> {
    attach::load_second(kernel, bpf)?;
    attach::attach_second(bpf).map(drop)
}

/// The program for capabilities, as whatever serves here.
fn capability_row(kernel: &load::Kernel, bpf: &mut Ebpf, base_only: bool) -> Result<Row> {
    let row = attach::load_capabilities(kernel, bpf, base_only)?;
    attach::attach_capabilities(bpf, row).map(|attached| attached.row)
}

fn described(bpf: &Ebpf, row: Row, hook: &'static str) -> Program {
    let (verified_instructions, translated_instructions) = counts(bpf, row.program).unwrap_or_default();
    Program {
        name: row.program,
        hook,
        tier: row.kind.as_str(),
        verified_instructions,
        translated_instructions,
        error: None,
    }
}

/// The tier that would tell of capabilities: it is loaded and attached, and detached again. The error says why none does.
///
/// # Errors
/// The host cannot load programs at all.
pub fn capabilities() -> Result<Result<String>> {
    let kernel = load::Kernel::read()?;
    let mut bpf = load::load(&kernel, BASE, &Limits::default(), Purpose::Record)?;
    Ok(capability_row(&kernel, &mut bpf, false).map(|row| row.kind.as_str().to_owned()))
}

/// Whether the second tier would serve here: it is loaded and attached, and detached again. The error says why not.
///
/// # Errors
/// The host cannot load programs at all.
pub fn second_tier() -> Result<Result<()>> {
    let kernel = load::Kernel::read()?;
    let mut bpf = load::load(&kernel, BASE, &Limits::default(), Purpose::Record)?;
    Ok(second(&kernel, &mut bpf))
}

fn program(kernel: &load::Kernel, bpf: &mut Ebpf, hook: &Hook) -> Program {
    let attached = attach::load_base(kernel, bpf, hook).and_then(|()| attach::attach_base(bpf, hook));
    let counted = attached.and_then(|_| counts(bpf, hook.program));
    let (verified_instructions, translated_instructions, error) = match counted {
        Ok((verified, translated)) => (verified, translated, None),
        Err(error) => (None, None, Some(format!("{error:#}"))),
    };
    let Hook { program: name, tracepoint, .. } = *hook;
    Program { name, hook: tracepoint, tier: TIER, verified_instructions, translated_instructions, error }
}

fn counts(bpf: &Ebpf, name: &str) -> Result<(Option<u32>, Option<u32>)> {
    let program = bpf.program(name).with_context(|| format!("the object has no program {name}"))?;
    let info = program.info().with_context(|| format!("the kernel does not describe the program {name}"))?;
    Ok((info.verified_instruction_count(), info.size_translated().map(|bytes| bytes / INSTRUCTION)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_without_its_tracepoint_is_served_by_nothing_and_says_why() {
        let hook = &BASE[0];
        assert_eq!(served(hook, Ok(true)).tier, Some("tp_btf"));
        assert_eq!(served(hook, Ok(false)).tier, None);
        assert!(capabilities_served(Ok(false)).detail.contains("6.14"));
        let unreadable = served(hook, Err(&"no BTF".to_owned()));
        assert_eq!((unreadable.tier, unreadable.detail.as_str()), (None, "no BTF"));
    }
}
