//! Which runtime a command asks: the one that is named, or whichever has the container or the image.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, Error, Result, anyhow};
use futures_util::future::join_all;

use super::absent::Absent;
use super::endpoint::{self, Endpoint, Surroundings};
use super::{Container, Runtime, dial};

/// Where podman's service listens.
const PODMAN: &str = "/run/podman/podman.sock";

/// Where Kubernetes' runtimes listen: containerd, as it comes and as k3s and RKE2 bring it, and CRI-O.
const CRI: &[&str] =
    &["/run/containerd/containerd.sock", "/run/k3s/containerd/containerd.sock", "/run/crio/crio.sock"];

/// A runtime, as users name it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Choice {
    /// Whichever has it: first the engine that the docker CLI would talk to, then podman, then Kubernetes' runtimes.
    #[default]
    Auto,
    /// The engine that the docker CLI would talk to.
    Docker,
    /// podman's service, where `CONTAINER_HOST` says or at its usual place.
    Podman,
    /// A runtime of Kubernetes, where `CONTAINER_RUNTIME_ENDPOINT` says or at one of the usual places.
    Cri,
    /// Whatever is at an address.
    At(Endpoint),
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "docker" => Ok(Self::Docker),
            "podman" => Ok(Self::Podman),
            "cri" => Ok(Self::Cri),
            address => endpoint::read(address).map(Self::At).map_err(|error| {
                format!("{error:#}; write auto, docker, podman, cri or the address of a runtime's socket")
            }),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => out.write_str("auto"),
            Self::Docker => out.write_str("docker"),
            Self::Podman => out.write_str("podman"),
            Self::Cri => out.write_str("cri"),
            Self::At(endpoint) => endpoint.fmt(out),
        }
    }
}

