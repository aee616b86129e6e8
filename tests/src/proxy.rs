//! A stand-in for the engine's socket that can be cut and come back, as when the engine restarts.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use anyhow::{Context, Result};
use tempfile::TempDir;

const ENGINE: &str = "/var/run/docker.sock";

/// Streams that are open now, both sides of each connection.
type Streams = Arc<Mutex<Vec<UnixStream>>>;

/// A unix socket that passes everything on to the engine.
#[derive(Debug)]
pub struct Proxy {
    place: TempDir,
    streams: Streams,
    /// Connecting to it wakes the accepting thread, which ends when the socket's file is gone.
    listening: Option<thread::JoinHandle<()>>,
}

impl Proxy {
    /// A proxy that listens.
    pub fn open() -> Result<Self> {
        let place = tempfile::tempdir().context("cannot make a temporary directory")?;
        let mut proxy = Self { place, streams: Streams::default(), listening: None };
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
            std::fs::set_permissions(path, Permissions::from_mode(mode))
                .context("cannot open up the proxy")?;
        }
        Ok(())
    }

    /// Ends every connection and listens no more.
    pub fn cut(&mut self) -> Result<()> {
        let Some(listening) = self.listening.take() else { return Ok(()) };
        let aside = self.place.path().join("cut");
        std::fs::rename(self.socket(), &aside).context("cannot take the proxy's socket away")?;
        let _woken = UnixStream::connect(&aside);
        let _ended = listening.join();
        for stream in self.streams.lock().map_err(|_| anyhow::anyhow!("a proxy thread panicked"))?.drain(..) {
            // The peer may have closed it already.
            let _closed = stream.shutdown(std::net::Shutdown::Both);
        }
        Ok(())
    }

    /// Listens again.
    pub fn restore(&mut self) -> Result<()> {
        let socket = self.socket();
        let listener = UnixListener::bind(&socket).context("cannot listen for the agent")?;
        let streams = Arc::clone(&self.streams);
        self.listening = Some(thread::spawn(move || accept(&listener, &socket, &streams)));
        Ok(())
    }

    fn socket(&self) -> PathBuf {
        self.place.path().join("engine.sock")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _cut = self.cut();
    }
}

fn accept(listener: &UnixListener, socket: &Path, streams: &Streams) {
    while let Ok((agent, _)) = listener.accept() {
        if !socket.exists() {
            return;
        }
        // What fails here shows as a connection that ends: the test sees it.
        let _passed = pass_on(agent, streams);
    }
}

fn pass_on(agent: UnixStream, streams: &Streams) -> io::Result<()> {
    let engine = UnixStream::connect(ENGINE)?;
    if let Ok(mut streams) = streams.lock() {
        streams.extend([agent.try_clone()?, engine.try_clone()?]);
    }
    let (mut from_agent, mut to_engine) = (agent.try_clone()?, engine.try_clone()?);
    thread::spawn(move || copy(&mut from_agent, &mut to_engine));
    let (mut from_engine, mut to_agent) = (engine, agent);
    thread::spawn(move || copy(&mut from_engine, &mut to_agent));
    Ok(())
}

fn copy(from: &mut UnixStream, to: &mut UnixStream) {
    let _copied = io::copy(from, to);
    let _closed = to.shutdown(std::net::Shutdown::Write);
}
