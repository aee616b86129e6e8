//! The listeners, and one connection from its first byte to its last.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::unistd::Group;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::answer::{self, Reply};
use super::peer::Peer;
use super::route::{self, Route, StartRequest};
use super::socket::ControlSocket;
use crate::daemon::control::{Ask, Handle};
use crate::daemon::model::Health;

/// Connections at a time, on each listener. Those beyond wait to be taken.
const CONNECTIONS: usize = 32;
/// Time for a request to arrive, head and body each.
const ARRIVAL: Duration = Duration::from_secs(10);
/// Time for the engine to answer. One that takes longer hangs.
const ANSWER: Duration = Duration::from_secs(60);
/// The same for the health, which is asked for to find out about that.
const HEALTH: Duration = Duration::from_secs(5);
/// Time of a connection in all: one request, and its answer taken.
const CONNECTION: Duration = Duration::from_secs(180);
/// Largest head, and number of its lines.
const HEAD: usize = 16 << 10;
const HEADERS: usize = 64;
/// Largest body of a request.
const BODY: usize = 16 << 10;
/// Pause when the kernel gives no connection: too many files are open, most likely.
const PAUSE: Duration = Duration::from_millis(200);

/// Where and for whom a daemon listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The unix socket.
    pub socket: PathBuf,
    /// The group whose members may ask, besides root.
    pub group: Option<String>,
    /// Where metrics and health are served over TCP; not at all where there is none.
    pub metrics: Option<SocketAddr>,
}

/// What listens, before anything is answered. The socket's file goes when this is dropped.
#[derive(Debug)]
pub struct Server {
    control: ControlSocket,
    group: Option<u32>,
    metrics: Option<TcpListener>,
}

/// What a connection may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Everything.
    All,
    /// Metrics and health.
    Measures,
    /// Nothing.
    None,
}

impl Server {
    /// Opens the sockets.
    ///
    /// # Errors
    /// There is no such group, another daemon is listening, or a socket cannot be made.
    pub async fn bind(options: &Options) -> Result<Self> {
        let group = options.group.as_deref().map(group_id).transpose()?;
        let control = ControlSocket::bind(&options.socket, group)?;
        let metrics = match options.metrics {
            Some(address) => {
                let listener = TcpListener::bind(address).await;
                Some(listener.with_context(|| format!("cannot serve metrics at {address}"))?)
            }
            None => None,
        };
        Ok(Self { control, group, metrics })
    }

    /// The address that serves the metrics, with the port that the kernel chose for port 0.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Answers for ever; dropping the future ends all connections.
    pub async fn run(self, handle: Handle) {
        let measures = async {
            match &self.metrics {
                Some(listener) => serve_measures(listener, &handle).await,
                None => std::future::pending().await,
            }
        };
        tokio::join!(self.serve_control(&handle), measures);
    }

    async fn serve_control(&self, handle: &Handle) {
        let mut connections = Connections::new();
        loop {
            let permit = connections.room().await;
            match self.control.listener.accept().await {
                Ok((stream, _)) => {
                    let allowed = Peer::of(&stream).is_ok_and(|peer| peer.may_ask(self.group));
                    let access = if allowed { Access::All } else { Access::None };
                    connections.add(permit, connection(stream, access, handle.clone()));
                }
                Err(error) => pause(&error).await,
            }
        }
    }
}

fn group_id(name: &str) -> Result<u32> {
    let found = Group::from_name(name).with_context(|| format!("cannot look up group {name:?}"))?;
    let group = found.with_context(|| format!("there is no group {name:?}: groupadd --system {name}"))?;
    Ok(group.gid.as_raw())
}

async fn serve_measures(listener: &TcpListener, handle: &Handle) {
    let mut connections = Connections::new();
    loop {
        let permit = connections.room().await;
        match listener.accept().await {
            Ok((stream, _)) => connections.add(permit, connection(stream, Access::Measures, handle.clone())),
            Err(error) => pause(&error).await,
        }
    }
}

async fn pause(error: &std::io::Error) {
    tracing::warn!("cannot take a connection: {error}");
    sleep(PAUSE).await;
}

