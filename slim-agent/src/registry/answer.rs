//! What a registry answers: the headers that matter, its body, and its own words when it refuses.

use std::io::Read;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;
use ureq::http::Response;

/// Most of a registry's own words that are shown.
const SHOWN: usize = 400;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The header `Location`.
    pub location: Option<String>,
    /// The header `Link`.
    pub link: Option<String>,
    /// The header `Content-Type`.
    pub kind: Option<String>,
    /// The header `OCI-Subject`: the registry noted what the manifest refers to.
    pub subject: Option<String>,
    /// The body, or as much of it as was to be read.
    pub bytes: Vec<u8>,
    /// Whether that is all of it.
    pub whole: bool,
    /// The headers `WWW-Authenticate`.
    pub(super) challenges: Vec<String>,
}

/// Reads at most `limit` bytes of a response.
///
/// # Errors
/// It breaks off.
pub(super) fn read(mut response: Response<ureq::Body>, limit: u64) -> Result<Answer> {
    let texts = |name: &str| {
        let values = response.headers().get_all(name).iter();
        values.filter_map(|value| value.to_str().ok()).map(str::to_owned).collect::<Vec<_>>()
    };
    let first = |name: &str| texts(name).into_iter().next();
    let mut answer = Answer {
        status: response.status().as_u16(),
        location: first("location"),
        link: first("link"),
        kind: first("content-type"),
        subject: first("oci-subject"),
        bytes: Vec::new(),
        whole: true,
        challenges: texts("www-authenticate"),
    };
    let body = response.body_mut().as_reader().take(limit.saturating_add(1)).read_to_end(&mut answer.bytes);
    body.context("the registry's answer breaks off")?;
    answer.whole = answer.bytes.len() as u64 <= limit;
    answer.bytes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(answer)
}

impl Answer {
    /// The answer if it has one of the statuses.
    ///
    /// # Errors
    /// It has another: with the registry's own words.
    pub fn expect(self, statuses: &[u16]) -> Result<Self> {
        if statuses.contains(&self.status) {
            return Ok(self);
        }
        let hint = match self.status {
            401 | 403 => ": it does not allow that to who is logged in",
            404 => ": it has no such repository, or is no registry",
            413 => ": it or a proxy before it takes no blob of this size",
            _ => "",
        };
        Err(anyhow!("the registry answers with status {}{hint}{}", self.status, self.words()))
    }

    /// The registry's own words, for the end of a message.
    pub(super) fn words(&self) -> String {
        let json: Option<Value> = serde_json::from_slice(&self.bytes).ok();
        let errors = json.as_ref().and_then(|json| json["errors"].as_array()).into_iter().flatten();
        let said: Vec<&str> =
            errors.filter_map(|error| error["message"].as_str().or(error["code"].as_str())).collect();
        let said: String = said.join("; ").chars().take(SHOWN).collect();
        if said.is_empty() { said } else { format!(" (it says: {said})") }
    }
}
