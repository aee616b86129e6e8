//! Where the container engine listens, found as the docker CLI finds it.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

/// Where the engine listens when nothing says otherwise.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// An address that the agent can talk to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A unix socket on this host.
    Unix(PathBuf),
    /// `host:port`, plain HTTP.
    Tcp(String),
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(out, "unix://{}", path.display()),
            Self::Tcp(address) => write!(out, "tcp://{address}"),
        }
    }
}

/// What the search looks at: the environment and the docker CLI's files.
pub struct Surroundings<'a> {
    /// The value of an environment variable, if it is set.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The bytes of a file.
    pub read: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
}

impl Surroundings<'static> {
    /// This process's own.
    pub fn real() -> Self {
        Self { env: &|name| std::env::var(name).ok(), read: &|path| fs::read(path) }
    }
}

impl Surroundings<'_> {
    /// The value of a variable that says something.
    pub(super) fn set(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.is_empty())
    }

    /// The directory of the docker CLI's files; none without a home.
    fn config_dir(&self) -> Option<PathBuf> {
        let dir = self.set("DOCKER_CONFIG").map(PathBuf::from);
        dir.or_else(|| Some(Path::new(&self.set("HOME")?).join(".docker")))
    }

    /// The docker CLI's `config.json` and where it is; `None` when there is none.
    ///
    /// # Errors
    /// It cannot be read, or is not JSON.
    pub fn config(&self) -> Result<Option<(PathBuf, serde_json::Value)>> {
        let Some(path) = self.config_dir().map(|dir| dir.join("config.json")) else { return Ok(None) };
        let bytes = match (self.read)(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let json =
            serde_json::from_slice(&bytes).with_context(|| format!("{} is not JSON", path.display()))?;
        Ok(Some((path, json)))
    }
}

/// The engine's address: `DOCKER_HOST`, else the context that `DOCKER_CONTEXT` or the CLI's configuration names,
/// else the default socket.
///
/// # Errors
/// A context that does not exist or cannot be read, or an address that this agent cannot use.
pub fn find(around: &Surroundings<'_>) -> Result<Endpoint> {
    if let Some(host) = around.set("DOCKER_HOST") {
        if host.starts_with("tcp://") && around.set("DOCKER_TLS_VERIFY").is_some() {
            bail!("DOCKER_TLS_VERIFY asks for TLS, which this agent does not speak: {USE_SOCKET}");
        }
        return parse(&host).with_context(|| format!("cannot use DOCKER_HOST={host}"));
    }
    let named = match around.set("DOCKER_CONTEXT") {
        Some(name) => Some(name),
        None => current_context(around)?,
    };
    match (named, around.config_dir()) {
        (Some(name), Some(dir)) if name != "default" => {
            of_context(around, &dir, &name).with_context(|| format!("cannot use docker context {name:?}"))
        }
        (Some(name), None) if name != "default" => {
            bail!("docker context {name:?} cannot be looked up: neither DOCKER_CONFIG nor HOME is set")
        }
        _ => Ok(Endpoint::Unix(DEFAULT_SOCKET.into())),
    }
}

const USE_SOCKET: &str = "run the agent on the engine's own host and set DOCKER_HOST to its unix:// socket";

/// `currentContext` of the CLI's `config.json`; a missing file means that none was chosen.
fn current_context(around: &Surroundings<'_>) -> Result<Option<String>> {
    let Some((_, json)) = around.config()? else { return Ok(None) };
    Ok(json["currentContext"].as_str().filter(|name| !name.is_empty()).map(str::to_owned))
}

/// The CLI stores a context in a directory that is named by the SHA-256 of the context's name.
fn of_context(around: &Surroundings<'_>, dir: &Path, name: &str) -> Result<Endpoint> {
    let path = dir.join("contexts/meta").join(sha256_hex(name.as_bytes())).join("meta.json");
    let bytes = (around.read)(&path)
        .with_context(|| format!("cannot read {}; `docker context ls` lists what exists", path.display()))?;
    let json: serde_json::Value =
        serde_json::from_slice(&bytes).with_context(|| format!("{} is not JSON", path.display()))?;
    let host = json["Endpoints"]["docker"]["Host"].as_str();
    parse(host.with_context(|| format!("{} names no docker endpoint", path.display()))?)
}

