//! gRPC over a unix socket, as much as CRI needs: one question, one answer.
//!
//! The protocol is HTTP/2 with a length before each message and the outcome in the trailers
//! (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md); hyper speaks HTTP/2, prost the messages.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::header::HeaderMap;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Before each message: whether it is compressed (never, as nobody offers it), and how long it is.
const PREFIX: usize = 5;
/// Largest answer that is taken. A list of a thousand containers has about one MB.
const MOST: usize = 64 << 20;

/// A connection to a runtime, made when it is needed and made again when it was lost.
#[derive(Debug)]
pub struct Channel {
    socket: PathBuf,
    sender: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

/// The other side understood the question, and refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// As gRPC numbers them.
    pub code: u32,
    /// In the runtime's words.
    pub message: String,
}

impl Refusal {
    /// What was asked about does not exist.
    pub const NOT_FOUND: u32 = 5;
    /// The other side does not have this method.
    pub const UNIMPLEMENTED: u32 = 12;

    /// Whether `error` is a refusal with this code.
    pub fn is(error: &anyhow::Error, code: u32) -> bool {
        error.downcast_ref::<Self>().is_some_and(|refusal| refusal.code == code)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the runtime refused with code {}: {}", self.code, self.message)
    }
}

impl std::error::Error for Refusal {}

impl Channel {
    /// A channel to the socket at `socket`; nothing is sent yet.
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned(), sender: Mutex::new(None) }
    }

    /// Asks `method`, such as `/runtime.v1.RuntimeService/Version`, and waits `limit` for the answer at most.
    ///
    /// # Errors
    /// [`Refusal`] when the runtime refuses; otherwise it cannot be reached, does not answer in time, or answers what is
    /// not gRPC.
    pub async fn call<A: Message + Default>(
        &self,
        method: &str,
        question: &impl Message,
        limit: Duration,
    ) -> Result<A> {
        let exchange = timeout(limit, self.exchange(method, question));
        let answer = exchange.await.map_err(|_| anyhow!("no answer within {} s", limit.as_secs()))?;
        answer.with_context(|| format!("cannot ask unix://{}", self.socket.display()))
    }

    async fn exchange<A: Message + Default>(&self, method: &str, question: &impl Message) -> Result<A> {
        let request = Request::post(format!("http://localhost{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(framed(question)?))?;
        let response = self.sender().await?.send_request(request).await.context("the connection was lost")?;
        let (head, body) = response.into_parts();
        ensure!(head.status == StatusCode::OK, "it answered with HTTP status {}", head.status);
        // A refusal may come without a body, with the outcome where the headers are.
        outcome(&head.headers)?;
        let body = Limited::new(body, MOST).collect().await;
        let body = body.map_err(|error| anyhow!("the answer broke off: {error}"))?;
        if let Some(trailers) = body.trailers() {
            outcome(trailers)?;
        }
        let message = unframed(body.to_bytes())?;
        A::decode(message).context("the answer is not what CRI says it is")
    }

    /// Whoever sends requests on the connection; a new one when the old one was closed.
    async fn sender(&self) -> Result<SendRequest<Full<Bytes>>> {
        let mut place = self.sender.lock().await;
        if let Some(sender) = place.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let stream = UnixStream::connect(&self.socket).await?;
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        // It ends with the connection; whoever waits for an answer then gets the error.
        tokio::spawn(connection);
        Ok(place.insert(sender).clone())
    }
}

fn framed(message: &impl Message) -> Result<Bytes> {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(PREFIX + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).context("the question is too long")?);
    message.encode(&mut frame)?;
    Ok(frame.freeze())
}

/// The only message of an answer.
fn unframed(mut body: Bytes) -> Result<Bytes> {
    let prefix: [u8; PREFIX] =
        body.get(..PREFIX).and_then(|prefix| prefix.try_into().ok()).context("no answer")?;
    let [compressed, length @ ..] = prefix;
    ensure!(compressed == 0, "the answer is compressed, which was not asked for");
    let length = usize::try_from(u32::from_be_bytes(length))?;
    let message = body.split_off(PREFIX);
    ensure!(message.len() == length, "the answer has {} bytes instead of {length}", message.len());
    Ok(message)
}

/// The outcome in headers or trailers; where there is none, it is not known yet.
fn outcome(headers: &HeaderMap) -> Result<()> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match text("grpc-status") {
        None | Some("0") => Ok(()),
        Some(code) => {
            let Ok(code) = code.parse() else { bail!("it answered with the status {code:?}") };
            Err(Refusal { code, message: unescape(text("grpc-message").unwrap_or_default()) }.into())
        }
    }
}

/// Messages have everything but plain ASCII as `%` and two hexadecimal digits.
fn unescape(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = (byte == b'%').then(|| after.first_chunk::<2>()).flatten();
        let escaped = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_refusal_has_the_runtime_s_words() {
        let mut headers = HeaderMap::new();
        assert!(outcome(&headers).is_ok());
        headers.insert("grpc-status", "0".parse().unwrap());
        assert!(outcome(&headers).is_ok());
        headers.insert("grpc-status", "5".parse().unwrap());
        headers.insert("grpc-message", "no %22web%22 here, 100%".parse().unwrap());
        let error = outcome(&headers).unwrap_err();
        assert!(Refusal::is(&error, Refusal::NOT_FOUND) && !Refusal::is(&error, Refusal::UNIMPLEMENTED));
        assert!(error.to_string().ends_with("no \"web\" here, 100%"), "{error}");
        headers.insert("grpc-status", "gone".parse().unwrap());
        assert!(outcome(&headers).unwrap_err().to_string().contains("gone"));
    }

    #[test]
    fn an_answer_must_be_whole() {
        let whole = framed(&"web".to_owned()).unwrap();
        assert_eq!(String::decode(unframed(whole.clone()).unwrap()).unwrap(), "web");
        for bad in [whole.slice(..4), whole.slice(..whole.len() - 1), Bytes::from_static(b"\x01\0\0\0\0")] {
            assert!(unframed(bad).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_read_without_panic(bytes: Vec<u8>, text in ".*") {
            let _ = unframed(Bytes::from(bytes));
            let _ = unescape(&text);
        }

        #[test]
        fn any_message_is_read_back(text in ".*") {
            let escaped: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert_eq!(unescape(&escaped), text);
        }
    }
}
