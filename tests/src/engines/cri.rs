//! What a kubelet asks of a runtime, as bytes: an account of the protocol that owes nothing to the agent's.
//!
//! Numbers of fields are those of Kubernetes' `api.proto` (runtime.v1); curl speaks HTTP/2.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command::outcome;

/// A message in the making.
#[derive(Debug, Clone, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub fn text(self, field: u8, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    pub fn message(self, field: u8, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }

    pub fn number(mut self, field: u8, number: u8) -> Self {
        self.0.extend([field << 3, number]);
        self
    }

    /// An entry of a map of texts.
    pub fn entry(self, field: u8, key: &str, value: &str) -> Self {
        self.message(field, &Self::default().text(1, key).text(2, value))
    }

    fn bytes(mut self, field: u8, bytes: &[u8]) -> Self {
        self.0.push(field << 3 | 2);
        let mut length = bytes.len();
        while length >= 0x80 {
            self.0.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        self.0.push(length as u8);
        self.0.extend(bytes);
        self
    }
}

/// Asks `method` of the runtime at `socket`; the first field of the answer, which is a container's or pod's id or nothing.
pub(super) fn ask(socket: &Path, method: &str, question: &Message) -> Result<String> {
    let place = tempfile::tempdir()?;
    let (asked, answered) = (place.path().join("asked"), place.path().join("answered"));
    let length = u32::try_from(question.0.len())?.to_be_bytes();
    fs::write(&asked, [&[0], &length[..], &question.0].concat())?;
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--http2-prior-knowledge", "--unix-socket"]).arg(socket);
    curl.args(["--header", "content-type: application/grpc", "--header", "te: trailers", "--verbose"]);
    curl.arg("--data-binary").arg(format!("@{}", asked.display())).arg("--output").arg(&answered);
    let told = outcome(curl.arg(format!("http://localhost/runtime.v1.RuntimeService/{method}")))?;
    // Trailers are shown with everything else.
    let done = told.stderr.lines().any(|line| line.trim_end().ends_with("grpc-status: 0"));
    ensure!(told.code == Some(0) && done, "{method} failed: {}", told.stderr);
    let answer = fs::read(&answered).unwrap_or_default();
    let Some([tag, length, text @ ..]) = answer.get(5..) else { return Ok(String::new()) };
    ensure!(*tag == 1 << 3 | 2 && usize::from(*length) == text.len(), "{method} answered {answer:?}");
    String::from_utf8(text.to_owned()).with_context(|| format!("{method} answered no text"))
}
