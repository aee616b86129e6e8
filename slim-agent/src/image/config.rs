//! The part of an image's config that says how the engine starts a container.
//!
//! Read from the raw JSON field by field: what this version does not know must survive, so the config is never
//! parsed into a struct and written back.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::Value;

/// The search path of an image that sets none, as Docker and podman define it.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How the engine starts a container of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// `Entrypoint`.
    pub entrypoint: Vec<String>,
    /// `Cmd`.
    pub cmd: Vec<String>,
    /// The command of the health check, if there is one: its words without the leading `CMD`, or the shell's.
    pub healthcheck: Option<Vec<String>>,
    /// `WorkingDir`; empty when not set.
    pub working_dir: String,
    /// The mount points of `Volumes`, sorted.
    pub volumes: Vec<String>,
    /// `User`: a user and a group, by name or number, as it stands there; empty when not set.
    pub user: String,
    /// The ports of `ExposedPorts`, as `80/tcp`.
    pub exposed: BTreeSet<String>,
    /// The directories of `PATH`, in order.
    pub search: Vec<String>,
    /// `Env`; where it sets a variable twice, the last counts.
    pub environment: BTreeMap<String, String>,
}

impl Config {
    /// Reads the raw config of an image.
    ///
    /// # Errors
    /// It is not JSON. Fields that are missing or of another type count as not set.
    pub fn parse(raw: &[u8]) -> Result<Self> {
        let whole: Value = serde_json::from_slice(raw).context("the image's config is not JSON")?;
        let config = &whole["config"];
        let mut volumes: Vec<String> =
            config["Volumes"].as_object().into_iter().flat_map(|map| map.keys().cloned()).collect();
        volumes.sort();
        let environment = environment(config);
        Ok(Self {
            entrypoint: words(&config["Entrypoint"]),
            cmd: words(&config["Cmd"]),
            healthcheck: healthcheck(config),
            working_dir: config["WorkingDir"].as_str().unwrap_or_default().to_owned(),
            volumes,
            user: config["User"].as_str().unwrap_or_default().to_owned(),
            exposed: config["ExposedPorts"]
                .as_object()
                .into_iter()
                .flat_map(|map| map.keys().cloned())
                .collect(),
            search: search_path(&environment),
            environment,
        })
    }
}

fn words(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn healthcheck(config: &Value) -> Option<Vec<String>> {
    let test = words(&config["Healthcheck"]["Test"]);
    match test.split_first() {
        Some((kind, command)) if kind == "CMD" && !command.is_empty() => Some(command.to_vec()),
        Some((kind, _)) if kind == "CMD-SHELL" => {
            let shell = words(&config["Shell"]);
            Some(if shell.is_empty() { vec!["/bin/sh".into(), "-c".into()] } else { shell })
        }
        _ => None,
    }
}

fn environment(config: &Value) -> BTreeMap<String, String> {
    let lines = words(&config["Env"]);
    let pairs = lines.iter().filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn search_path(environment: &BTreeMap<String, String>) -> Vec<String> {
    let path = environment.get("PATH").map_or(DEFAULT_PATH, String::as_str);
    path.split(':').filter(|dir| !dir.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(config: &str) -> Config {
        Config::parse(format!("{{\"config\": {config}}}").as_bytes()).unwrap()
    }

    #[test]
    fn reads_what_the_engine_reads() {
        let config = parse(
            r#"{"Cmd": ["nginx", "-g"], "Entrypoint": null, "Env": ["A=1", "PATH=/x:/y"], "WorkingDir": "/srv",
                "Volumes": {"/b": {}, "/a": {}}, "User": "www", "ExposedPorts": {"80/tcp": {}}, "Unknown": 1}"#,
        );
        assert_eq!(config.cmd, ["nginx", "-g"]);
        assert!(config.entrypoint.is_empty());
        assert_eq!(config.search, ["/x", "/y"]);
        assert_eq!(config.environment["A"], "1");
        assert_eq!(config.volumes, ["/a", "/b"]);
        assert_eq!(config.working_dir, "/srv");
        assert_eq!((config.user.as_str(), config.exposed), ("www", ["80/tcp".to_owned()].into()));
    }

    #[test]
    fn health_checks_of_every_form() {
        let test = |json: &str| parse(&format!("{{\"Healthcheck\": {{\"Test\": {json}}}}}")).healthcheck;
        assert_eq!(test(r#"["CMD", "curl", "x"]"#), Some(vec!["curl".into(), "x".into()]));
        assert_eq!(test(r#"["CMD-SHELL", "curl x"]"#), Some(vec!["/bin/sh".into(), "-c".into()]));
        assert_eq!(test(r#"["NONE"]"#), None);
        assert_eq!(test("[]"), None);
        assert_eq!(parse("{}").healthcheck, None);
        let shell = parse(r#"{"Shell": ["/bin/bash"], "Healthcheck": {"Test": ["CMD-SHELL", "x"]}}"#);
        assert_eq!(shell.healthcheck, Some(vec!["/bin/bash".into()]));
    }

    proptest! {
        #[test]
        fn no_config_is_fatal(bytes: Vec<u8>) {
            let _ = Config::parse(&bytes);
        }
    }
}
