//! Credentials as `docker login` left them: in the CLI's `config.json`, or in the keychain that it names.

use std::io::{self, Write};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

use crate::container::endpoint::Surroundings;

/// The name that Docker Hub has in configurations.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Who asks.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user.
    Password { user: String, password: String },
    /// A token that others are given for.
    Identity(String),
}

impl std::fmt::Debug for Credentials {
    /// Without what is secret.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Password { user, .. } => write!(out, "Password({user})"),
            Self::Identity(_) => write!(out, "Identity"),
        }
    }
}

impl Credentials {
    /// User and password.
    pub fn password(&self) -> Option<(&str, &str)> {
        match self {
            Self::Password { user, password } => Some((user, password)),
            Self::Identity(_) => None,
        }
    }
}

/// The credentials for `registry`; `None` when nobody is logged in.
///
/// # Errors
/// The configuration cannot be understood, or the keychain fails.
pub fn find(registry: &str, around: &Surroundings<'_>) -> Result<Option<Credentials>> {
    let Some((path, config)) = around.config()? else { return Ok(None) };
    in_config(&config, registry, &run_helper).with_context(|| format!("cannot use {}", path.display()))
}

/// Asks the program of a keychain for a server.
type Helper<'a> = &'a dyn Fn(&str, &str) -> Result<Option<Credentials>>;

fn in_config(config: &Value, registry: &str, helper: Helper<'_>) -> Result<Option<Credentials>> {
    let server = if registry == "docker.io" { DOCKER_HUB } else { registry };
    let keychain = config["credHelpers"][server].as_str().or(config["credsStore"].as_str());
    if let Some(name) = keychain.filter(|name| !name.is_empty())
        && let Some(found) = helper(name, server)?
    {
        return Ok(Some(found));
    }
    let auths = config["auths"].as_object();
    let mut entries = auths.into_iter().flatten().filter(|(key, _)| host(key) == host(server));
    entries.next().map_or(Ok(None), |(_, entry)| in_entry(entry))
}

/// Configurations of old have addresses as keys.
fn host(key: &str) -> &str {
    let plain = key.strip_prefix("https://").or(key.strip_prefix("http://")).unwrap_or(key);
    plain.split('/').next().unwrap_or(plain)
}

fn in_entry(entry: &Value) -> Result<Option<Credentials>> {
    let text = |name: &str| entry[name].as_str().filter(|text| !text.is_empty());
    if let Some(token) = text("identitytoken") {
        return Ok(Some(Credentials::Identity(token.to_owned())));
    }
    if let Some(auth) = text("auth") {
        let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let decoded = GeneralPurpose::new(&alphabet::STANDARD, lenient).decode(auth);
        let decoded = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = decoded.as_deref().and_then(|pair| pair.trim_end_matches('\0').split_once(':'));
        let (user, password) = pair.context("an entry of \"auths\" is damaged: log in again")?;
        return Ok(Some(Credentials::Password { user: user.to_owned(), password: password.to_owned() }));
    }
    let pair = text("username").zip(text("password"));
    Ok(pair.map(|(user, password)| Credentials::Password {
        user: user.to_owned(),
        password: password.to_owned(),
    }))
}

/// Runs `docker-credential-NAME get` with the server on standard input.
fn run_helper(name: &str, server: &str) -> Result<Option<Credentials>> {
    ensure!(!name.contains('/'), "{name:?} is no name of a credential helper");
    let program = format!("docker-credential-{name}");
    let ask = || -> io::Result<Output> {
        let mut command = Command::new(&program);
        let command = command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        if let Some(mut input) = child.stdin.take() {
            // One that ends without reading says why in its exit code.
            let _ignored = input.write_all(server.as_bytes());
        }
        child.wait_with_output()
    };
    let output = ask().with_context(|| format!("cannot run {program}"))?;
    answer(&output.stdout, output.status.success()).with_context(|| format!("{program} failed"))
}

fn answer(output: &[u8], success: bool) -> Result<Option<Credentials>> {
    let text = String::from_utf8_lossy(output);
    if !success {
        if text.contains("credentials not found") {
            return Ok(None);
        }
        bail!("it says: {}", text.trim());
    }
    let json: Value = serde_json::from_str(&text).context("it does not answer with JSON")?;
    let pair = json["Username"].as_str().zip(json["Secret"].as_str());
    Ok(match pair.context("its answer has no Username or Secret")? {
        ("<token>", secret) => Some(Credentials::Identity(secret.to_owned())),
        ("", _) | (_, "") => None,
        (user, secret) => Some(Credentials::Password { user: user.to_owned(), password: secret.to_owned() }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn user(user: &str, password: &str) -> Option<Credentials> {
        Some(Credentials::Password { user: user.into(), password: password.into() })
    }

    fn found(config: &Value, registry: &str) -> Option<Credentials> {
        in_config(config, registry, &|name, server| Ok(user(name, server).filter(|_| name != "empty")))
            .unwrap()
    }

    #[test]
    fn keychains_come_before_what_is_in_the_file() {
        let config = json!({
            "credHelpers": { "a.example": "one" }, "credsStore": "all",
            "auths": { "a.example": { "auth": "dTpw" } },
        });
        assert_eq!(found(&config, "a.example"), user("one", "a.example"));
        assert_eq!(found(&config, "docker.io"), user("all", DOCKER_HUB));
        let empty = json!({ "credsStore": "empty", "auths": { "a.example": { "auth": "dTpw" } } });
        assert_eq!(found(&empty, "a.example"), user("u", "p"));
        assert_eq!(found(&empty, "b.example"), None);
    }

    #[test]
    fn entries_of_every_form() {
        let config = json!({ "auths": {
            "https://old.example/v1/": { "auth": "dTpwOnE=" },
            "unpadded:5000": { "auth": "dTpwOnE" },
            "token.example": { "auth": "dTpw", "identitytoken": "t" },
            "plain.example": { "username": "u", "password": "p" },
            "https://index.docker.io/v1/": { "auth": "dTpw" },
            "empty.example": {},
        } });
        for registry in ["old.example", "unpadded:5000"] {
            assert_eq!(found(&config, registry), user("u", "p:q"));
        }
        assert_eq!(found(&config, "token.example"), Some(Credentials::Identity("t".into())));
        assert_eq!(found(&config, "plain.example"), user("u", "p"));
        assert_eq!(found(&config, "docker.io"), user("u", "p"));
        assert_eq!(found(&config, "empty.example"), None);
        let damaged = json!({ "auths": { "x": { "auth": "%" } } });
        assert!(in_config(&damaged, "x", &|_, _| Ok(None)).unwrap_err().to_string().contains("log in again"));
    }

    #[test]
    fn answers_of_keychains() {
        assert_eq!(answer(br#"{"Username":"u","Secret":"p"}"#, true).unwrap(), user("u", "p"));
        assert_eq!(
            answer(br#"{"Username":"<token>","Secret":"t"}"#, true).unwrap(),
            Some(Credentials::Identity("t".into()))
        );
        assert_eq!(answer(b"credentials not found in native keychain\n", false).unwrap(), None);
        assert!(answer(b"locked", false).unwrap_err().to_string().contains("locked"));
        assert!(answer(b"", true).is_err());
    }

    #[test]
    fn secrets_are_not_shown() {
        assert!(!format!("{:?}", user("u", "hidden")).contains("hidden"));
    }
}
