//! Kubernetes' runtimes, containerd and CRI-O, over their own interface: CRI, `runtime.v1`.
//!
//! CRI is made for the kubelet, which owns what runs: it makes containers and makes them anew, loads images and names
//! them. So this runtime looks at containers and images, starts a created container and stops a running one, and says of
//! anything else what to use instead.

mod channel;
mod content;
mod inspect;
mod messages;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, StreamExt};
use serde_json::Value;
use tokio::time::sleep;

use super::{Absent, Container, Executed, ImageOnDisk, NewContainer, Output, Runtime, storage};
use crate::manifest::ImageRef;
pub use channel::{Channel, Refusal};
use content::Content;
use messages::*;

/// How long a runtime may take to say which version it is.
const GREETING: Duration = Duration::from_secs(10);
/// How long it may take for an ordinary request.
const ANSWER: Duration = Duration::from_secs(60);
/// How long a container has to stop before it is killed, in seconds: what Kubernetes gives when nothing else is said.
const GRACE: u32 = 30;
/// Containers that are asked for at once.
const AT_ONCE: usize = 8;
/// Between two looks whether a container still runs.
const AGAIN: Duration = Duration::from_millis(200);

/// A connected runtime.
pub struct Cri {
    channel: Channel,
    /// `containerd`, `cri-o`.
    engine: String,
    version: String,
}

impl Cri {
    /// Connects to the runtime behind a socket.
    ///
    /// # Errors
    /// [`Absent::Runtime`] when nothing answers there, or what does has CRI switched off; otherwise it does not answer in
    /// time or is no such runtime.
    pub async fn connect(socket: &Path) -> Result<Self> {
        let channel = Channel::new(socket);
        let greeted = channel.call("/runtime.v1.RuntimeService/Version", &VersionRequest {}, GREETING).await;
        let VersionResponse { runtime_name: engine, runtime_version: version } = match greeted {
            Err(error) if Refusal::is(&error, Refusal::UNIMPLEMENTED) => {
                return Err(Absent::Runtime(format!(
                    "what answers at unix://{} does not speak CRI runtime.v1: it is older than containerd 1.6 or CRI-O \
                     1.20, or its CRI plugin is disabled",
                    socket.display()
                ))
                .into());
            }
            greeted => greeted?,
        };
        Ok(Self { channel, engine, version })
    }

    async fn runtime<A: prost::Message + Default>(
        &self,
        method: &str,
        question: &impl prost::Message,
    ) -> Result<A> {
        self.channel.call(&format!("/runtime.v1.RuntimeService/{method}"), question, ANSWER).await
    }

    async fn images<A: prost::Message + Default>(
        &self,
        method: &str,
        question: &impl prost::Message,
    ) -> Result<A> {
        self.channel.call(&format!("/runtime.v1.ImageService/{method}"), question, ANSWER).await
    }

    async fn list(&self, filter: ContainerFilter) -> Result<Vec<Listed>> {
        let question = ListContainersRequest { filter: Some(filter) };
        let ListContainersResponse { containers } = self.runtime("ListContainers", &question).await?;
        Ok(containers)
    }

    /// The only container that `wanted` names.
    async fn listed(&self, wanted: &str) -> Result<Listed> {
        let wanted = wanted.trim_start_matches('/');
        let is_id = wanted.len() == 64 && wanted.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = if is_id { wanted.to_owned() } else { String::new() };
        let mut all = self.list(ContainerFilter { id, state: None }).await?;
        let ListPodSandboxResponse { items: pods } = match is_id {
            true => ListPodSandboxResponse::default(),
            false => self.runtime("ListPodSandbox", &ListPodSandboxRequest {}).await?,
        };
        match inspect::resolve(wanted, &all, &pods) {
            Ok(id) => {
                all.retain(|listed| listed.id == id);
                all.pop().context("the runtime lists a container and has none")
            }
            Err(several) if several.is_empty() => Err(self.no_container(wanted)),
            Err(several) => bail!(
                "{wanted} can be {} containers: give more digits of the id, or NAMESPACE/POD/CONTAINER",
                several.len()
            ),
        }
    }

    fn no_container(&self, name: &str) -> anyhow::Error {
        Absent::Container(format!("no such container {name} in {}; `crictl ps -a` lists them", self.engine))
            .into()
    }

    async fn status(&self, id: &str) -> Result<ContainerStatusResponse> {
        let question = ContainerStatusRequest { container_id: id.to_owned(), verbose: true };
        self.runtime("ContainerStatus", &question).await.map_err(|error| {
            if Refusal::is(&error, Refusal::NOT_FOUND) { self.no_container(id) } else { error }
        })
    }