/// Reads an address as configuration files and `--runtime` spell it: a socket's path, `unix:///PATH`, `tcp://HOST:PORT`.
///
/// # Errors
/// It is none of these, or on another host.
pub fn read(text: &str) -> Result<Endpoint> {
    if text.starts_with('/') {
        return Ok(Endpoint::Unix(text.into()));
    }
    parse(text).with_context(|| format!("cannot use {text} as a runtime's address"))
}

/// Reads an address as `DOCKER_HOST` and contexts spell it.
fn parse(host: &str) -> Result<Endpoint> {
    let Some((scheme, rest)) = host.split_once("://") else {
        bail!("{host:?} has no scheme: write unix:///path or tcp://host:port")
    };
    match scheme {
        "unix" if rest.is_empty() => Ok(Endpoint::Unix(DEFAULT_SOCKET.into())),
        "unix" => Ok(Endpoint::Unix(rest.into())),
        "tcp" | "http" => tcp(rest.trim_end_matches('/')),
        "ssh" => bail!("the engine is on another host, whose kernel this agent cannot observe: {USE_SOCKET}"),
        "https" => bail!("this agent does not speak TLS: {USE_SOCKET}"),
        _ => bail!("scheme {scheme:?} is not supported: write unix:///path or tcp://host:port"),
    }
}

fn tcp(address: &str) -> Result<Endpoint> {
    // A colon inside the brackets of an IPv6 address is not a port's.
    let has_port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    match address {
        "" => bail!("the host is missing: write tcp://host:port"),
        _ if address.contains('/') => bail!("{address:?} has a path: write tcp://host:port"),
        _ if has_port => Ok(Endpoint::Tcp(address.to_owned())),
        _ => Ok(Endpoint::Tcp(format!("{address}:2375"))),
    }
}

/// Lower-case hexadecimal SHA-256.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Each socket once, by whatever links it is spelled: a container must not be told of twice.
pub(super) fn distinct(endpoints: impl Iterator<Item = Endpoint>) -> Vec<Endpoint> {
    let mut seen = HashSet::new();
    endpoints.filter(|endpoint| seen.insert(real(endpoint))).collect()
}

