//! Asks a running daemon, over its socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::api::{ErrorBody, StartRequest};
use crate::exit::{self, Exit};

/// Largest answer: that of the largest manifest that is read.
const MAX_ANSWER: usize = 1 << 30;
/// Time for an answer: more than the daemon gives itself.
const PATIENCE: Duration = Duration::from_secs(200);

/// A daemon, by its socket. Each question is a connection of its own.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

/// The bytes of an answer: JSON, with a final newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered(pub Bytes);

impl Answered {
    /// As what it is. Fields that this version does not know are passed over.
    ///
    /// # Errors
    /// It is something else: the daemon is of another version.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.0).context(
            "cannot understand the daemon's answer: is it another version? see `slim-agent --version`",
        )
    }
}

impl Client {
    /// The daemon that listens at `socket`.
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// How the daemon is ([`super::model::DaemonStatus`]).
    ///
    /// # Errors
    /// No daemon listens there ([`Exit::Unavailable`]), it refuses, or it breaks off. So for all that follow.
    pub async fn status(&self) -> Result<Answered> {
        self.ask(Method::GET, "status", None).await
    }

    /// Every profile: `{"profiles": [...]}` of [`super::model::ProfileStatus`].
    ///
    /// # Errors
    /// As [`Self::status`].
    pub async fn profiles(&self) -> Result<Answered> {
        self.ask(Method::GET, "profiles", None).await
    }

    /// One profile ([`super::model::ProfileStatus`]).
    ///
    /// # Errors
    /// As [`Self::status`].
    pub async fn profile(&self, name: &str) -> Result<Answered> {
        self.ask(Method::GET, &format!("profiles/{}", encoded(name)), None).await
    }

    /// A profile's manifest, in its canonical bytes.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub async fn snapshot(&self, profile: &str) -> Result<Answered> {
        self.ask(Method::GET, &format!("profiles/{}/manifest", encoded(profile)), None).await
    }

    /// Starts to record ([`super::model::Started`]).
    ///
    /// # Errors
    /// As [`Self::status`].
    pub async fn start(&self, request: &StartRequest) -> Result<Answered> {
        let body = serde_json::to_vec(request).context("cannot write the request")?;
        self.ask(Method::POST, "recordings", Some(body)).await
    }

    /// Ends recordings ([`super::model::Stopped`]).
    ///
    /// # Errors
    /// As [`Self::status`].
    pub async fn stop(&self, name: &str) -> Result<Answered> {
        self.ask(Method::DELETE, &format!("recordings/{}", encoded(name)), None).await
    }

    /// Removes a profile ([`super::model::Forgotten`]).
    ///
    /// # Errors
    /// As [`Self::status`].
    pub async fn forget(&self, profile: &str) -> Result<Answered> {
        self.ask(Method::DELETE, &format!("profiles/{}", encoded(profile)), None).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Result<Answered> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.unreachable(&error))?;
        let exchange = timeout(PATIENCE, exchange(stream, method, path, body));
        let broken = || format!("the daemon at {} broke off", self.socket.display());
        let (status, body) = match exchange.await {
            Ok(exchanged) => exchanged.with_context(broken)?,
            Err(_) => {
                bail!("the daemon at {} does not answer: journalctl -u slim-agent", self.socket.display())
            }
        };
        if status.is_success() { Ok(Answered(body)) } else { Err(refused(status, &body)) }
    }

    fn unreachable(&self, error: &io::Error) -> anyhow::Error {
        let socket = self.socket.display();
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => exit::tag(
                Exit::Unavailable,
                format!("no daemon is running at {socket}: systemctl start slim-agent, or name its --socket"),
            ),
            io::ErrorKind::PermissionDenied => anyhow::anyhow!(
                "cannot ask the daemon at {socket}: only root and the members of its group may; use sudo"
            ),
            _ => anyhow::anyhow!("cannot reach the daemon at {socket}: {error}"),
        }
    }
}

fn encoded(name: &str) -> impl std::fmt::Display {
    utf8_percent_encode(name, NON_ALPHANUMERIC)
}

async fn exchange(
    stream: UnixStream,
    method: Method,
    path: &str,
    body: Option<Vec<u8>>,
) -> Result<(StatusCode, Bytes)> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::builder().method(method).uri(format!("/v1/{path}"));
    if let Some(headers) = request.headers_mut() {
        headers.insert(HOST, HeaderValue::from_static("localhost"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let request = request.body(Full::new(Bytes::from(body.unwrap_or_default())))?;
    // The connection moves the bytes while the answer is awaited, and ends with its sender.
    let answered = async move {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("{error}"))?;
        Ok::<_, anyhow::Error>((status, body.to_bytes()))
    };
    tokio::join!(answered, connection).0
}

/// What the daemon says about a request that it does not grant. Its words may quote what others named: one line each.
fn refused(status: StatusCode, body: &[u8]) -> anyhow::Error {
    let message = serde_json::from_slice::<ErrorBody>(body)
        .map_or_else(|_| format!("the daemon answered {status}, without a reason"), |body| body.error);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        exit::tag(Exit::Unavailable, message)
    } else {
        anyhow::anyhow!(message)
    }
}
