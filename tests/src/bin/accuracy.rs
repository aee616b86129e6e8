//! `accuracy DIRECTORY [IMAGE...]`: recall and precision of recordings, application by application.
//!
//! The table goes to standard output, misses and progress to standard error; traces and manifests are left in the
//! directory. The exit code is 1 when anything was missed. SLIM_AGENT names the agent.

use std::ffi::c_int;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use slim_tests::accuracy::{APPLICATIONS, HEAD, measure};

/// Whether a signal asked this process to end.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    match run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(missed) => {
            eprintln!("{missed} paths were not recorded");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures, and prints; how many paths were missed.
fn run() -> Result<usize> {
    note_signals()?;
    let mut args = std::env::args_os().skip(1);
    let place = PathBuf::from(args.next().context("usage: accuracy DIRECTORY [IMAGE...]")?);
    let names: Vec<String> = args.map(|name| name.to_string_lossy().into_owned()).collect();
    let unknown = names.iter().find(|name| APPLICATIONS.iter().all(|(image, _)| image != name));
    ensure!(unknown.is_none(), "no application is called {unknown:?}");
    println!("{HEAD}");
    let mut missed = 0;
    for (image, title) in APPLICATIONS {
        if names.is_empty() || names.iter().any(|name| name == image) {
            missed += one(image, title, &place)?;
        }
        ensure!(!INTERRUPTED.load(Ordering::Relaxed), "interrupted");
    }
    Ok(missed)
}

fn one(image: &str, title: &str, place: &Path) -> Result<usize> {
    eprintln!("{title}");
    let accuracy = measure(image, place)?;
    println!("{}", accuracy.row(title));
    for path in accuracy.missed() {
        eprintln!("  missed: {}", path.display());
    }
    for (path, uses) in accuracy.extra() {
        eprintln!("  besides: {} {uses:?}", path.display());
    }
    Ok(accuracy.missed().len())
}

/// Has signals that would end this process only noted, so that containers are removed and strace lets go. Programs
/// that were started get a terminal's Ctrl-C themselves, which ends the application that is being measured.
fn note_signals() -> Result<()> {
    // Not blocked: what is started would inherit that, and strace could not be told to let go.
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: the handler only stores to an atomic, which is safe whatever it interrupts.
        unsafe { sigaction(signal, &action) }.with_context(|| format!("cannot handle {signal}"))?;
    }
    Ok(())
}

extern "C" fn note(_signal: c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}
