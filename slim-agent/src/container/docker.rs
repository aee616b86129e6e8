//! Docker, and whatever else speaks its API, over the engine's socket.

mod error;
mod gone;
mod inspect;
mod layers;
mod life;

use std::fs::File;
use std::io::{Read, Write};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use bollard::errors::Error as Report;
use bollard::models::{ContainerInspectResponse, SystemVersion};
use bollard::query_parameters::{
    ImportImageOptionsBuilder, InspectContainerOptions, ListContainersOptions, RestartContainerOptions,
    StartContainerOptions, WaitContainerOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, ClientVersion, Docker as Client};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use tokio::time::timeout;

use super::endpoint::{self, Endpoint, Surroundings};
use super::{Absent, Container, Executed, ImageOnDisk, NewContainer, Output, Runtime};
use crate::manifest::ImageRef;

/// How long an engine may take to say which version it is.
const GREETING: Duration = Duration::from_secs(20);
/// How long it may take for an ordinary request, in seconds.
const ANSWER: u64 = 120;
/// How long it may take before a saved archive begins, a loaded one is unpacked, or a slow container has stopped.
const PATIENCE: Duration = Duration::from_secs(6 * 3600);
/// Containers that are asked for at once.
const AT_ONCE: usize = 8;
/// Bytes of an archive that are held in memory.
const CHUNK: usize = 256 * 1024;

/// A connected engine.
pub struct Docker {
    client: Client,
    endpoint: Endpoint,
    version: SystemVersion,
}

/// What an engine says of itself, for `doctor`.
#[derive(Debug, Clone)]
pub struct Engine {
    /// `docker` or `podman`, and the version.
    pub name: String,
    /// The address at which it answers.
    pub endpoint: String,
    /// The newest API version that it speaks.
    pub api: String,
    /// Storage driver.
    pub storage: String,
    /// Why image layers cannot be read in place; `None` when they can.
    pub layers_obstacle: Option<String>,
}

impl Docker {
    /// Connects to the engine that the docker CLI would talk to, and agrees with it on an API version.
    ///
    /// # Errors
    /// No engine answers, the socket refuses this user, or what answers is no engine.
    pub async fn connect() -> Result<Self> {
        Self::connect_to(endpoint::find(&Surroundings::real())?).await
    }

