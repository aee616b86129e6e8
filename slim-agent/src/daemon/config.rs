//! `/etc/slim-agent/config.toml`: what is recorded, where it is kept, and when it is enough.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;

use super::rules::Watch;
use crate::coverage::Rules;
use crate::exit::{Exit, tag};
use crate::probe::{Change, Limits, Tier};

/// Where the configuration is unless the command line says otherwise.
pub const DEFAULT_PATH: &str = "/etc/slim-agent/config.toml";

/// The whole configuration. A file need not set anything.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Directory of everything that is stored.
    pub state: PathBuf,
    /// Where the daemon listens.
    pub socket: PathBuf,
    /// Group whose members may control the daemon, beside root.
    pub group: Option<String>,
    /// Address at which metrics and health can be asked for without the socket.
    pub metrics: Option<SocketAddr>,
    /// Addresses of container engines; the usual places when there are none.
    pub runtimes: Vec<String>,
    /// Directory of a BPF file system in which the kernel programs stay when the daemon goes.
    pub pins: PathBuf,
    /// Which hooks serve.
    pub tier: Tier,
    /// Whether what is put into containers later (docker exec) is recorded, labelled.
    pub exec: bool,
    /// Whether the kernel counts how long the programs run, for the metrics: that costs each system call of the host some
    /// ten nanoseconds more.
    pub program_times: bool,
    /// At least so long from one checkpoint of a recording to the next.
    pub checkpoint: Span,
    /// The hours that coverage counts; shorter for trials.
    pub window: Span,
    /// What the kernel side and the agent can hold, by the names of `record --limit`.
    pub limits: Changes,
    /// What is forgotten.
    pub retention: Retention,
    /// Which containers are recorded: those that one of these is about. Without any, those with the label
    /// `slim.record=true`.
    pub watch: Vec<Watch>,
    /// When a profile is known well enough.
    pub ready_when: Option<Rules>,
    /// What holds for single profiles, by name.
    pub profiles: BTreeMap<String, ProfileConfig>,
}

/// What holds for one profile.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProfileConfig {
    /// When it is known well enough, instead of the rules for all.
    pub ready_when: Option<Rules>,
}

/// What is forgotten, and when.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Recordings that a profile tells apart; of older ones only what they saw stays.
    pub recordings: usize,
    /// A profile that was not recorded for so long is removed.
    pub idle: Span,
    /// Bytes that all profiles may take; beyond, those go first that were not recorded for longest.
    pub bytes: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { recordings: 500, idle: Span(Duration::from_secs(180 * 24 * 3600)), bytes: 4 << 30 }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            state: "/var/lib/slim-agent".into(),
            socket: super::SOCKET.into(),
            group: None,
            metrics: None,
            runtimes: Vec::new(),
            pins: "/sys/fs/bpf/slim-agent".into(),
            tier: Tier::default(),
            exec: true,
            program_times: false,
            checkpoint: Span(Duration::from_secs(5)),
            window: Span(Duration::from_secs(3600)),
            limits: Changes::default(),
            retention: Retention::default(),
            watch: Vec::new(),
            ready_when: None,
            profiles: BTreeMap::new(),
        }
    }
}

/// A duration, spelled like `5s`, `48h` or `30d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(pub Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let span = humantime::parse_duration(&text)
            .map_err(|error| format!("{error}; write a duration like \"5s\", \"48h\" or \"30d\""))?;
        if span < Duration::from_secs(1) {
            return Err("a duration of less than a second is too short here".into());
        }
        Ok(Self(span))
    }
}

/// Limits that are not the usual ones.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "BTreeMap<String, u64>")]
pub struct Changes(Vec<Change>);

impl TryFrom<BTreeMap<String, u64>> for Changes {
    type Error = String;

    fn try_from(written: BTreeMap<String, u64>) -> Result<Self, String> {
        let change = |(name, value): (String, u64)| {
            format!("{name}={value}").parse().map_err(|error: String| format!("{name}: {error}"))
        };
        written.into_iter().map(change).collect::<Result<_, _>>().map(Self)
    }
}

