//! Every runtime of this host at once: which has a container, and what runs.
//!
//! Nothing here waits without a limit. A runtime that was never there is no error; one that answered once and does
//! not any more is, for a container of it may be the one that is asked for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::timeout;

use super::absent::Absent;
use super::endpoint::{self, Endpoint};
use super::{Container, Runtime, choice, dial};

/// How long a runtime may take to greet at the beginning, which others wait for.
const FIRST: Duration = Duration::from_secs(5);
/// How long a runtime may take to tell of one container.
const ONE: Duration = Duration::from_secs(10);
/// How long it may take to tell of all of them.
const ALL: Duration = Duration::from_secs(60);

/// What is said while there is no runtime.
const NOBODY: &str = "no container engine has answered so far";

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
        let runtimes = Self::at(endpoints);
        // Whoever hangs is left to a later `refresh`: nothing waits for it.
        join_all(runtimes.places.iter().map(|place| timeout(FIRST, place.refresh()))).await;
        runtimes
    }

    /// The same without waiting for any of them: who is there turns out with the first question, or with
    /// [`refresh`](Self::refresh).
    pub fn at(endpoints: &[String]) -> Self {
        let endpoints = if endpoints.is_empty() { usual() } else { given(endpoints) };
        let places = endpoint::distinct(endpoints.into_iter()).into_iter().map(Place::new).collect();
        Self { places }
    }

    /// Whether `address` can be one of those that [`connect`](Self::connect) takes.
    ///
    /// # Errors
    /// It is spelled wrongly, or is not on this host.
    pub fn check(address: &str) -> Result<()> {
        endpoint::read(address).map(drop)
    }

    /// Tries again where nothing answered so far, and where the last question was not answered.
    pub async fn refresh(&self) {
        join_all(self.places.iter().map(Place::refresh)).await;
    }

    /// The runtime that has the container `id`, and what it tells of it; `None` when all of them answered and none
    /// knows it. A runtime that has come up meanwhile is asked, too.
    ///
    /// # Errors
    /// None knows it, and at least one did not answer, or none ever has.
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
        let nobody = || self.places.iter().all(|place| matches!(place.known(), Known::Nothing));
        match failure {
            Some(failure) => Err(failure),
            None if nobody() => Err(anyhow!(NOBODY)),
            None => Ok(None),
        }
    }

    /// The runtime that had the container of this full id, which was removed, and what it still tells of it.
    pub async fn remember(&self, id: &str) -> Option<(Arc<dyn Runtime>, Container)> {
        for place in &self.places {
            let Ok(Some(runtime)) = place.runtime().await else { continue };
            match place.within(ONE, &runtime, runtime.remember(id)).await {
                Ok(Some(container)) => return Some((runtime, container)),
                Ok(None) => {}
                Err(error) => tracing::debug!("what was removed is not known: {error:#}"),
            }
        }
        None
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

/// How one address of a runtime is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// The address.
    pub address: String,
    /// Who answered there last: name and version.
    pub name: String,
    /// Whether it answered when it was asked last.
    pub answers: bool,
}

impl Runtimes {
    /// Every address at which a runtime ever answered.
    pub fn reached(&self) -> Vec<Reached> {
        let of = |place: &Place| {
            let (runtime, answers) = match place.known() {
                Known::Nothing => return None,
                Known::Answers(runtime) => (runtime, true),
                Known::Failed(runtime) => (runtime, false),
            };
            Some(Reached { address: place.endpoint.to_string(), name: runtime.name(), answers })
        };
        self.places.iter().filter_map(of).collect()
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
            // Every few seconds: whoever needs to know is told with the answer to a question.
            Err(error) => tracing::debug!("{error:#}"),
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
            Known::Nothing => timeout(ONE, self.dial()).await.unwrap_or_else(|_| {
                Err(anyhow!("what is at {} does not answer within {} s", self.endpoint, ONE.as_secs()))
            }),
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

/// The usual addresses; none when the environment names one that cannot be used.
fn usual() -> Vec<Endpoint> {
    choice::usual().unwrap_or_else(|error| {
        tracing::error!("{error:#}");
        Vec::new()
    })
}

fn given(addresses: &[String]) -> Vec<Endpoint> {
    let read = addresses.iter().map(|address| endpoint::read(address));
    read.filter_map(|read| read.inspect_err(|error| tracing::error!("{error:#}")).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    async fn at(path: &std::path::Path) -> Runtimes {
        Runtimes::connect(&[path.display().to_string()]).await
    }

    #[tokio::test]
    async fn where_no_runtime_ever_answered_one_may_still_come() {
        let place = tempfile::tempdir().unwrap();
        let nobody = |found: Result<Option<_>>| found.err().map(|error| error.to_string());
        let runtimes = at(&place.path().join("absent.sock")).await;
        assert_eq!(nobody(runtimes.find("web").await).as_deref(), Some(NOBODY));
        // A socket that a runtime left behind when it was killed.
        let stale = place.path().join("stale.sock");
        drop(UnixListener::bind(&stale).unwrap());
        let runtimes = at(&stale).await;
        assert_eq!(nobody(runtimes.find("web").await).as_deref(), Some(NOBODY));
        assert!(runtimes.running().await.is_empty() && runtimes.names().is_empty());
    }

    #[tokio::test]
    async fn a_runtime_that_does_not_answer_may_have_the_container() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("runtime.sock");
        let listener = UnixListener::bind(&path).unwrap();
        // As one that is about to end: it takes each question, and closes the connection.
        std::thread::spawn(move || listener.incoming().for_each(drop));
        let runtimes = at(&path).await;
        let error = runtimes.find("web").await.err().map(|error| error.to_string());
        assert!(error.is_some_and(|error| error != NOBODY));
        assert!(runtimes.running().await.is_empty());
    }

    #[test]
    fn addresses_are_checked_before_they_are_used() {
        assert!(Runtimes::check("/run/podman/podman.sock").is_ok());
        for bad in ["podman", "ssh://host", "https://host"] {
            assert!(Runtimes::check(bad).is_err(), "{bad}");
        }
    }
}
