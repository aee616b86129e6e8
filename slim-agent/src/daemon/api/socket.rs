//! The socket's file: who may reach it, and whether another daemon has it.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::fcntl::Flock;
use tokio::net::UnixListener;

use crate::daemon::SOCKET;
use crate::flock;

/// Of the directory: its owner, and the group to pass through and look.
const DIRECTORY_MODE: u32 = 0o750;
/// Of the socket: its owner and the group may connect.
const SOCKET_MODE: u32 = 0o660;

/// A socket that this daemon alone has, for as long as this lives. The file goes with it.
#[derive(Debug)]
pub struct ControlSocket {
    /// Takes connections.
    pub listener: UnixListener,
    path: PathBuf,
    _lock: Flock<File>,
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Nobody else can have replaced it: the lock is still held.
        let _ = fs::remove_file(&self.path);
    }
}

impl ControlSocket {
    /// Listens at `path`, and lets members of `group` in. What a daemon left behind that ended is replaced.
    ///
    /// # Errors
    /// Another daemon is listening there, `path` is something else than a socket, or the place cannot be written.
    pub fn bind(path: &Path, group: Option<u32>) -> Result<Self> {
        let at = || format!("cannot listen at {}", path.display());
        make_directory(path, group).with_context(at)?;
        let lock = lock(path).with_context(at)?;
        clear(path).with_context(at)?;
        let listener = UnixListener::bind(path).with_context(at)?;
        // From here on the file goes when something fails.
        let socket = Self { listener, path: path.to_owned(), _lock: lock };
        if group.is_some() {
            chown(path, None, group).with_context(at)?;
        }
        fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE)).with_context(at)?;
        Ok(socket)
    }
}

/// Makes the directory. One that was there already is left as it is, but for the daemon's own.
fn make_directory(path: &Path, group: Option<u32>) -> io::Result<()> {
    let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) else { return Ok(()) };
    match DirBuilder::new().mode(DIRECTORY_MODE).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Err(_) if Some(dir) != Path::new(SOCKET).parent() => return Ok(()),
        _ => {}
    }
    if group.is_some() {
        chown(dir, None, group)?;
    }
    fs::set_permissions(dir, Permissions::from_mode(DIRECTORY_MODE))
}

/// One daemon at a time; the kernel gives the lock back however a daemon ends.
fn lock(path: &Path) -> Result<Flock<File>> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = File::options().create(true).truncate(false).write(true).open(&name)?;
    match flock::lock(file) {
        Ok(lock) => Ok(lock),
        Err(Errno::EWOULDBLOCK) => bail!("{OTHER}"),
        Err(error) => Err(error).context("cannot lock it"),
    }
}

const OTHER: &str = "another daemon is listening there: stop it first, or name another socket";

/// Removes a socket that nobody listens at any more, and nothing else.
fn clear(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
        Ok(found) if !found.file_type().is_socket() => {
            bail!("there is a file, which is no socket: remove it")
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(fs::remove_file(path)?),
        Err(error) => Err(error).context("cannot tell whether a daemon listens there"),
        Ok(_) => bail!("{OTHER}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &Path) -> String {
        format!("{:#}", ControlSocket::bind(path, None).unwrap_err())
    }

    #[tokio::test]
    async fn a_dead_daemon_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/control.sock");
        let socket = ControlSocket::bind(&path, None).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (SOCKET_MODE, DIRECTORY_MODE));
        assert!(refused(&path).contains("another daemon"), "{}", refused(&path));
        drop(socket);
        assert!(!path.exists());
        // A listener that is dropped leaves its file, as a daemon that was killed does.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let socket = ControlSocket::bind(&path, None).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
        drop(socket);
    }

    #[tokio::test]
    async fn what_is_not_a_dead_daemons_socket_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        fs::write(&path, "precious").unwrap();
        assert!(refused(&path).contains("no socket"), "{}", refused(&path));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        fs::remove_file(&path).unwrap();
        // Another program's socket, without this one's lock.
        let _engine = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(refused(&path).contains("another daemon"), "{}", refused(&path));
        assert!(UnixStream::connect(&path).is_ok());
    }
}