/// The socket's address without links. It may not exist yet, so only its directory is looked up.
fn real(endpoint: &Endpoint) -> Endpoint {
    let Endpoint::Unix(path) = endpoint else { return endpoint.clone() };
    let parts = path.parent().and_then(|dir| fs::canonicalize(dir).ok()).zip(path.file_name());
    Endpoint::Unix(parts.map_or_else(|| path.clone(), |(dir, name)| dir.join(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn find_in(env: &[(&str, &str)], files: &[(&str, &str)]) -> Result<Endpoint> {
        let env: HashMap<_, _> = env.iter().copied().collect();
        let files: HashMap<_, _> = files.iter().map(|&(path, text)| (PathBuf::from(path), text)).collect();
        find(&Surroundings {
            env: &|name| env.get(name).map(|&value| value.to_owned()),
            read: &|path| {
                let text = files.get(path).ok_or(io::ErrorKind::NotFound)?;
                Ok(text.as_bytes().to_vec())
            },
        })
    }

    fn unix(path: &str) -> Endpoint {
        Endpoint::Unix(path.into())
    }

    fn meta_of(name: &str) -> String {
        format!("/h/.docker/contexts/meta/{}/meta.json", sha256_hex(name.as_bytes()))
    }

    #[test]
    fn nothing_set_means_the_default_socket() {
        assert_eq!(find_in(&[], &[]).unwrap(), unix(DEFAULT_SOCKET));
        assert_eq!(find_in(&[("HOME", "/h"), ("DOCKER_HOST", "")], &[]).unwrap(), unix(DEFAULT_SOCKET));
        assert_eq!(find_in(&[("DOCKER_CONTEXT", "default")], &[]).unwrap(), unix(DEFAULT_SOCKET));
    }

    #[test]
    fn docker_host_beats_the_context() {
        let env = [("DOCKER_HOST", "unix:///run/a.sock"), ("DOCKER_CONTEXT", "absent"), ("HOME", "/h")];
        assert_eq!(find_in(&env, &[]).unwrap(), unix("/run/a.sock"));
    }

    #[test]
    fn a_context_is_found_by_the_hash_of_its_name() {
        let meta = meta_of("rootless");
        let json =
            r#"{"Name":"rootless","Endpoints":{"docker":{"Host":"unix:///run/user/1000/docker.sock"}}}"#;
        let config = r#"{"currentContext":"rootless"}"#;
        let files = [(meta.as_str(), json), ("/h/.docker/config.json", config)];
        let found = unix("/run/user/1000/docker.sock");
        assert_eq!(find_in(&[("HOME", "/h")], &files).unwrap(), found);
        assert_eq!(find_in(&[("HOME", "/h"), ("DOCKER_CONTEXT", "rootless")], &files[..1]).unwrap(), found);
        assert_eq!(find_in(&[("HOME", "/x"), ("DOCKER_CONFIG", "/h/.docker")], &files).unwrap(), found);
        assert!(sha256_hex(b"").starts_with("e3b0c442"), "not SHA-256");
    }

    #[test]
    fn an_unknown_context_says_how_to_list_them() {
        let error = find_in(&[("HOME", "/h"), ("DOCKER_CONTEXT", "gone")], &[]).unwrap_err();
        assert!(format!("{error:#}").contains("docker context ls"), "{error:#}");
    }

    #[test]
    fn addresses() {
        let tcp = |text: &str| Endpoint::Tcp(text.to_owned());
        assert_eq!(parse("tcp://127.0.0.1:2376").unwrap(), tcp("127.0.0.1:2376"));
        assert_eq!(parse("tcp://engine").unwrap(), tcp("engine:2375"));
        assert_eq!(parse("tcp://[::1]:99/").unwrap(), tcp("[::1]:99"));
        assert_eq!(parse("unix://").unwrap(), unix(DEFAULT_SOCKET));
        for bad in ["", "engine:2375", "npipe:////./pipe/x", "https://engine", "tcp://", "tcp://a:1/b"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse("ssh://user@host").unwrap_err().to_string().contains("another host"));
    }

    #[test]
    fn an_address_may_be_a_path_alone() {
        assert_eq!(read("/run/podman/podman.sock").unwrap(), unix("/run/podman/podman.sock"));
        assert_eq!(read("unix:///run/a.sock").unwrap(), unix("/run/a.sock"));
        let error = format!("{:#}", read("run/a.sock").unwrap_err());
        assert!(
            error.contains("run/a.sock as a runtime's address") && error.contains("no scheme"),
            "{error}"
        );
    }

    #[test]
    fn a_socket_behind_a_link_counts_once() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("run")).unwrap();
        std::os::unix::fs::symlink("run", dir.path().join("link")).unwrap();
        let at = |name: &str| Endpoint::Unix(dir.path().join(name));
        let all = [at("run/a.sock"), at("link/a.sock"), at("link/b.sock"), Endpoint::Tcp("h:1".into())];
        assert_eq!(distinct(all.clone().into_iter()), [all[0].clone(), all[2].clone(), all[3].clone()]);
    }

    #[test]
    fn tls_is_refused_rather_than_spoken_in_clear() {
        let env = [("DOCKER_HOST", "tcp://engine:2376"), ("DOCKER_TLS_VERIFY", "1")];
        assert!(find_in(&env, &[]).unwrap_err().to_string().contains("TLS"));
    }
}
