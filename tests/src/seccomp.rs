//! Filters made of profiles the way container runtimes make them: by libseccomp, in a thread of this process.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, bail};
use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use nix::libc;
use nix::unistd::{chdir, chroot};
use serde_json::Value;

/// A system call that touches no memory: its number and its first arguments. The others are 0.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// Number in the ABI of this process.
    pub number: i64,
    /// Arguments.
    pub args: [u64; 2],
}

/// Loads a profile in a thread, and makes calls there: the error number of each, 0 where there was no error.
pub fn errors_under(profile: &Value, calls: &[Call]) -> Result<Vec<i32>> {
    let confined = || {
        filter(profile)?.load().context("the kernel does not take the filter")?;
        Ok(calls.iter().map(|&call| error_of(call)).collect())
    };
    let ended = thread::scope(|scope| scope.spawn(confined).join());
    ended.unwrap_or_else(|_| bail!("the thread under the filter panicked"))
}

fn error_of(Call { number, args: [first, second] }: Call) -> i32 {
    // SAFETY: tests ask for calls that touch no memory of this process, as `Call` says.
    let made = unsafe { libc::syscall(number, first, second, 0_u64, 0_u64, 0_u64, 0_u64) };
    let error = io::Error::last_os_error().raw_os_error().unwrap_or_default();
    if made < 0 { error } else { 0 }
}

/// Has a program of another root directory executed under a profile, which is loaded as the last thing before: as by a
/// service manager, not by a container runtime.
pub fn confine(command: &mut Command, root: &Path, profile: &Value) {
    let (root, profile) = (root.to_owned(), profile.clone());
    let enter = move || {
        chroot(&root)?;
        chdir("/")?;
        let loaded = filter(&profile).and_then(|filter| Ok(filter.load()?));
        loaded.map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
    };
    // SAFETY: between fork and execve this allocates and makes system calls, which glibc allows; no lock of this process
    // is waited for.
    unsafe { command.pre_exec(enter) };
}

/// The filter of a profile in the runtime specification's form. As in runtimes, calls that libseccomp does not know are
/// passed over, and so are rules that say what the default says.
fn filter(profile: &Value) -> Result<ScmpFilterContext> {
    let default = action(&profile["defaultAction"], &profile["defaultErrnoRet"])?;
    let mut filter = ScmpFilterContext::new(default)?;
    for arch in list(&profile["architectures"]) {
        let arch = text(arch)?.parse::<ScmpArch>()?;
        if !filter.is_arch_present(arch)? {
            filter.add_arch(arch)?;
        }
    }
    for rule in list(&profile["syscalls"]) {
        let action = action(&rule["action"], &rule["errnoRet"])?;
        let args = list(&rule["args"]).iter().map(condition).collect::<Result<Vec<_>>>()?;
        for name in list(&rule["names"]) {
            let name = text(name)?;
            if let (true, Ok(call)) = (action != default, ScmpSyscall::from_name(name)) {
                let added = filter.add_rule_conditional(action, call, &args);
                added.with_context(|| {
                    format!("libseccomp refuses {} of {name} {}", rule["action"], rule["args"])
                })?;
            }
        }
    }
    Ok(filter)
}

fn action(name: &Value, errno: &Value) -> Result<ScmpAction> {
    let errno = errno.as_i64().map(i32::try_from).transpose().context("an error number is too large")?;
    ScmpAction::from_str(text(name)?, errno).with_context(|| format!("the action {name}"))
}

fn condition(arg: &Value) -> Result<ScmpArgCompare> {
    let number = |name: &str| arg[name].as_u64().with_context(|| format!("{name} is missing in {arg}"));
    let index = u32::try_from(number("index")?)?;
    Ok(match text(&arg["op"])? {
        "SCMP_CMP_MASKED_EQ" => {
            ScmpArgCompare::new(index, ScmpCompareOp::MaskedEqual(number("value")?), number("valueTwo")?)
        }
        "SCMP_CMP_EQ" => ScmpArgCompare::new(index, ScmpCompareOp::Equal, number("value")?),
        "SCMP_CMP_NE" => ScmpArgCompare::new(index, ScmpCompareOp::NotEqual, number("value")?),
        other => bail!("this harness does not know {other}"),
    })
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("expected a string, found {value}"))
}
