//! One conversation with a registry: every request carries what the registry wants to know of who asks.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use ureq::http::{self, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, SendBody};

use super::address;
use super::answer::{Answer, read};
use super::challenge::Challenge;
use super::credentials::{self, Credentials};
use super::patience::pause;
use super::reference::Reference;
use crate::container::endpoint::Surroundings;

/// How long a registry may take to accept a connection, and to answer once it has all of a request. It may have to
/// check a blob of many gigabytes.
const CONNECT: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(600);
/// Most bytes of an answer that are read.
const MAX_ANSWER: u64 = 1 << 20;
/// How often a registry is asked that is not up to it.
const ATTEMPTS: u32 = 4;
/// How often an answer may be elsewhere.
const MAX_REDIRECTS: usize = 5;

/// What to do about a certificate that nobody vouches for.
const TRUST: &str = "the registry's certificate is not trusted: add its authority's to the system's, or name it in SSL_CERT_FILE";

/// What is sent.
pub enum Body<'a> {
    /// Nothing.
    None,
    /// Bytes in memory.
    Bytes(&'a [u8]),
    /// Bytes on disk, read as they are sent.
    Stream(&'a dyn Stream),
}

/// Bytes that can be read more than once.
pub trait Stream {
    /// The bytes, from the first.
    fn open(&self) -> Box<dyn Read + '_>;

    /// How many they are.
    fn size(&self) -> u64;
}

/// What one wants to do in a repository: a token allows no more than that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read.
    Pull,
    /// Read and add.
    Push,
    /// Read, add and delete.
    Delete,
}

impl Access {
    fn actions(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "pull,push",
            Self::Delete => "pull,push,delete",
        }
    }
}

impl Body<'_> {
    fn open(&self) -> Option<Box<dyn Read + '_>> {
        match self {
            Self::None => None,
            Self::Bytes(bytes) => Some(Box::new(*bytes)),
            Self::Stream(stream) => Some(stream.open()),
        }
    }

    fn len(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Stream(stream) => stream.size(),
        }
    }
}

/// A request.
struct Request<'a> {
    method: &'a str,
    /// The media type of the body.
    kind: &'a str,
    /// The media types that the answer may have; empty for any.
    accept: &'a str,
    body: &'a Body<'a>,
    /// Most bytes of the answer that are read.
    limit: u64,
    /// Whether to ask once more when the registry is not up to it now: it is the same to ask twice.
    again: bool,
}

/// A conversation about one repository.
pub struct Session {
    agent: Agent,
    /// `https://host:port`.
    base: String,
    registry: String,
    repository: String,
    access: Access,
    credentials: Option<Credentials>,
    /// The value of the header `Authorization`, once the registry asked for one.
    authorization: Option<String>,
}

