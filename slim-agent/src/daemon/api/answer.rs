//! Answers and refusals as HTTP responses.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use super::OPENAPI;
use super::route::NoRoute;
use crate::daemon::control::{Answer, Refusal, RefusalKind};
use crate::daemon::metrics;

/// What is answered with.
pub type Reply = Response<Full<Bytes>>;

const JSON: &str = "application/json";

/// The body of everything that is not granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Why.
    pub error: String,
    /// What to do instead.
    pub hint: String,
}

/// A response that is not granted.
pub fn error(status: StatusCode, error: impl Into<String>, hint: &str) -> Reply {
    json(status, &ErrorBody { error: error.into(), hint: hint.to_owned() })
}

/// A request that is about nothing.
pub fn no_route(why: &NoRoute) -> Reply {
    let listed = "GET /v1/openapi.json describes all there is";
    match why {
        NoRoute::Unknown => error(StatusCode::NOT_FOUND, "there is nothing at this path", listed),
        NoRoute::Name => error(
            StatusCode::BAD_REQUEST,
            "the path has no usable name",
            "write names percent-encoded, in UTF-8",
        ),
        NoRoute::Method(allow) => {
            let mut reply =
                error(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method", listed);
            reply.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
            reply
        }
    }
}

/// What the engine refused.
pub fn refused(refusal: &Refusal) -> Reply {
    let (status, hint) = match refusal.kind {
        RefusalKind::NotFound => (StatusCode::NOT_FOUND, "GET /v1/profiles lists the profiles"),
        RefusalKind::Conflict => (StatusCode::CONFLICT, "GET /v1/status says what is being recorded"),
        RefusalKind::Invalid => (StatusCode::BAD_REQUEST, "GET /v1/openapi.json says what is taken"),
        RefusalKind::Unavailable => {
            (StatusCode::SERVICE_UNAVAILABLE, "GET /v1/health says why; ask again later")
        }
    };
    error(status, refusal.message.clone(), hint)
}

/// What the engine answered.
pub fn granted(answer: Answer) -> Reply {
    match answer {
        Answer::Status(status) => json(StatusCode::OK, &status),
        Answer::Profile(profile) => json(StatusCode::OK, &profile),
        Answer::Profiles(profiles) => json(StatusCode::OK, &serde_json::json!({ "profiles": profiles })),
        Answer::Started(started) => json(StatusCode::CREATED, &started),
        Answer::Stopped(stopped) => json(StatusCode::OK, &stopped),
        Answer::Snapshot(manifest) => reply(StatusCode::OK, JSON, manifest),
        Answer::Forgotten(forgotten) => json(StatusCode::OK, &forgotten),
        Answer::Metrics(measured) => reply(StatusCode::OK, metrics::CONTENT_TYPE, metrics::text(&measured)),
        Answer::Health(health) => {
            let status = if health.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            json(status, &health)
        }
    }
}

/// The interface's own description.
pub fn description() -> Reply {
    reply(StatusCode::OK, JSON, OPENAPI)
}

fn json(status: StatusCode, body: &impl Serialize) -> Reply {
    match serde_json::to_vec_pretty(body) {
        Ok(mut bytes) => {
            bytes.push(b'\n');
            reply(status, JSON, bytes)
        }
        // No type above can fail to be written; should one come to, it is said.
        Err(error) => reply(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", error.to_string()),
    }
}

fn reply(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}