    async fn look(&self, listed: Listed) -> Result<Container> {
        let Listed { id, pod_sandbox_id, metadata, image_ref } = listed;
        let ContainerStatusResponse { status, info } = self.status(&id).await?;
        let (status, info) =
            (status.context("the runtime tells nothing of the container")?, inspect::info(&info));
        let pod = self.pod(pod_sandbox_id).await?;
        let (image, of_image) = match self.image_status(&image_ref).await? {
            Some((image, info)) => (inspect::image(image), info),
            // An image may be gone while containers of it still run.
            None => {
                let gone = inspect::image_gone(&image_ref);
                (gone.with_context(|| format!("the runtime does not know image {image_ref}"))?, Value::Null)
            }
        };
        let name = metadata.map(|metadata| metadata.name).unwrap_or_default();
        let running = status.state == ContainerState::Running as i32;
        let (seccomp, seccomp_profile) = inspect::seccomp(&info);
        let oci = inspect::oci(&info).map(|oci| format!(", {oci}")).unwrap_or_default();
        Ok(Container {
            name: inspect::name(&pod.metadata.clone().unwrap_or_default(), &name),
            state: inspect::state(status.state),
            pid: info["pid"]
                .as_u64()
                .and_then(|pid| u32::try_from(pid).ok())
                .filter(|&pid| running && pid != 0),
            ip: inspect::ip(&pod).filter(|_| running),
            image,
            runtime: format!("{}{oci}", self.name()),
            seccomp: seccomp.to_owned(),
            seccomp_profile,
            // A pod's probes are the kubelet's, which tells no runtime of them.
            healthcheck: Vec::new(),
            mounts: inspect::mounts(&status.mounts),
            ports: inspect::ports(&of_image),
            labels: inspect::labels(&of_image, &pod, &status, &name),
            exit_code: (status.state == ContainerState::Exited as i32).then(|| i64::from(status.exit_code)),
            id,
        })
    }

    async fn pod(&self, id: String) -> Result<PodSandboxStatus> {
        let asked = self.runtime("PodSandboxStatus", &PodSandboxStatusRequest { pod_sandbox_id: id }).await;
        let PodSandboxStatusResponse { status } = match asked {
            // It is being removed, and its containers with it.
            Err(error) if Refusal::is(&error, Refusal::NOT_FOUND) => PodSandboxStatusResponse::default(),
            asked => asked?,
        };
        Ok(status.unwrap_or_default())
    }

    async fn all_running(&self) -> Result<Vec<Container>> {
        let state = ContainerStateValue { state: ContainerState::Running as i32 };
        let listed = self.list(ContainerFilter { id: String::new(), state: Some(state) }).await?;
        let looks: Vec<_> = listed.into_iter().map(|listed| self.look(listed)).collect();
        let looks: Vec<_> = stream::iter(looks).buffer_unordered(AT_ONCE).collect().await;
        // One that was removed meanwhile is not there any more.
        let gone = |look: &Result<_>| look.as_ref().err().is_some_and(Absent::is_container);
        looks.into_iter().filter(|look| !gone(look)).collect()
    }

    async fn image_status(&self, reference: &str) -> Result<Option<(Image, Value)>> {
        let image = Some(ImageSpec { image: reference.to_owned() });
        let ImageStatusResponse { image, info } =
            self.images("ImageStatus", &ImageStatusRequest { image, verbose: true }).await?;
        Ok(image.map(|image| (image, inspect::info(&info))))
    }

    async fn image_named(&self, reference: &str) -> Result<Image> {
        let known = self.image_status(reference).await?;
        known.map(|(image, _)| image).ok_or_else(|| {
            Absent::Image(format!("{} has no image {reference}; `crictl images` lists them", self.engine))
                .into()
        })
    }

    /// Where the runtime keeps images.
    async fn store(&self) -> Result<PathBuf> {
        let ImageFsInfoResponse { image_filesystems } =
            self.images("ImageFsInfo", &ImageFsInfoRequest {}).await?;
        let first = image_filesystems.into_iter().next().and_then(|filesystem| filesystem.fs_id);
        let place = first.context("the runtime does not say where it keeps images")?.mountpoint;
        // A directory of containerd's snapshotter, or of CRI-O's images: both are one below the root.
        let root =
            Path::new(&place).parent().with_context(|| format!("{place} is not where images are kept"))?;
        Ok(root.to_owned())
    }

    async fn on_disk(&self, id: &str) -> Result<Option<ImageOnDisk>> {
        if self.keeps_content() {
            return Ok(None);
        }
        let id = inspect::image(self.image_named(id).await?).id;
        let found = storage::image(&self.store().await?, &id);
        Ok(found.inspect_err(|why| tracing::debug!("image layers cannot be read in place: {why:#}")).ok())
    }

