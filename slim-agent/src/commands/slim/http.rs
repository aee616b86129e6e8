//! Plain HTTP to a container: one request over one connection, and what came back.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, LOCATION, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use super::answer::{Answer, Content, Gathered};
use super::links;

/// How long a connection may take; to a container of this host it takes no time.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a whole answer may take.
const ANSWER: Duration = Duration::from_secs(30);
/// The longest body that is read to its end.
const LONGEST: u64 = 256 * 1024 * 1024;

/// A port of a container. It is asked as `localhost`, so that what it writes of itself is the same in every container.
#[derive(Debug, Clone)]
pub struct Server {
    address: SocketAddr,
    host: String,
}

/// A page that answered.
#[derive(Debug, Clone)]
pub struct Page {
    /// Its status.
    pub status: StatusCode,
    /// What is compared.
    pub answer: Answer,
    /// Where it leads to, on the same host.
    pub links: Vec<String>,
}

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Nothing takes connections there.
    Refused,
    /// Something does, and does not answer in HTTP.
    NotHttp(String),
}

impl Server {
    /// Port `port` at `ip`.
    pub fn new(ip: IpAddr, port: u16) -> Self {
        let host = if port == 80 { "localhost".to_owned() } else { format!("localhost:{port}") };
        Self { address: SocketAddr::new(ip, port), host }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Asks for a path, with its query if it has one.
    ///
    /// # Errors
    /// Nothing listens, or what does gives no HTTP answer in time.
    pub async fn get(&self, path: &str) -> Result<Page, Failure> {
        let stream = match timeout(CONNECT, TcpStream::connect(self.address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(_)) | Err(_) => return Err(Failure::Refused),
        };
        let deadline = Instant::now() + ANSWER;
        match timeout_at(deadline, self.ask(stream, path)).await {
            Ok(Ok(response)) => Ok(self.page(path, response, deadline).await),
            Ok(Err(error)) => Err(Failure::NotHttp(format!("{error:#}"))),
            Err(_) => Err(Failure::NotHttp(format!("no answer within {} s", ANSWER.as_secs()))),
        }
    }

    async fn ask(&self, stream: TcpStream, path: &str) -> Result<Response<Incoming>> {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the response's body; what goes wrong is told there, too.
        tokio::spawn(connection);
        let request = Request::get(path)
            .header(HOST, &self.host)
            .header(USER_AGENT, concat!("slim-agent/", env!("CARGO_PKG_VERSION")))
            .header(CONNECTION, "close")
            .body(Empty::<Bytes>::new());
        Ok(sender.send_request(request.context("the path cannot be asked for")?).await?)
    }

    async fn page(&self, path: &str, response: Response<Incoming>, deadline: Instant) -> Page {
        let (head, body) = response.into_parts();
        let content = read(body, deadline).await;
        let mut links = Vec::new();
        let location = header(&head.headers, LOCATION);
        if let Ok(here) = Url::parse(&format!("http://{}{path}", self.host)) {
            links.extend(location.as_ref().and_then(|to| links::path_on_same_host(&here, to)));
            if header(&head.headers, CONTENT_TYPE).is_some_and(|kind| is_html(&kind)) {
                links.extend(links::on_same_host(&here, &content.head));
            }
        }
        let outcome = head.status.as_str().to_owned();
        let answer = Answer { outcome, detail: detail(&head.headers), content };
        Page { status: head.status, answer, links }
    }
}

/// What a body is, and where a redirect leads: `text/html to /docs/`.
fn detail(headers: &HeaderMap) -> String {
    let to = header(headers, LOCATION).map(|to| format!("to {to}"));
    header(headers, CONTENT_TYPE).into_iter().chain(to).collect::<Vec<_>>().join(" ")
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name).map(|value| value.as_bytes().escape_ascii().to_string())
}

fn is_html(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "text/html" || kind == "application/xhtml+xml"
}

async fn read(mut body: Incoming, deadline: Instant) -> Content {
    let mut gathered = Gathered::default();
    while gathered.length() < LONGEST {
        match timeout_at(deadline, body.frame()).await {
            Ok(Some(Ok(frame))) => frame.data_ref().into_iter().for_each(|part| gathered.take(part)),
            Ok(None) => return gathered.end(true),
            Ok(Some(Err(_))) | Err(_) => break,
        }
    }
    gathered.end(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// What the client makes of a server that writes `bytes` and closes, and what that server was asked.
    async fn asked(bytes: &'static [u8]) -> (Result<Page, Failure>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        };
        let server = Server::new(address.ip(), address.port());
        tokio::join!(server.get("/a?b"), serve)
    }

    #[tokio::test]
    async fn a_page_with_its_links() {
        let (page, request) = asked(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 14\r\n\r\n<a href=\"/c\">x",
        )
        .await;
        let page = page.unwrap();
        assert_eq!(
            (page.answer.outcome.as_str(), page.answer.detail.as_str()),
            ("200", "text/html; charset=utf-8")
        );
        assert!(page.answer.content.whole);
        assert_eq!(page.links, ["/c"]);
        assert!(request.starts_with("GET /a?b HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("host: localhost:"), "{request}");
    }

    #[tokio::test]
    async fn a_redirect_is_a_result_and_leads_on() {
        let (page, _) = asked(b"HTTP/1.0 302 Found\r\nLocation: there\r\n\r\n").await;
        let page = page.unwrap();
        assert_eq!((page.answer.outcome.as_str(), page.answer.detail.as_str()), ("302", "to there"));
        assert_eq!(page.links, ["/there"]);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_not_whole() {
        let (page, _) = asked(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort").await;
        let content = page.unwrap().answer.content;
        assert!(!content.whole && content.head == b"short");
    }

    #[tokio::test]
    async fn what_is_not_http_is_told_from_what_does_not_listen() {
        assert!(matches!(asked(b"-ERR unknown command\r\n").await.0, Err(Failure::NotHttp(_))));
        assert!(matches!(asked(b"").await.0, Err(Failure::NotHttp(_))));
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let nobody = Server::new(free.ip(), free.port());
        assert_eq!(nobody.get("/").await.unwrap_err(), Failure::Refused);
    }
}
