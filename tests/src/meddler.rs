//! Somebody who does something to a registry at the worst moment: between two requests of another.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};

use crate::registry::LOCAL;

/// What is done, once.
type Deed = Box<dyn FnOnce() -> Result<()> + Send>;

/// Passes everything on to a registry; the first request with certain words waits until something else is done.
#[derive(Debug)]
pub struct Meddler {
    host: String,
    wire: Arc<Wire>,
}

struct Wire {
    registry: String,
    words: String,
    deed: Mutex<Option<Deed>>,
    /// What the deed came to.
    outcome: Mutex<Option<Result<()>>>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "before {:?} of {}", self.words, self.registry)
    }
}

impl Meddler {
    /// Stands before the registry at `registry`, and does `deed` before the first request with these words. It ends with
    /// the test's process.
    pub fn before(
        registry: &str,
        words: &str,
        deed: impl FnOnce() -> Result<()> + Send + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind((LOCAL, 0)).context("cannot listen")?;
        let host = listener.local_addr()?.to_string();
        let wire = Arc::new(Wire {
            registry: registry.to_owned(),
            words: words.to_owned(),
            deed: Mutex::new(Some(Box::new(deed))),
            outcome: Mutex::new(None),
        });
        let accepting = Arc::clone(&wire);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // What fails here shows as a connection that ends: the test sees it.
                let _passed = accepting.pass_on(client);
            }
        });
        Ok(Self { host, wire })
    }

    /// The name of a repository, by this way.
    pub fn place(&self, name: &str) -> String {
        format!("{}/{name}", self.host)
    }

    /// What the deed came to; an error if it was not done.
    pub fn outcome(&self) -> Result<()> {
        let outcome = self.wire.outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        outcome.context("nobody sent such a request")?
    }
}

impl Wire {
    fn pass_on(self: &Arc<Self>, client: TcpStream) -> io::Result<()> {
        let mut registry = TcpStream::connect(&self.registry)?;
        let (from, to, wire) = (client.try_clone()?, registry.try_clone()?, Arc::clone(self));
        thread::spawn(move || wire.requests(from, to));
        thread::spawn(move || {
            let mut client = client;
            let _copied = io::copy(&mut registry, &mut client);
            let _closed = client.shutdown(Shutdown::Write);
        });
        Ok(())
    }

    fn requests(&self, mut client: TcpStream, mut registry: TcpStream) {
        let mut chunk = vec![0; 1 << 16];
        while let Ok(length @ 1..) = client.read(&mut chunk) {
            if String::from_utf8_lossy(&chunk[..length]).contains(&self.words) {
                self.meddle();
            }
            if registry.write_all(&chunk[..length]).is_err() {
                return;
            }
        }
        let _closed = registry.shutdown(Shutdown::Write);
    }

    fn meddle(&self) {
        let deed = self.deed.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(deed) = deed {
            let outcome = deed();
            *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        }
    }
}
