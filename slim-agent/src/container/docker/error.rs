//! What the engine's client reports, in words that say what to do next.

use std::error::Error as _;
use std::io;

use anyhow::{Error, anyhow};
use bollard::errors::Error as Report;

use crate::container::Absent;
use crate::container::endpoint::Endpoint;

/// The engine could not be reached at all, or at least not asked for its version.
pub(super) fn unreachable(report: Report, at: &Endpoint) -> Error {
    if matches!(report, Report::SocketNotFoundError(_)) {
        return no_engine(at);
    }
    match io_kind(&report) {
        Some(io::ErrorKind::PermissionDenied) => {
            anyhow!("permission denied on {at}: run as root, or as a member of the socket's group (docker)")
        }
        Some(io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => no_engine(at),
        _ => Error::new(report).context(format!("what answers at {at} is not a usable container engine")),
    }
}

fn no_engine(at: &Endpoint) -> Error {
    Absent::Runtime(format!("no container engine answers at {at}: start it or set DOCKER_HOST")).into()
}

/// A request to do something (`cannot start`) with container `name` failed.
pub(super) fn about_container(report: Report, cannot: &str, name: &str) -> Error {
    match &report {
        Report::DockerResponseServerError { message, .. }
            if message.to_lowercase().contains("multiple ids found") =>
        {
            anyhow!("{name} is the beginning of more than one container's id: give more digits, or the name")
        }
        Report::DockerResponseServerError { status_code: 404, message }
            if message.contains("No such container") || message.contains("no such container") =>
        {
            no_container(name)
        }
        _ => other(report).context(format!("{cannot} container {}", short(name))),
    }
}

/// A full id as the docker CLI shows it; a name as it is.
fn short(name: &str) -> &str {
    let id = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if id { &name[..12] } else { name }
}

/// The error for a container that the engine does not know.
pub(super) fn no_container(name: &str) -> Error {
    Absent::Container(format!("no such container {name}; `docker ps -a` lists them")).into()
}

/// A request about image `name` failed.
pub(super) fn about_image(report: Report, name: &str) -> Error {
    if matches!(report, Report::DockerResponseServerError { status_code: 404, .. }) {
        return Absent::Image(format!(
            "the engine has no image {name}: pull, load or build it again; `docker images` lists them"
        ))
        .into();
    }
    other(report).context(format!("cannot read image {name}"))
}

/// Any other failed request: the engine's own words, or that it went away.
pub(super) fn other(report: Report) -> Error {
    match report {
        Report::DockerResponseServerError { message, status_code } => {
            anyhow!("the engine refused with status {status_code}: {}", message.trim_end())
        }
        Report::DockerStreamError { error } => anyhow!("the engine reports: {}", error.trim_end()),
        Report::RequestTimeoutError => anyhow!("the engine did not answer in time"),
        report if went_away(&report) => anyhow!("engine connection lost: {}", innermost(&report)),
        report => Error::new(report),
    }
}

/// The cause that says what happened: those around it name layers of the client.
fn innermost(report: &Report) -> String {
    let causes = std::iter::successors(report.source(), |&cause| cause.source());
    causes.last().map_or_else(|| report.to_string(), ToString::to_string)
}

/// Whether the error is about the connection and not about the request.
fn went_away(report: &Report) -> bool {
    matches!(
        report,
        Report::HyperLegacyError { .. } | Report::HyperResponseError { .. } | Report::SocketNotFoundError(_)
    ) || io_kind(report).is_some()
}

/// The kind of the first I/O error in the chain of causes.
fn io_kind(report: &Report) -> Option<io::ErrorKind> {
    let mut cause = report.source();
    if let Report::IOError { err } = report {
        return Some(err.kind());
    }
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        cause = error.source();
    }
    None
}
