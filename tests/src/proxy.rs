//! A stand-in for the engine's socket that can be cut and come back, as when the engine restarts.

use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use tempfile::TempDir;

const ENGINE: &str = "/var/run/docker.sock";

/// A unix socket that passes everything on to the engine.
#[derive(Debug)]
pub struct Proxy {
    place: TempDir,
    wire: Arc<Wire>,
    listening: Option<thread::JoinHandle<()>>,
}

/// What the proxy's threads share.
#[derive(Debug, Default)]
struct Wire {
    /// Both sides of each connection.
    streams: Mutex<Vec<UnixStream>>,
    /// Whether the engine is to be gone as soon as it has started a container.
    fragile: bool,
    cut: AtomicBool,
    started: AtomicBool,
}

impl Proxy {
    /// A proxy that listens.
    pub fn open() -> Result<Self> {
        Self::with(Wire::default())
    }

    /// A proxy that cuts itself at the first request after one that starts a container.
    pub fn that_is_gone_after_a_start() -> Result<Self> {
        Self::with(Wire { fragile: true, ..Wire::default() })
    }

    fn with(wire: Wire) -> Result<Self> {
        let place = tempfile::tempdir().context("cannot make a temporary directory")?;
        let mut proxy = Self { place, wire: Arc::new(wire), listening: None };
        proxy.restore()?;
        Ok(proxy)
    }

    /// What DOCKER_HOST has to be.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Lets other users than this one connect.
    pub fn allow_everyone(&self) -> Result<()> {
        for (path, mode) in [(self.place.path(), 0o755), (&self.socket(), 0o666)] {
            fs::set_permissions(path, Permissions::from_mode(mode)).context("cannot open up the proxy")?;
        }
        Ok(())
    }

    /// Ends every connection and listens no more.
    pub fn cut(&mut self) {
        self.wire.cut();
        if let Some(listening) = self.listening.take() {
            // Wakes the accepting thread, which then sees that it is cut.
            let _woken = UnixStream::connect(self.socket());
            let _ended = listening.join();
        }
        let _gone = fs::remove_file(self.socket());
    }

    /// Listens again.
    pub fn restore(&mut self) -> Result<()> {
        let listener = UnixListener::bind(self.socket()).context("cannot listen for the agent")?;
        self.wire.cut.store(false, Ordering::SeqCst);
        let wire = Arc::clone(&self.wire);
        self.listening = Some(thread::spawn(move || wire.accept(&listener)));
        Ok(())
    }

    fn socket(&self) -> PathBuf {
        self.place.path().join("engine.sock")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
    }
}

impl Wire {
    fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        for stream in self.streams.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // The peer may have closed it already.
            let _closed = stream.shutdown(Shutdown::Both);
        }
    }

    fn accept(self: &Arc<Self>, listener: &UnixListener) {
        while let Ok((agent, _)) = listener.accept() {
            if self.cut.load(Ordering::SeqCst) {
                return;
            }
            // What fails here shows as a connection that ends: the test sees it.
            let _passed = self.pass_on(agent);
        }
    }

    fn pass_on(self: &Arc<Self>, mut agent: UnixStream) -> io::Result<()> {
        let mut engine = UnixStream::connect(Path::new(ENGINE))?;
        let (from_agent, to_engine) = (agent.try_clone()?, engine.try_clone()?);
        let kept = [agent.try_clone()?, engine.try_clone()?];
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).extend(kept);
        let wire = Arc::clone(self);
        thread::spawn(move || wire.requests(from_agent, to_engine));
        thread::spawn(move || {
            let _copied = io::copy(&mut engine, &mut agent);
            let _closed = agent.shutdown(Shutdown::Write);
        });
        Ok(())
    }

    fn requests(&self, mut agent: UnixStream, mut engine: UnixStream) {
        let mut chunk = vec![0; 1 << 16];
        while let Ok(length @ 1..) = agent.read(&mut chunk) {
            if self.fragile && self.started.load(Ordering::SeqCst) {
                self.cut();
                return;
            }
            let starts = chunk[..length].windows(7).any(|bytes| bytes == b"/start ");
            let starts = starts || chunk[..length].windows(7).any(|bytes| bytes == b"/start?");
            self.started.fetch_or(starts, Ordering::SeqCst);
            if engine.write_all(&chunk[..length]).is_err() {
                return;
            }
        }
        let _closed = engine.shutdown(Shutdown::Write);
    }
}
