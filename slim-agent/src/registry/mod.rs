//! Registries, as the OCI distribution specification has them: names of what they hold, the credentials of
//! `docker login`, and one conversation.

use anyhow::{Result, bail};

mod address;
mod answer;
mod challenge;
mod credentials;
mod patience;
mod reference;
mod session;

pub use answer::Answer;
pub use patience::pause;
pub use reference::Reference;
pub use session::{Access, Body, Session, Stream};

const BYTES: &str = "application/octet-stream";

/// Sends a blob in one request, unless the registry has it.
///
/// # Errors
/// The registry does not answer, or does not take it.
pub fn send(to: &mut Session, digest: &str, bytes: &Body<'_>) -> Result<()> {
    let answer = to.ask("HEAD", &format!("blobs/{digest}"), "", &Body::None)?;
    match answer.status {
        200 => return Ok(()),
        404 => {}
        _ => answer.expect(&[200, 404]).map(drop)?,
    }
    let begun = to.ask("POST", "blobs/uploads/", BYTES, &Body::Bytes(&[]))?.expect(&[202])?;
    let Answer { location: Some(location), .. } = begun else {
        bail!("the registry does not say where to send it to");
    };
    let separator = if location.contains('?') { '&' } else { '?' };
    to.ask_at("PUT", &format!("{location}{separator}digest={digest}"), BYTES, bytes)?.expect(&[201]).map(drop)
}