impl Session {
    /// Prepares a conversation about the repository of `reference`; nothing is sent yet.
    ///
    /// # Errors
    /// The credentials cannot be read.
    pub fn open(reference: &Reference, access: Access, around: &Surroundings<'_>) -> Result<Self> {
        let registry = reference.registry().to_owned();
        let credentials = credentials::find(&registry, around)
            .with_context(|| format!("cannot get the credentials for {registry}"))?;
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .user_agent(concat!("slim-agent/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .timeout_recv_body(Some(ANSWER))
            .max_redirects(0)
            .tls_config(tls.build())
            .build();
        Ok(Self {
            agent: agent.into(),
            base: address::base(&registry),
            registry,
            repository: reference.repository(),
            access,
            credentials,
            authorization: None,
        })
    }

    /// Asks whether there is a registry, and whether it accepts who asks.
    ///
    /// # Errors
    /// It does not answer, is no registry, or refuses.
    pub fn greet(&mut self) -> Result<()> {
        let answer = self.ask_at("GET", &format!("{}/v2/", self.base), "", &Body::None)?;
        let context = || format!("what answers at {} is no registry that can be used", self.base);
        answer.expect(&[200]).map(drop).with_context(context)
    }

    /// A request about the repository: `path` comes behind `/v2/NAME/`.
    ///
    /// # Errors
    /// The registry does not answer, or refuses who asks; any other status is an answer.
    pub fn ask(&mut self, method: &str, path: &str, kind: &str, body: &Body<'_>) -> Result<Answer> {
        self.ask_at(method, &self.address(path), kind, body)
    }

    /// A request at an address that the registry named.
    ///
    /// # Errors
    /// As [`Self::ask`], and when the address is in clear on another machine.
    pub fn ask_at(&mut self, method: &str, url: &str, kind: &str, body: &Body<'_>) -> Result<Answer> {
        self.follow(
            url,
            &Request {
                method,
                kind,
                accept: "",
                body,
                limit: MAX_ANSWER,
                again: method != "POST" && !matches!(body, Body::Stream(_)),
            },
        )
    }

    /// What the repository has at `path`, or at an address that the registry named: at most `limit` bytes of it.
    ///
    /// # Errors
    /// As [`Self::ask_at`].
    pub fn get(&mut self, path: &str, accept: &str, limit: u64) -> Result<Answer> {
        let url =
            if path.starts_with('/') || path.contains("://") { path.to_owned() } else { self.address(path) };
        self.follow(&url, &Request { method: "GET", kind: "", accept, body: &Body::None, limit, again: true })
    }

    fn address(&self, path: &str) -> String {
        format!("{}/v2/{}/{path}", self.base, self.repository)
    }

    /// Sends a request, and where it only reads, goes where the registry says that the answer is.
    fn follow(&mut self, url: &str, request: &Request<'_>) -> Result<Answer> {
        let mut url = address::resolve(&self.base, url)?;
        for _ in 0..MAX_REDIRECTS {
            let answer = self.patiently(&url, request)?;
            let moved = matches!(answer.status, 301 | 302 | 303 | 307 | 308)
                && ["GET", "HEAD"].contains(&request.method);
            let Some(location) = answer.location.as_deref().filter(|_| moved) else { return Ok(answer) };
            url = address::resolve(&address::origin(&url)?, location)?;
        }
        bail!(
            "registry {} sends from one address to the next, more than {MAX_REDIRECTS} times",
            self.registry
        )
    }

    /// Sends a request, and some times more when the registry has too much to do or stumbles over what others do.
    fn patiently(&mut self, url: &str, request: &Request<'_>) -> Result<Answer> {
        let mut attempt = 0;
        loop {
            let answer = self.authorized(url, request)?;
            attempt += 1;
            if attempt == ATTEMPTS || !request.again || !matches!(answer.status, 429 | 500 | 502..=504) {
                return Ok(answer);
            }
            pause(attempt);
        }
    }

    /// Sends a request; once more with credentials when the registry asks for them.
    fn authorized(&mut self, url: &str, request: &Request<'_>) -> Result<Answer> {
        let own = address::is_within(url, &self.base);
        let authorization = self.authorization.clone().filter(|_| own);
        let answer = self.send(url, authorization.as_deref(), request)?;
        if answer.status != 401 || !own {
            return Ok(answer);
        }
        let authorization = self.authorize(&answer)?;
        self.authorization = Some(authorization.clone());
        let answer = self.send(url, Some(&authorization), request)?;
        ensure!(answer.status != 401, "{}", self.refused(&answer));
        Ok(answer)
    }

    fn send(&self, url: &str, authorization: Option<&str>, request: &Request<'_>) -> Result<Answer> {
        let Request { method, kind, accept, body, limit, .. } = *request;
        let mut request = http::Request::builder().method(method).uri(url);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        if !accept.is_empty() {
            request = request.header("accept", accept);
        }
        if !matches!(body, Body::None) {
            request = request.header("content-length", body.len()).header("content-type", kind);
        }
        let no_address = || format!("{url:?} is no address");
        let response = match body.open() {
            None => self.agent.run(request.body(()).with_context(no_address)?),
            Some(mut bytes) => {
                let body = SendBody::from_reader(&mut bytes);
                self.agent.run(request.body(body).with_context(no_address)?)
            }
        };
        let response = response.map_err(|error| self.unreachable(error))?;
        read(response, limit)
    }

    /// What to send in the header `Authorization`, given what the registry asks for.
    fn authorize(&self, asked: &Answer) -> Result<String> {
        let challenges = asked.challenges.iter().flat_map(|text| Challenge::parse(text)).collect::<Vec<_>>();
        if let Some(bearer) = challenges.iter().find(|challenge| challenge.is("bearer")) {
            return Ok(format!("Bearer {}", self.token(bearer)?));
        }
        ensure!(challenges.iter().any(|challenge| challenge.is("basic")), "{}", self.refused(asked));
        match &self.credentials {
            Some(Credentials::Password { user, password }) => Ok(basic(user, password)),
            _ => bail!("{}", self.refused(asked)),
        }
    }

    /// A token that allows what is wanted in the repository.
    fn token(&self, challenge: &Challenge) -> Result<String> {
        let realm = challenge.get("realm").context("the registry does not say where tokens are given")?;
        ensure!(
            realm.starts_with("https://") || address::is_loopback(realm),
            "the registry wants its tokens to be fetched from {realm}, in clear: refused"
        );
        let scope = format!("repository:{}:{}", self.repository, self.access.actions());
        let mut query = BTreeMap::from([("scope", scope.as_str())]);
        query.extend(challenge.get("service").map(|service| ("service", service)));
        let answer = match &self.credentials {
            Some(Credentials::Identity(token)) => {
                query.extend([("grant_type", "refresh_token"), ("refresh_token", token)]);
                query.extend([("client_id", "slim-agent")]);
                let (form, kind) = (address::form(&query), "application/x-www-form-urlencoded");
                let body = &Body::Bytes(form.as_bytes());
                let post =
                    Request { method: "POST", kind, accept: "", body, limit: MAX_ANSWER, again: false };
                self.send(realm, None, &post)
            }
            other => {
                let separator = if realm.contains('?') { '&' } else { '?' };
                let url = format!("{realm}{separator}{}", address::form(&query));
                let user = other.as_ref().and_then(Credentials::password);
                let authorization = user.map(|(user, password)| basic(user, password));
                let get = Request {
                    method: "GET",
                    kind: "",
                    accept: "",
                    body: &Body::None,
                    limit: MAX_ANSWER,
                    again: false,
                };
                self.send(&url, authorization.as_deref(), &get)
            }
        };
        let answer = answer.context("cannot fetch a token")?;
        ensure!(answer.status != 401, "{}", self.refused(&answer));
        let bytes = answer.expect(&[200]).context("cannot fetch a token")?.bytes;
        let json: Value = serde_json::from_slice(&bytes).context("what should be a token is not JSON")?;
        let token = json["token"].as_str().or(json["access_token"].as_str());
        token.map(str::to_owned).context("the answer to the request for a token has none")
    }

    fn unreachable(&self, error: ureq::Error) -> anyhow::Error {
        let is_certificate = error.to_string().contains("certificate");
        let error = anyhow::Error::new(error).context(format!("cannot talk to registry {}", self.registry));
        if is_certificate { error.context(TRUST) } else { error }
    }

    fn refused(&self, answer: &Answer) -> String {
        let who = match &self.credentials {
            None => "nobody is logged in".to_owned(),
            Some(Credentials::Password { user, .. }) => format!("as {user}"),
            Some(Credentials::Identity(_)) => "with the token of the last login".to_owned(),
        };
        let registry = &self.registry;
        format!("registry {registry} refuses access ({who}): `docker login {registry}`{}", answer.words())
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// Checks an address that came from outside.
pub(super) fn parsed(url: &str) -> Result<Uri> {
    url.parse().with_context(|| format!("the registry names {url:?}, which is no address"))
}
