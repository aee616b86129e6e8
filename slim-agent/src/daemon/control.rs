//! What can be asked of a running daemon. The server turns HTTP into a [`Request`]; the engine answers it.

use std::fmt;

use tokio::sync::{mpsc, oneshot};

use super::model::{DaemonStatus, Forgotten, Health, Measurements, ProfileStatus, Started, Stopped};

/// Requests that may wait for the engine. More than these wait in their connections.
const WAITING: usize = 32;

/// A question, or something to do.
///
/// A profile is named by `NAME`, its newest image then, or by `NAME@IMAGE` with an image id or a beginning of one, with
/// or without `sha256:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// How the daemon is, with every profile; or how one profile is, in full.
    Status {
        /// The profile, when only that is asked for.
        profile: Option<String>,
    },
    /// Every profile, without its coverage.
    List,
    /// Record a container that no rule asks for, from now on.
    Start {
        /// Name or unambiguous id.
        container: String,
        /// The profile that the recording goes to; the rules decide where there is none.
        profile: Option<String>,
    },
    /// End the recordings of a profile, or that of a container.
    Stop {
        /// A profile, or else a container's name or unambiguous id.
        name: String,
    },
    /// The manifest of a profile as it is now, with what is being recorded.
    Snapshot {
        /// The profile.
        profile: String,
    },
    /// Remove what is stored of a profile that is not being recorded.
    Forget {
        /// The profile.
        profile: String,
    },
    /// What the daemon measures about itself.
    Metrics,
    /// Whether it does its work.
    Health,
}

/// An [`Ask`], and where its answer goes. Who asked may be gone by then: that is no error.
#[derive(Debug)]
pub struct Request {
    /// What is asked.
    pub ask: Ask,
    /// Takes the answer.
    pub answer: oneshot::Sender<Result<Answer, Refusal>>,
}

/// What an [`Ask`] gets when it is granted: the variant that fits it.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To [`Ask::Status`] without a profile.
    Status(Box<DaemonStatus>),
    /// To [`Ask::Status`] with one.
    Profile(Box<ProfileStatus>),
    /// To [`Ask::List`].
    Profiles(Vec<ProfileStatus>),
    /// To [`Ask::Start`].
    Started(Started),
    /// To [`Ask::Stop`].
    Stopped(Stopped),
    /// To [`Ask::Snapshot`]: the manifest's canonical bytes.
    Snapshot(Vec<u8>),
    /// To [`Ask::Forget`].
    Forgotten(Forgotten),
    /// To [`Ask::Metrics`].
    Metrics(Box<Measurements>),
    /// To [`Ask::Health`].
    Health(Health),
}

/// Why something was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// There is no such profile or container.
    NotFound,
    /// It is there, in a state in which this cannot be done.
    Conflict,
    /// The request itself cannot be understood or granted, whatever the state.
    Invalid,
    /// The daemon cannot do it now: it ends, an engine does not answer, the disk is full.
    Unavailable,
}

/// A request that was not granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why, as far as a calling script wants to know.
    pub kind: RefusalKind,
    /// Why, in words, with what to do next where that is known.
    pub message: String,
}

impl Refusal {
    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self { kind: RefusalKind::NotFound, message: message.into() }
    }

    /// It cannot be done in the present state.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self { kind: RefusalKind::Conflict, message: message.into() }
    }

    /// It can never be done.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { kind: RefusalKind::Invalid, message: message.into() }
    }

    /// It cannot be done now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self { kind: RefusalKind::Unavailable, message: message.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

/// Where a daemon's engine can be asked. Clones ask the same engine.
#[derive(Debug, Clone)]
pub struct Handle(mpsc::Sender<Request>);

impl Handle {
    /// A handle, and the end that the engine reads.
    pub fn new() -> (Self, mpsc::Receiver<Request>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// What the engine refuses, and [`RefusalKind::Unavailable`] when it is gone.
    pub async fn ask(&self, ask: Ask) -> Result<Answer, Refusal> {
        let gone = || Refusal::unavailable("the daemon is ending: ask again once it has been started again");
        let (answer, answered) = oneshot::channel();
        self.0.send(Request { ask, answer }).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_engine_that_is_gone_is_said() {
        let (handle, mut requests) = Handle::new();
        let asking = tokio::spawn({
            let handle = handle.clone();
            async move { handle.ask(Ask::Health).await }
        });
        // The first request is dropped unanswered, the second finds nobody.
        drop(requests.recv().await.unwrap());
        drop(requests);
        assert_eq!(asking.await.unwrap().unwrap_err().kind, RefusalKind::Unavailable);
        assert_eq!(handle.ask(Ask::List).await.unwrap_err().kind, RefusalKind::Unavailable);
    }
}