/// The connections of one listener.
struct Connections {
    room: Arc<Semaphore>,
    tasks: JoinSet<()>,
}

impl Connections {
    fn new() -> Self {
        Self { room: Arc::new(Semaphore::new(CONNECTIONS)), tasks: JoinSet::new() }
    }

    /// Waits until another one can be had.
    async fn room(&mut self) -> Option<OwnedSemaphorePermit> {
        while self.tasks.try_join_next().is_some() {}
        // It is never closed, so that there always is one.
        Arc::clone(&self.room).acquire_owned().await.ok()
    }

    fn add(
        &mut self,
        permit: Option<OwnedSemaphorePermit>,
        connection: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tasks.spawn(async move {
            let _permit = permit;
            connection.await;
        });
    }
}

/// One request, and its answer.
async fn connection<S>(stream: S, access: Access, handle: Handle)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let handle = handle.clone();
        async move { Ok::<_, Infallible>(reply(request, access, &handle).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(ARRIVAL).max_headers(HEADERS).max_buf_size(HEAD);
    // One request each: nobody holds a connection for longer than it takes to be answered.
    let serving = http.keep_alive(false).serve_connection(TokioIo::new(stream), service);
    match timeout(CONNECTION, serving).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("a connection failed: {error}"),
        Err(_) => tracing::debug!("a connection took too long"),
    }
}

async fn reply(request: Request<Incoming>, access: Access, handle: &Handle) -> Reply {
    if access == Access::None {
        return answer::error(
            StatusCode::FORBIDDEN,
            "only root and the members of the daemon's group may ask",
            "use sudo, or become a member of the group that `group` of /etc/slim-agent/config.toml names",
        );
    }
    let route = match route::find(request.method(), request.uri().path()) {
        Ok(route) => route,
        Err(why) => return answer::no_route(&why),
    };
    let measures = matches!(route, Route::Ask(Ask::Metrics | Ask::Health));
    if access == Access::Measures && !measures {
        return answer::error(StatusCode::NOT_FOUND, "not served here", "ask at the unix socket");
    }
    match route {
        Route::Description => answer::description(),
        Route::Ask(ask) => ask_engine(ask, handle).await,
        Route::Start => match read_start(request).await {
            Ok(ask) => ask_engine(ask, handle).await,
            Err(refusal) => *refusal,
        },
    }
}

async fn ask_engine(ask: Ask, handle: &Handle) -> Reply {
    let health = ask == Ask::Health;
    match timeout(if health { HEALTH } else { ANSWER }, handle.ask(ask)).await {
        Ok(Ok(answer)) => answer::granted(answer),
        Ok(Err(refusal)) if health => unhealthy(refusal.message),
        Ok(Err(refusal)) => answer::refused(&refusal),
        Err(_) if health => unhealthy(format!("the daemon did not answer within {} s", HEALTH.as_secs())),
        Err(_) => answer::error(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the daemon did not answer within {} s", ANSWER.as_secs()),
            "look at its log: journalctl -u slim-agent",
        ),
    }
}

fn unhealthy(reason: String) -> Reply {
    answer::granted(crate::daemon::control::Answer::Health(Health { ok: false, reasons: vec![reason] }))
}

/// The body of a request to start a recording.
async fn read_start(request: Request<Incoming>) -> Result<Ask, Box<Reply>> {
    let refuse = |status, error: String| {
        Box::new(answer::error(status, error, "send {\"container\": \"NAME\", \"profile\": \"NAME\"}"))
    };
    let body = match timeout(ARRIVAL, Limited::new(request.into_body(), BODY).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(refuse(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body has more than {BODY} bytes"),
            ));
        }
        Ok(Err(error)) => {
            return Err(refuse(StatusCode::BAD_REQUEST, format!("the body broke off: {error}")));
        }
        Err(_) => return Err(refuse(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time".into())),
    };
    let start: StartRequest = serde_json::from_slice(&body).map_err(|error| {
        refuse(StatusCode::BAD_REQUEST, format!("the body cannot be understood: {error}"))
    })?;
    start.ask().ok_or_else(|| refuse(StatusCode::BAD_REQUEST, "a name in the body is not usable".into()))
}
