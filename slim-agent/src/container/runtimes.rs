//! Every runtime of this host at once: which has a container, and what runs.
//!
//! Nothing here waits without a limit. A runtime that was never there is no error; one that answered once and does
//! not any more is, for a container of it may be the one that is asked for.

use std::collections::HashSet;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::timeout;

use super::absent::Absent;
use super::endpoint::{self, Endpoint, Surroundings};
use super::{Container, Runtime, dial};

/// How long a runtime may take to tell of one container.
const ONE: Duration = Duration::from_secs(10);
/// How long it may take to tell of all of them.
const ALL: Duration = Duration::from_secs(60);

/// Where runtimes listen when nothing says otherwise, beside the engine that the docker CLI would talk to: podman;
/// containerd, as it comes and as k3s and RKE2 bring it; CRI-O.
const USUAL: &[&str] = &[
    "/run/podman/podman.sock",
    "/run/containerd/containerd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/run/crio/crio.sock",
];

/// The runtimes of this host.
pub struct Runtimes {
    places: Vec<Place>,
}

/// An address, and what is known of what is there.
struct Place {
    endpoint: Endpoint,
    known: Mutex<Known>,
}

#[derive(Clone)]
enum Known {
    /// No runtime has answered here so far.
    Nothing,
    /// It answered when it was asked last.
    Answers(Arc<dyn Runtime>),
    /// It answered once, and not when it was asked last.
    Failed(Arc<dyn Runtime>),
}

impl Runtimes {
    /// Connects to whatever answers at `endpoints`, or at the usual places when there are none. An address is a socket's
    /// path, `unix:///PATH` or `tcp://HOST:PORT`. One that cannot be used is told in the log and left out:
    /// [`check`](Self::check) says so beforehand.
    pub async fn connect(endpoints: &[String]) -> Self {
        let endpoints = if endpoints.is_empty() { usual() } else { given(endpoints) };
        let places = endpoints.into_iter().map(Place::new).collect();
        let mut runtimes = Self { places };
        runtimes.refresh().await;
        runtimes
    }

    /// Whether `address` can be one of those that [`connect`](Self::connect) takes.
    ///
    /// # Errors
    /// It is spelled wrongly, or is not on this host.
    pub fn check(address: &str) -> Result<()> {
        endpoint::read(address).map(drop)
    }

    /// Tries again where nothing answered so far, and where the last question was not answered.
    pub async fn refresh(&mut self) {
        join_all(self.places.iter().map(Place::refresh)).await;
    }

    /// The runtime that has the container `id`, and what it tells of it; `None` when all of them answered and none
    /// knows it. A runtime that has come up meanwhile is asked, too.
    ///
    /// # Errors
    /// None knows it, and at least one did not answer.
    pub async fn find(&self, id: &str) -> Result<Option<(Arc<dyn Runtime>, Container)>> {
        let mut answers: FuturesUnordered<_> = self.places.iter().map(|place| place.find(id)).collect();
        let mut failure = None;
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => {}
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(None), Err)
    }

    /// All containers that run, of all runtimes that answer. Who does not is told in the log.
    pub async fn running(&self) -> Vec<(Arc<dyn Runtime>, Container)> {
        let answers = join_all(self.places.iter().map(Place::running)).await;
        answers.into_iter().flatten().collect()
    }

    /// Who answers: `docker 20.10.24`, `containerd 1.6.20 (CRI)`.
    pub fn names(&self) -> Vec<String> {
        let known = self.places.iter().map(Place::known);
        known
            .filter_map(|known| if let Known::Answers(runtime) = known { Some(runtime.name()) } else { None })
            .collect()
    }
}