    async fn save(&self, id: &str, to: File) -> Result<()> {
        let id = inspect::image(self.image_named(id).await?).id;
        let root = self.store().await?;
        if !self.keeps_content() {
            // Why it could not be read in place is all that is left to say.
            let why = storage::image(&root, &id).err().unwrap_or_else(|| anyhow!("a layer is not plain"));
            return Err(why.context(format!("cannot read the image from {}", root.display())));
        }
        Content::new(&root).save(&id, &to).with_context(|| {
            format!("cannot read the image from {}: is it mounted at the same place?", root.display())
        })
    }

    /// Whether images are kept as they came, as containerd does.
    fn keeps_content(&self) -> bool {
        self.engine == "containerd"
    }

    async fn wait(&self, id: &str) -> Result<()> {
        // The events that CRI could tell are optional, and switched off in most runtimes.
        loop {
            match self.status(id).await {
                Ok(ContainerStatusResponse { status: Some(status), .. })
                    if status.state == ContainerState::Running as i32 =>
                {
                    sleep(AGAIN).await;
                }
                Ok(_) => return Ok(()),
                Err(error) if Absent::is_container(&error) => return Ok(()),
                Err(error) => return Err(error.context("cannot wait for the container to stop")),
            }
        }
    }

    async fn end(&self, id: &str) -> Result<()> {
        let question = StopContainerRequest { container_id: id.to_owned(), timeout: i64::from(GRACE) };
        let limit = ANSWER + Duration::from_secs(u64::from(GRACE));
        let Done {} = self.channel.call("/runtime.v1.RuntimeService/StopContainer", &question, limit).await?;
        Ok(())
    }

    /// The error for what CRI cannot do, or only the kubelet should.
    fn cannot<T: Send + 'static>(&self, what: &str, instead: &str) -> BoxFuture<'static, Result<T>> {
        let error = anyhow!("{} belongs to Kubernetes, so the agent cannot {what}: {instead}", self.engine);
        async move { Err(error) }.boxed()
    }
}

impl Runtime for Cri {
    fn name(&self) -> String {
        format!("{} {} (CRI)", self.engine, self.version)
    }

    fn inspect<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<Container>> {
        async move { self.look(self.listed(container).await?).await }.boxed()
    }

    fn running(&self) -> BoxFuture<'_, Result<Vec<Container>>> {
        self.all_running().boxed()
    }

    fn start<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>> {
        async move {
            let question = StartContainerRequest { container_id: id.to_owned() };
            let Done {} = self.runtime("StartContainer", &question).await?;
            Ok(())
        }
        .boxed()
    }

    fn restart<'a>(&'a self, _id: &'a str) -> BoxFuture<'a, Result<()>> {
        let instead = "delete the pod (kubectl delete pod), and record the one that Kubernetes makes instead";
        self.cannot("restart a container", instead)
    }

    fn wait_stopped<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>> {
        self.wait(id).boxed()
    }

    fn image<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<ImageRef>> {
        async move { Ok(inspect::image(self.image_named(reference).await?)) }.boxed()
    }

    fn image_on_disk<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<ImageOnDisk>>> {
        self.on_disk(id).boxed()
    }

    fn save_image<'a>(&'a self, id: &'a str, to: File) -> BoxFuture<'a, Result<()>> {
        self.save(id, to).boxed()
    }

    fn load_image(&self, _archive: File) -> BoxFuture<'_, Result<()>> {
        let instead = "write the image with --archive FILE and run `ctr -n k8s.io images import FILE` (containerd) or \
                       `podman load -i FILE` (CRI-O), or --push it to a registry";
        self.cannot("load an image", instead)
    }

    fn name_image<'a>(&'a self, _id: &'a str, _name: &'a str) -> BoxFuture<'a, Result<()>> {
        self.cannot("name an image", "use `ctr -n k8s.io images tag` (containerd) or `podman tag` (CRI-O)")
    }

    fn unname_image<'a>(&'a self, _name: &'a str) -> BoxFuture<'a, Result<()>> {
        self.cannot("remove an image's name", "use `crictl rmi`")
    }

    fn create<'a>(&'a self, _new: &'a NewContainer) -> BoxFuture<'a, Result<String>> {
        self.cannot("make a container", "use kubectl, or a host with docker or podman")
    }

    fn stop<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>> {
        self.end(id).boxed()
    }

    fn remove<'a>(&'a self, _container: &'a str) -> BoxFuture<'a, Result<()>> {
        self.cannot("remove a container", "use kubectl delete pod")
    }

    fn exec<'a>(&'a self, _id: &'a str, _command: &'a [String]) -> BoxFuture<'a, Result<Executed>> {
        self.cannot("run a command in a container", "use kubectl exec or `crictl exec`")
    }

    fn output<'a>(&'a self, _id: &'a str, _lines: Option<usize>) -> BoxFuture<'a, Result<Output>> {
        self.cannot("read what a container writes", "use kubectl logs or `crictl logs`")
    }
}