    /// Connects to the engine at an address.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_to(endpoint: Endpoint) -> Result<Self> {
        let unreachable = |report| error::unreachable(report, &endpoint);
        let client = client(&endpoint, API_DEFAULT_VERSION)?.map_err(unreachable)?;
        // Asked once: podman looks its parts up in the host's package database first, which takes seconds.
        let answer = timeout(GREETING, client.version()).await;
        let limit = GREETING.as_secs();
        let answer =
            answer.map_err(|_| anyhow!("the engine at {endpoint} did not answer within {limit} s"))?;
        let version = answer.map_err(unreachable)?;
        let spoken = version.api_version.as_deref().and_then(inspect::api_version);
        let client = match spoken {
            Some(spoken) if &spoken < API_DEFAULT_VERSION => {
                self::client(&endpoint, &spoken)?.map_err(unreachable)?
            }
            _ => client,
        };
        Ok(Self { client, endpoint, version })
    }

    /// What the engine says of itself.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn describe(&self) -> Result<Engine> {
        let info = self.client.info().await.map_err(error::other)?;
        Ok(Engine {
            name: inspect::name(&self.version),
            endpoint: self.endpoint.to_string(),
            api: self.version.api_version.clone().unwrap_or_default(),
            storage: info.driver.clone().unwrap_or_default(),
            layers_obstacle: layers::obstacle(&info),
        })
    }

    fn patient(&self) -> Client {
        self.client.clone().with_timeout(PATIENCE)
    }

    async fn inspect_container(&self, name: &str) -> Result<Container> {
        let name = container_name(name)?;
        let found = self.client.inspect_container(name, None::<InspectContainerOptions>).await;
        let found = found.map_err(|report| error::about_container(report, "cannot look at", name))?;
        let image =
            found.image.clone().context("the engine does not say which image the container is from")?;
        // An image may be gone while containers of it still run: its id is known all the same.
        let known = match self.client.inspect_image(&image).await {
            Ok(known) => Some(known),
            Err(Report::DockerResponseServerError { status_code: 404, .. }) => None,
            Err(report) => return Err(error::about_image(report, &image)),
        };
        let exposed = known.as_ref().and_then(|known| known.config.as_ref()?.exposed_ports.clone());
        self.container(&found, inspect::image(image, known), &exposed.unwrap_or_default())
    }

    /// In this program's terms; `exposed` are the ports of its image.
    fn container(
        &self,
        found: &ContainerInspectResponse,
        image: ImageRef,
        exposed: &[String],
    ) -> Result<Container> {
        let id = found.id.clone().context("the engine does not say the container's id")?;
        let name = found.name.as_deref().unwrap_or(&id).trim_start_matches('/').to_owned();
        let state = found.state.clone().unwrap_or_default();
        let host = found.host_config.clone().unwrap_or_default();
        let running = state.running == Some(true);
        let network = host.network_mode.as_deref().unwrap_or_default();
        let settings = found.network_settings.as_ref().filter(|_| running);
        Ok(Container {
            id,
            name,
            state: inspect::state(&state),
            pid: state.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|&pid| pid != 0),
            ip: settings.and_then(|settings| inspect::ip(network, settings)),
            image,
            runtime: inspect::runtime(&self.version, host.runtime.as_deref()),
            seccomp: inspect::seccomp(&host).to_owned(),
            seccomp_profile: inspect::seccomp_profile(&host).map(str::to_owned),
            healthcheck: inspect::healthcheck(found),
            mounts: inspect::mounts(found),
            ports: inspect::ports(found, exposed),
            labels: inspect::labels(found),
            exit_code: inspect::exit_code(&state),
        })
    }

    async fn all_running(&self) -> Result<Vec<Container>> {
        // The engine lists those that run, and no others, unless it is asked for all.
        let listed =
            self.client.list_containers(None::<ListContainersOptions>).await.map_err(error::other)?;
        let ids = listed.into_iter().filter_map(|container| container.id);
        let looks = ids.map(|id| async move { self.inspect_container(&id).await });
        let looks: Vec<_> = stream::iter(looks.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).collect().await;
        // One that was removed meanwhile is not there any more.
        let gone = |look: &Result<_>| look.as_ref().err().is_some_and(Absent::is_container);
        looks.into_iter().filter(|look| !gone(look)).collect()
    }

    async fn wait(&self, id: &str) -> Result<()> {
        let id = container_name(id)?;
        let options = WaitContainerOptionsBuilder::default().condition("not-running").build();
        let mut answers = Box::pin(self.patient().wait_container(id, Some(options)));
        match answers.next().await {
            // A non-zero exit status is reported as an error by the client.
            Some(Ok(_) | Err(Report::DockerContainerWaitError { .. })) => Ok(()),
            // Removed before the request arrived.
            Some(Err(Report::DockerResponseServerError { status_code: 404, .. })) => Ok(()),
            Some(Err(report)) => Err(error::other(report)).context("cannot wait for the container to stop"),
            None => Err(anyhow!("engine connection lost while waiting for the container to stop")),
        }
    }

    async fn on_disk(&self, id: &str) -> Result<Option<ImageOnDisk>> {
        let image = self.client.inspect_image(image_name(id)?).await;
        let image = image.map_err(|report| error::about_image(report, id))?;
        let info = self.client.info().await.map_err(error::other)?;
        Ok(layers::in_place(&info, &image))
    }

    async fn save(&self, id: &str, mut to: File) -> Result<()> {
        let client = self.patient();
        let mut archive = Box::pin(client.export_image(image_name(id)?));
        while let Some(chunk) = archive.try_next().await.map_err(|report| error::about_image(report, id))? {
            to.write_all(&chunk).context("cannot write the saved image to a temporary file")?;
        }
        to.flush().context("cannot write the saved image to a temporary file")
    }

    async fn load(&self, archive: File) -> Result<()> {
        let options = ImportImageOptionsBuilder::default().quiet(true).build();
        let client = self.patient();
        let mut progress = client.import_image_stream(options, chunks(archive), None);
        while progress.try_next().await.map_err(error::other).context("cannot load the image")?.is_some() {}
        Ok(())
    }
}