impl Place {
    fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, known: Mutex::new(Known::Nothing) }
    }

    fn known(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, known: Known) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    async fn refresh(&self) {
        if matches!(self.known(), Known::Answers(_)) {
            return;
        }
        match self.dial().await {
            Ok(Some(runtime)) => tracing::info!("{} answers at {}", runtime.name(), self.endpoint),
            Ok(None) => tracing::debug!("no runtime answers at {}", self.endpoint),
            Err(error) => tracing::warn!("{error:#}"),
        }
    }

    /// Connects (again); `None` when there is nothing, and never was.
    async fn dial(&self) -> Result<Option<Arc<dyn Runtime>>> {
        match dial::at(&self.endpoint).await {
            Ok(runtime) => {
                self.note(Known::Answers(Arc::clone(&runtime)));
                Ok(Some(runtime))
            }
            Err(error) if Absent::is_runtime(&error) && matches!(self.known(), Known::Nothing) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Who is to be asked.
    async fn runtime(&self) -> Result<Option<Arc<dyn Runtime>>> {
        match self.known() {
            Known::Answers(runtime) | Known::Failed(runtime) => Ok(Some(runtime)),
            Known::Nothing => self.dial().await,
        }
    }

    async fn find(&self, id: &str) -> Result<Option<(Arc<dyn Runtime>, Container)>> {
        let Some(runtime) = self.runtime().await? else { return Ok(None) };
        match self.within(ONE, &runtime, runtime.inspect(id)).await {
            Ok(container) => Ok(Some((runtime, container))),
            Err(error) if Absent::is_container(&error) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot ask {}", runtime.name())),
        }
    }

    async fn running(&self) -> Vec<(Arc<dyn Runtime>, Container)> {
        let listed = async {
            let Some(runtime) = self.runtime().await? else { return Ok(Vec::new()) };
            let containers = self.within(ALL, &runtime, runtime.running()).await;
            let containers = containers.with_context(|| format!("cannot ask {}", runtime.name()))?;
            Ok(containers.into_iter().map(|container| (Arc::clone(&runtime), container)).collect())
        };
        let listed: Result<_> = listed.await;
        listed.unwrap_or_else(|error| {
            tracing::warn!("the containers at {} are not known: {error:#}", self.endpoint);
            Vec::new()
        })
    }

    /// The answer to a question, and a note of whether there was one.
    async fn within<T>(
        &self,
        limit: Duration,
        runtime: &Arc<dyn Runtime>,
        question: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let answer = timeout(limit, question).await;
        let answer = answer.unwrap_or_else(|_| Err(anyhow!("no answer within {} s", limit.as_secs())));
        let answered = answer.as_ref().err().is_none_or(Absent::is_container);
        let runtime = Arc::clone(runtime);
        self.note(if answered { Known::Answers(runtime) } else { Known::Failed(runtime) });
        answer
    }
}

/// The usual addresses, the engine of the docker CLI first.
fn usual() -> Vec<Endpoint> {
    let engine = endpoint::find(&Surroundings::real()).inspect_err(|error| tracing::warn!("{error:#}")).ok();
    distinct(engine.into_iter().chain(USUAL.iter().map(|path| Endpoint::Unix(path.into()))))
}

fn given(addresses: &[String]) -> Vec<Endpoint> {
    let read = addresses.iter().map(|address| endpoint::read(address));
    distinct(read.filter_map(|read| read.inspect_err(|error| tracing::error!("{error:#}")).ok()))
}

/// Each socket once, by whatever links it is spelled: a container must not be told of twice.
fn distinct(endpoints: impl Iterator<Item = Endpoint>) -> Vec<Endpoint> {
    let mut seen = HashSet::new();
    endpoints.filter(|endpoint| seen.insert(real(endpoint))).collect()
}

/// The socket's address without links. It may not exist yet, so only its directory is looked up.
fn real(endpoint: &Endpoint) -> Endpoint {
    let Endpoint::Unix(path) = endpoint else { return endpoint.clone() };
    let parts = path.parent().and_then(|dir| fs::canonicalize(dir).ok()).zip(path.file_name());
    Endpoint::Unix(parts.map_or_else(|| path.clone(), |(dir, name)| dir.join(name)))
}
