//! A real server on a real socket; its engine is a small actor that knows one profile.

mod description;
mod engine;

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;

use super::*;
use crate::daemon::client::Client;
use crate::daemon::control::Handle;
use crate::daemon::model::{Health, ProfileStatus, Started};
use crate::exit::{Exit, code_of};

/// A server that runs until this is dropped.
struct Running {
    place: TempDir,
    tasks: Vec<JoinHandle<()>>,
    metrics: Option<std::net::SocketAddr>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Running {
    async fn start() -> Self {
        let place = tempfile::tempdir().unwrap();
        let metrics = Some("127.0.0.1:0".parse().unwrap());
        let options = Options { socket: place.path().join("control.sock"), group: None, metrics };
        let server = Server::bind(&options).await.unwrap();
        let metrics = server.metrics_address();
        let (handle, requests) = Handle::new();
        let tasks = vec![tokio::spawn(engine::run(requests)), tokio::spawn(server.run(handle))];
        Self { place, tasks, metrics }
    }

    fn socket(&self) -> PathBuf {
        self.place.path().join("control.sock")
    }

    fn client(&self) -> Client {
        Client::new(&self.socket())
    }

    /// Sends bytes as they are; status and body of the answer.
    async fn raw(&self, request: &str) -> (u16, String) {
        let mut stream = UnixStream::connect(self.socket()).await.unwrap();
        // A request that is refused early is not read to its end.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        parsed(&String::from_utf8(answer).unwrap())
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.raw(&request(method, path, body)).await
    }
}

fn request(method: &str, path: &str, body: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn parsed(answer: &str) -> (u16, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn every_verb_is_answered() {
    let daemon = Running::start().await;
    let client = daemon.client();
    let profile: ProfileStatus = client.profile("a/b").await.unwrap().read().unwrap();
    assert_eq!((profile.name.as_str(), profile.paths), ("a/b", 412));
    assert_eq!(client.snapshot("a/b").await.unwrap().0, "the manifest\n");
    let request = StartRequest { container: "web".into(), profile: Some("a/b".into()) };
    let started: Started = client.start(&request).await.unwrap().read().unwrap();
    assert_eq!((started.container.as_str(), started.profile.as_str()), ("web", "a/b"));
    for answered in
        [client.status().await, client.profiles().await, client.stop("a/b").await, client.forget("a/b").await]
    {
        answered.unwrap().read::<serde_json::Value>().unwrap();
    }
}

#[tokio::test]
async fn what_is_refused_says_why() {
    let daemon = Running::start().await;
    let error = daemon.client().profile("none").await.unwrap_err();
    assert_eq!((error.to_string().as_str(), code_of(&error)), ("there is no profile \"none\"", Exit::Failed));
    let error = daemon.client().stop("busy").await.unwrap_err();
    assert_eq!((error.to_string().as_str(), code_of(&error)), ("the disk is full", Exit::Unavailable));
    for (method, path, body, status) in [
        ("GET", "/v1/nothing", "", 404),
        ("GET", "/v1/profiles/none", "", 404),
        ("GET", "/v1/profiles/%ff", "", 400),
        ("POST", "/v1/status", "", 405),
        ("POST", "/v1/recordings", "{", 400),
        ("POST", "/v1/recordings", r#"{"container": "a\u0007"}"#, 400),
        ("POST", "/v1/recordings", &"x".repeat(20_000), 413),
        ("POST", "/v1/recordings", r#"{"container": "twice"}"#, 409),
        ("DELETE", "/v1/recordings/busy", "", 503),
    ] {
        let (got, answer) = daemon.ask(method, path, body).await;
        assert_eq!(got, status, "{method} {path}: {answer}");
        let body: ErrorBody = serde_json::from_str(&answer).unwrap();
        assert!(!body.error.is_empty() && !body.hint.is_empty(), "{answer}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_turned_away() {
    let daemon = Running::start().await;
    let endless = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(100_000));
    assert_eq!(daemon.raw(&endless).await.0, 431);
    let headers = (0..100).map(|at| format!("X-{at}: 1\r\n")).collect::<String>();
    assert_eq!(daemon.raw(&format!("GET / HTTP/1.1\r\n{headers}\r\n")).await.0, 431);
    assert_eq!(daemon.raw("not a request at all\r\n\r\n").await.0, 400);
    assert_eq!(daemon.ask("GET", "/v1/status", "").await.0, 200);
}

#[tokio::test]
async fn connections_that_say_nothing_keep_nobody_else_out_for_long() {
    let daemon = Running::start().await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(UnixStream::connect(daemon.socket()).await.unwrap());
    }
    assert_eq!(daemon.ask("GET", "/v1/status", "").await.0, 200);
    // A request at a time: after the answer the server hangs up, whatever the client would like.
    let twice = request("GET", "/v1/profiles", "").repeat(2);
    let (status, body) = daemon.raw(&twice).await;
    assert_eq!((status, body.matches("HTTP/1.1").count()), (200, 0));
}

#[tokio::test]
async fn over_tcp_there_are_measures_and_nothing_else() {
    let daemon = Running::start().await;
    let get = async |path: &str| {
        let mut stream = TcpStream::connect(daemon.metrics.unwrap()).await.unwrap();
        stream.write_all(request("GET", path, "").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        (answer.contains("text/plain; version=0.0.4"), parsed(&answer))
    };
    let (is_text, (status, body)) = get("/metrics").await;
    assert!(is_text && status == 200 && body.contains("\nslim_agent_healthy 0\n"), "{body}");
    assert_eq!(get("/v1/status").await.1.0, 404);
    let (status, body) = get("/v1/health").await.1;
    let health: Health = serde_json::from_str(&body).unwrap();
    assert_eq!((status, health.reasons.len()), (503, 1));
}

#[tokio::test]
async fn a_daemon_that_is_not_there_has_an_exit_code_of_its_own() {
    let daemon = Running::start().await;
    let socket = daemon.socket();
    let gone = Client::new(&daemon.place.path().join("none")).status().await.unwrap_err();
    assert_eq!(code_of(&gone), Exit::Unavailable, "{gone:#}");
    fs::remove_file(&socket).unwrap();
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let dead = Client::new(&socket).status().await.unwrap_err();
    assert_eq!(code_of(&dead), Exit::Unavailable, "{dead:#}");
}