impl Config {
    /// Reads a file. The default one may be missing.
    ///
    /// # Errors
    /// It cannot be read, or something in it is wrong: the message has the line, and is tagged [`Exit::Usage`].
    pub fn read(path: &Path) -> Result<Self> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && path == Path::new(DEFAULT_PATH) => {
                String::new()
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        Self::parse(&text).map_err(|error| tag(Exit::Usage, format!("{}: {error:#}", path.display())))
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// Something in it is wrong.
    pub fn parse(text: &str) -> Result<Self> {
        let config: Self =
            toml::from_str(text).map_err(|error| anyhow!("{}", error.to_string().trim_end()))?;
        for path in [&config.state, &config.socket, &config.pins] {
            anyhow::ensure!(path.is_absolute(), "{} is not an absolute path", path.display());
        }
        for address in &config.runtimes {
            crate::container::Runtimes::check(address).with_context(|| format!("runtimes: {address}"))?;
        }
        Ok(config)
    }

    /// What the kernel side and the agent can hold.
    pub fn limits(&self) -> Limits {
        Limits::service().changed(&self.limits.0)
    }

    /// When the profile `name` is known well enough, if that was said.
    pub fn ready_when(&self, name: &str) -> Option<&Rules> {
        let own = self.profiles.get(name).and_then(|profile| profile.ready_when.as_ref());
        own.or(self.ready_when.as_ref())
    }

    /// Whether a daemon that runs with `other` would have to be started anew for this.
    pub fn needs_restart(&self, other: &Self) -> Vec<&'static str> {
        let changed = [
            ("state", self.state != other.state),
            ("socket", self.socket != other.socket),
            ("group", self.group != other.group),
            ("metrics", self.metrics != other.metrics),
            ("pins", self.pins != other.pins),
            ("tier", self.tier != other.tier),
            ("exec", self.exec != other.exec),
            ("program_times", self.program_times != other.program_times),
            ("limits", self.limits != other.limits),
            ("runtimes", self.runtimes != other.runtimes),
        ];
        changed.into_iter().filter_map(|(name, changed)| changed.then_some(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_defaults() {
        assert_eq!(Config::parse("").unwrap(), Config::default());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, words) in [
            ("state = '/x'\ncheckpoin = '5s'", &["line 2", "checkpoin"][..]),
            ("\n\ncheckpoint = '5 parsecs'", &["line 3", "parsec"]),
            ("window = '0s'", &["line 1", "too short"]),
            ("[limits]\nrigns = 4096", &["line 1", "ring, backlog"]),
            ("[limits]\nring = 5000", &["line 1", "ring: the ring takes a power of two"]),
            ("[[watch]]\n", &["line 1", "name, image or label"]),
            ("[[watch]]\nnam = 'x'", &["line 2", "nam"]),
            ("[[watch]]\nname = '[a'", &["line 2", "[a"]),
            ("[[watch]]\nname = 'a'\nprofile = '../x'", &["line 3", "letters, digits"]),
            ("state = 'var'", &["absolute"]),
            ("metrics = 'localhost'", &["line 1"]),
            ("[ready_when]\nquiet = 7", &["line 2"]),
        ] {
            let error = format!("{:#}", Config::parse(text).unwrap_err());
            assert!(words.iter().all(|word| error.contains(word)), "{text:?}: {error}");
        }
    }

    /// What is commented out in it is what there would be without.
    #[test]
    fn the_file_that_is_shipped_is_right_with_and_without_what_is_commented_out() {
        let text = include_str!("../../../deploy/config.toml");
        assert_eq!(Config::parse(text).unwrap(), Config::default());
        let uncommented: Vec<&str> = text
            .lines()
            .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
            .collect();
        let all = Config::parse(&uncommented.join("\n")).unwrap();
        assert_eq!(all.retention, Retention::default());
        assert_eq!(all.limits(), Limits { paths: 200_000, ..Limits::service() });
        assert_eq!(
            (all.watch.len(), all.checkpoint, all.window),
            (2, Config::default().checkpoint, Config::default().window)
        );
        assert!(all.ready_when("web").is_some());
    }

    #[test]
    fn a_profile_s_own_rules_replace_those_for_all() {
        let text = "[ready_when]\nstarts = 5\n[profiles.web.ready_when]\nstarts = 9";
        let config = Config::parse(text).unwrap();
        assert_ne!(config.ready_when("web"), config.ready_when("other"));
        assert!(config.ready_when("other").is_some() && Config::default().ready_when("web").is_none());
    }

    #[test]
    fn what_a_reload_cannot_change_is_named() {
        let config = Config::parse("state = '/x'\n[limits]\nring = 4096\n[[watch]]\nname = 'a'").unwrap();
        assert_eq!(config.needs_restart(&Config::default()), ["state", "limits"]);
    }
}
