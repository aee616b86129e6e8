//! One recording per container at a time: two would each start or restart it under the other.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

const DIRECTORY: &str = "/run/slim-agent";

/// Takes the lock of a container or cgroup; it is free again when the answer is dropped or the process ends.
///
/// # Errors
/// Another agent has it; the message names its process.
pub fn acquire(key: &str) -> Result<Flock<File>> {
    let made = DirBuilder::new().mode(0o700).recursive(true).create(DIRECTORY);
    made.with_context(|| format!("cannot make {DIRECTORY}"))?;
    let path = Path::new(DIRECTORY).join(format!("{}.lock", key.replace('/', "-")));
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut lock) => {
            let pid = std::process::id().to_string();
            lock.set_len(0).and_then(|()| lock.write_all(pid.as_bytes())).context("cannot write the lock")?;
            Ok(lock)
        }
        Err((mut file, Errno::EWOULDBLOCK)) => {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            bail!("another slim-agent (process {pid}) is recording {key} already: wait for it, or end it")
        }
        Err((_, error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}