impl Choice {
    /// A container by name or id, and the runtime that has it.
    ///
    /// # Errors
    /// No runtime answers, or none that does has the container.
    pub async fn container(&self, name: &str) -> Result<(Arc<dyn Runtime>, Container)> {
        let Found { answering, failure } = self.look().await?;
        let mut unknown = None;
        for runtime in answering {
            match runtime.inspect(name).await {
                Ok(container) => return Ok((runtime, container)),
                Err(error) if Absent::is_container(&error) => unknown = unknown.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        Err(failure.or(unknown).unwrap_or_else(|| anyhow!("no runtime answers")))
    }

    /// The runtime that has the image `reference`, or else the first that answers. Of several that have it, the one that
    /// `recorded_by` names is taken: what a manifest says of it, such as `podman 4.3.1, crun 1.8.1`.
    ///
    /// # Errors
    /// No runtime answers.
    pub async fn with_image(
        &self,
        reference: Option<&str>,
        recorded_by: Option<&str>,
    ) -> Result<Arc<dyn Runtime>> {
        let Found { mut answering, failure } = self.look().await?;
        let kind = |name: &str| name.split(' ').next().map(str::to_owned);
        answering.sort_by_key(|runtime| Some(kind(&runtime.name())) != recorded_by.map(kind));
        if let (Some(reference), true) = (reference, answering.len() > 1) {
            for runtime in &answering {
                if runtime.image(reference).await.is_ok() {
                    return Ok(Arc::clone(runtime));
                }
            }
        }
        match (failure, answering.into_iter().next()) {
            (None, Some(runtime)) => Ok(runtime),
            (failure, _) => Err(failure.unwrap_or_else(|| anyhow!("no runtime answers"))),
        }
    }

    /// The addresses, the most likely first.
    ///
    /// # Errors
    /// A variable of the environment, or the docker CLI's configuration, names one that cannot be used.
    fn endpoints(&self, around: &Surroundings<'_>) -> Result<Vec<Endpoint>> {
        let unix = |path: &&str| Endpoint::Unix(path.into());
        let told = |variable: &str, usual: &[&str]| match around.set(variable) {
            Some(address) => {
                let read = endpoint::read(&address).with_context(|| format!("cannot use {variable}"));
                read.map(|endpoint| vec![endpoint])
            }
            None => Ok(usual.iter().map(unix).collect()),
        };
        match self {
            Self::Auto => {
                let all = [Self::Docker, Self::Podman, Self::Cri].map(|choice| choice.endpoints(around));
                Ok(all.into_iter().collect::<Result<Vec<_>>>()?.concat())
            }
            Self::Docker => Ok(vec![endpoint::find(around)?]),
            Self::Podman => told("CONTAINER_HOST", &[PODMAN]),
            Self::Cri => told("CONTAINER_RUNTIME_ENDPOINT", CRI),
            Self::At(endpoint) => Ok(vec![endpoint.clone()]),
        }
    }

    /// Connects to all that answer.
    async fn look(&self) -> Result<Found> {
        let around = Surroundings::real();
        let endpoints = endpoint::distinct(self.endpoints(&around)?.into_iter());
        let dialled = join_all(endpoints.iter().map(dial::at)).await;
        let was_named = *self != Self::Auto || around.set("DOCKER_HOST").is_some();
        Found::of(dialled, was_named)
    }
}

/// The addresses at which runtimes usually listen.
///
/// # Errors
/// As [`Choice::endpoints`].
pub(super) fn usual() -> Result<Vec<Endpoint>> {
    Choice::Auto.endpoints(&Surroundings::real())
}

/// Who answered.
struct Found {
    answering: Vec<Arc<dyn Runtime>>,
    /// Why the first did not, if that is of note even though others did: it fails, or the user named it.
    failure: Option<Error>,
}

impl Found {
    /// From what came of each address, the most likely first.
    ///
    /// # Errors
    /// None answered: what the first has to say.
    fn of(dialled: Vec<Result<Arc<dyn Runtime>>>, was_named: bool) -> Result<Self> {
        let (mut answering, mut first) = (Vec::new(), None);
        for (place, dialled) in dialled.into_iter().enumerate() {
            match dialled {
                Ok(runtime) => answering.push(runtime),
                Err(error) if place == 0 => first = Some(error),
                Err(error) => tracing::debug!("{error:#}"),
            }
        }
        match first {
            Some(error) if answering.is_empty() => Err(error),
            None if answering.is_empty() => Err(anyhow!("no container runtime answers")),
            first => {
                let failure = first.filter(|error| was_named || !Absent::is_runtime(error));
                Ok(Self { answering, failure })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(choice: &str, env: &[(&str, &str)]) -> Vec<String> {
        let around = Surroundings {
            env: &|name| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()),
            read: &|_| Err(std::io::ErrorKind::NotFound.into()),
        };
        let found = choice.parse::<Choice>().unwrap().endpoints(&around).unwrap();
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_docker_engine_comes_first() {
        let all = endpoints("auto", &[("DOCKER_HOST", "unix:///run/a.sock")]);
        assert_eq!(all[0], "unix:///run/a.sock");
        assert_eq!(all[1], "unix:///run/podman/podman.sock");
        assert_eq!(all.len(), 2 + CRI.len());
    }

    #[test]
    fn each_runtime_is_where_its_own_tools_look() {
        assert_eq!(endpoints("podman", &[("CONTAINER_HOST", "unix:///run/p.sock")]), ["unix:///run/p.sock"]);
        let crictl = [("CONTAINER_RUNTIME_ENDPOINT", "unix:///run/c.sock")];
        assert_eq!(endpoints("cri", &crictl), ["unix:///run/c.sock"]);
        assert_eq!(endpoints("cri", &[]).len(), CRI.len());
        assert_eq!(endpoints("/run/x.sock", &crictl), ["unix:///run/x.sock"]);
    }

    #[test]
    fn what_is_neither_a_name_nor_an_address_is_refused() {
        let error = "dokcer".parse::<Choice>().unwrap_err();
        assert!(error.contains("auto, docker, podman, cri"), "{error}");
    }

    #[test]
    fn a_named_runtime_that_is_not_there_is_told_of_though_others_answer() {
        let absent = || Err(Absent::Runtime("nothing at A".into()).into());
        let none = Found::of(vec![absent(), absent()], false).err().map(|error| error.to_string());
        assert_eq!(none.as_deref(), Some("nothing at A"));
        assert!(Found::of(Vec::new(), true).is_err());
    }
}
