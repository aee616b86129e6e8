//! What a request asks for: its method and path, and nothing else. Pure, so that hostile ones can be tried by the
//! thousand.

use hyper::Method;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use crate::daemon::control::Ask;

/// Longest name of a profile or a container.
const MAX_NAME: usize = 512;

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Something for the engine.
    Ask(Ask),
    /// A recording to be started: the body says which.
    Start,
    /// The description of the interface.
    Description,
}

/// Why a request is about nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoRoute {
    /// There is nothing at that path.
    Unknown,
    /// There is, but not with that method; those it has.
    Method(&'static str),
    /// A name in the path is none.
    Name,
}

/// The body of `POST /v1/recordings`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartRequest {
    /// Name or unambiguous id of the container.
    pub container: String,
    /// The profile it goes to; the rules decide where there is none.
    #[serde(default)]
    pub profile: Option<String>,
}

impl StartRequest {
    /// As something to ask; `None` when a name is none.
    pub fn ask(self) -> Option<Ask> {
        let usable = is_name(&self.container) && self.profile.as_deref().is_none_or(is_name);
        usable.then_some(Ask::Start { container: self.container, profile: self.profile })
    }
}

/// Finds what `method` on `path` asks for. `HEAD` is as `GET`.
pub fn find(method: &Method, path: &str) -> Result<Route, NoRoute> {
    let segments: Vec<&str> = path.strip_prefix('/').ok_or(NoRoute::Unknown)?.split('/').collect();
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    let only = |wanted: Method, allow: &'static str, route: Route| {
        if *method == wanted { Ok(route) } else { Err(NoRoute::Method(allow)) }
    };
    let get = |ask: Ask| only(Method::GET, "GET, HEAD", Route::Ask(ask));
    match segments.as_slice() {
        ["metrics"] => get(Ask::Metrics),
        ["v1", "health"] => get(Ask::Health),
        ["v1", "status"] => get(Ask::Status { profile: None }),
        ["v1", "openapi.json"] => only(Method::GET, "GET, HEAD", Route::Description),
        ["v1", "profiles"] => get(Ask::List),
        ["v1", "profiles", name] => match *method {
            Method::DELETE => Ok(Route::Ask(Ask::Forget { profile: decoded(name)? })),
            Method::GET => Ok(Route::Ask(Ask::Status { profile: Some(decoded(name)?) })),
            _ => Err(NoRoute::Method("GET, HEAD, DELETE")),
        },
        ["v1", "profiles", name, "manifest"] => get(Ask::Snapshot { profile: decoded(name)? }),
        ["v1", "recordings"] => only(Method::POST, "POST", Route::Start),
        ["v1", "recordings", name] => {
            only(Method::DELETE, "DELETE", Route::Ask(Ask::Stop { name: decoded(name)? }))
        }
        _ => Err(NoRoute::Unknown),
    }
}

fn decoded(segment: &str) -> Result<String, NoRoute> {
    let name = percent_decode_str(segment).decode_utf8().map_err(|_| NoRoute::Name)?;
    if is_name(&name) { Ok(name.into_owned()) } else { Err(NoRoute::Name) }
}

/// Whether it can be the name of anything: what it is said in must stay one line.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_path_is_found() {
        let web = || "a/b".to_owned();
        let asked = [
            ("GET", "/metrics", Ask::Metrics),
            ("HEAD", "/v1/health", Ask::Health),
            ("GET", "/v1/status", Ask::Status { profile: None }),
            ("GET", "/v1/profiles", Ask::List),
            ("GET", "/v1/profiles/a%2fb", Ask::Status { profile: Some(web()) }),
            ("DELETE", "/v1/profiles/a%2Fb", Ask::Forget { profile: web() }),
            ("GET", "/v1/profiles/a%2Fb/manifest", Ask::Snapshot { profile: web() }),
            ("DELETE", "/v1/recordings/a%2Fb", Ask::Stop { name: web() }),
        ];
        for (method, path, ask) in asked {
            let method = method.parse().unwrap();
            assert_eq!(find(&method, path), Ok(Route::Ask(ask)), "{method} {path}");
        }
        assert_eq!(find(&Method::POST, "/v1/recordings"), Ok(Route::Start));
        assert_eq!(find(&Method::GET, "/v1/openapi.json"), Ok(Route::Description));
    }

    #[test]
    fn what_is_not_there_is_said_precisely() {
        for path in
            ["", "/", "/v1", "/v1/", "/v2/status", "//v1/status", "/v1/status/", "/v1/profiles/a/b", "*"]
        {
            assert_eq!(find(&Method::GET, path), Err(NoRoute::Unknown), "{path}");
        }
        assert_eq!(find(&Method::POST, "/v1/status"), Err(NoRoute::Method("GET, HEAD")));
        assert_eq!(find(&Method::GET, "/v1/recordings/web"), Err(NoRoute::Method("DELETE")));
        for name in ["", "%ff", "a%0a", "%00", "%1b[2J", &"a".repeat(MAX_NAME + 1)] {
            assert_eq!(find(&Method::GET, &format!("/v1/profiles/{name}")), Err(NoRoute::Name), "{name}");
        }
    }

    #[test]
    fn a_start_has_names() {
        let ask = |text: &str| serde_json::from_str::<StartRequest>(text).ok().and_then(StartRequest::ask);
        let started = Ask::Start { container: "web".into(), profile: None };
        assert_eq!(ask(r#"{"container": "web"}"#), Some(started));
        for text in ["{}", r#"{"container": ""}"#, r#"{"container": "a\n"}"#, r#"{"container": "a", "x": 1}"#]
        {
            assert_eq!(ask(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_path_panics(path in "\\PC{0,64}", names in proptest::collection::vec("[a-z%0-9/.]{0,8}", 0..6)) {
            for path in [path, format!("/v1/{}", names.join("/"))] {
                let _ = find(&Method::GET, &path);
                let _ = find(&Method::DELETE, &path);
            }
        }
    }
}
