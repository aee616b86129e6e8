//! One recording per container at a time: two would each start or restart it under the other.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::geteuid;

const DIRECTORY: &str = "/run/slim-agent";

/// The right to record one container or cgroup. It is free again when this is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: Flock<File>,
}

/// Takes the lock of the container or cgroup that people know as `name`.
///
/// # Errors
/// Another agent has it; the message names its process.
pub fn acquire(key: &str, name: &str) -> Result<Lock> {
    let path = directory()?.join(format!("{}.lock", key.replace('/', "-")));
    loop {
        let mut lock = Lock { file: lock(&path, name)?, path: path.clone() };
        // Whoever had it before may have removed the file between its opening and its locking.
        if lock.is_in_place() {
            let pid = std::process::id().to_string();
            let written = lock.file.set_len(0).and_then(|()| lock.file.write_all(pid.as_bytes()));
            written.context("cannot write the lock")?;
            return Ok(lock);
        }
    }
}

impl Lock {
    fn is_in_place(&self) -> bool {
        let identity = |file: fs::Metadata| (file.dev(), file.ino());
        let there = fs::metadata(&self.path).ok().map(identity);
        there.is_some() && there == self.file.metadata().ok().map(identity)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Only the file that is locked: a retry must not remove its successor.
        if self.is_in_place() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn lock(path: &Path, name: &str) -> Result<Flock<File>> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(lock),
        Err((mut file, Errno::EWOULDBLOCK)) => {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            bail!("another slim-agent (process {pid}) is recording {name} already: wait for it, or end it")
        }
        Err((_, error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

/// Where this user's agents lock. An agent may have its capabilities without being root; agents of different users do
/// not exclude each other then.
fn directory() -> Result<PathBuf> {
    let user = geteuid();
    let dir =
        if user.is_root() { DIRECTORY.into() } else { PathBuf::from(format!("/tmp/slim-agent-{user}")) };
    let made = DirBuilder::new().mode(0o700).recursive(true).create(&dir);
    made.with_context(|| format!("cannot make {}", dir.display()))?;
    let found = fs::symlink_metadata(&dir).with_context(|| format!("cannot look at {}", dir.display()))?;
    let own = found.is_dir() && found.uid() == user.as_raw();
    ensure!(own, "{} belongs to another user: remove it, or run as root", dir.display());
    Ok(dir)
}