impl Runtime for Docker {
    fn name(&self) -> String {
        inspect::name(&self.version)
    }

    fn running(&self) -> BoxFuture<'_, Result<Vec<Container>>> {
        self.all_running().boxed()
    }

    fn inspect<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<Container>> {
        self.inspect_container(container).boxed()
    }

    fn remember<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Container>>> {
        self.container_that_is_gone(id).boxed()
    }

    fn start<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>> {
        async move {
            let started =
                self.client.start_container(container_name(id)?, None::<StartContainerOptions>).await;
            started.map_err(|report| error::about_container(report, "cannot start", id))
        }
        .boxed()
    }

    fn restart<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>> {
        async move {
            let client = self.patient();
            let restarted =
                client.restart_container(container_name(id)?, None::<RestartContainerOptions>).await;
            restarted.map_err(|report| error::about_container(report, "cannot restart", id))
        }
        .boxed()
    }

    fn wait_stopped<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>> {
        self.wait(id).boxed()
    }

    fn image<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<ImageRef>> {
        async move {
            let known = self.client.inspect_image(image_name(reference)?).await;
            let known = known.map_err(|report| error::about_image(report, reference))?;
            let id =
                known.id.clone().with_context(|| format!("the engine has no id for image {reference}"))?;
            Ok(inspect::image(id, Some(known)))
        }
        .boxed()
    }

    fn image_on_disk<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<ImageOnDisk>>> {
        self.on_disk(id).boxed()
    }

    fn save_image<'a>(&'a self, id: &'a str, to: File) -> BoxFuture<'a, Result<()>> {
        self.save(id, to).boxed()
    }

    fn load_image(&self, archive: File) -> BoxFuture<'_, Result<()>> {
        self.load(archive).boxed()
    }

    fn name_image<'a>(&'a self, id: &'a str, name: &'a str) -> BoxFuture<'a, Result<()>> {
        self.add_name(id, name).boxed()
    }

    fn unname_image<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>> {
        self.remove_name(name).boxed()
    }

    fn create<'a>(&'a self, new: &'a NewContainer) -> BoxFuture<'a, Result<String>> {
        self.create_new(new).boxed()
    }

    fn stop<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>> {
        self.stop_container(id).boxed()
    }

    fn remove<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<()>> {
        self.remove_container(container).boxed()
    }

    fn exec<'a>(&'a self, id: &'a str, command: &'a [String]) -> BoxFuture<'a, Result<Executed>> {
        self.execute(id, command).boxed()
    }

    fn output<'a>(&'a self, id: &'a str, lines: Option<usize>) -> BoxFuture<'a, Result<Output>> {
        self.written(id, lines).boxed()
    }
}

/// A client that speaks one version of the API.
fn client(endpoint: &Endpoint, version: &ClientVersion) -> Result<Result<Client, Report>> {
    Ok(match endpoint {
        Endpoint::Unix(path) => {
            let path = path.to_str().with_context(|| format!("{endpoint} is not UTF-8"))?;
            Client::connect_with_unix(path, ANSWER, version)
        }
        Endpoint::Tcp(address) => Client::connect_with_http(address, ANSWER, version),
    })
}

/// Names go into the request's path as they are: anything that could change the path is not a container's name.
fn container_name(name: &str) -> Result<&str> {
    let name = name.strip_prefix('/').unwrap_or(name);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let good = name.bytes().all(plain) && name.starts_with(|first: char| first.is_ascii_alphanumeric());
    if good { Ok(name) } else { Err(error::no_container(name)) }
}

/// As [`container_name`], for `registry:5000/name:tag@sha256:...`.
fn image_name(name: &str) -> Result<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-/:@+".contains(&byte);
    let good = name.bytes().all(plain) && name.starts_with(|first: char| first.is_ascii_alphanumeric());
    ensure!(good && !name.contains(".."), "{name:?} is not an image's name or id");
    Ok(name)
}

/// The rest of `file`, read as the engine takes it. The short blocking reads are fine: nothing else runs meanwhile.
fn chunks(file: File) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    stream::try_unfold(file, |mut file| async move {
        let mut chunk = vec![0; CHUNK];
        let length = file.read(&mut chunk)?;
        chunk.truncate(length);
        Ok((length > 0).then_some((Bytes::from(chunk), file)))
    })
}
