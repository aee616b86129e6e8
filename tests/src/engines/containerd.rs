//! containerd with its CRI plugin, of the Debian package `containerd`, as a kubelet uses it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::cri::{Message, ask};
use super::end;
use crate::command::output;
use crate::docker::{Tag, docker};
use crate::wait::wait_until;

/// What a pod's first container does, which holds its namespaces.
const PAUSE: &str = "#include <signal.h>
#include <unistd.h>
static void end(int signal) { _exit(0); }
int main(void) { signal(SIGTERM, end); for (;;) pause(); }
";

/// No plugin that looks at the host, and no score that needs a privilege.
const CONFIG: &str = r#"version = 2
root = "PLACE/root"
state = "PLACE/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
address = "PLACE/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "docker.io/library/SANDBOX"
restrict_oom_score_adj = true
stream_server_address = "127.0.0.1"
stream_server_port = "0"
[plugins."io.containerd.grpc.v1.cri".cni]
conf_dir = "PLACE/cni"
"#;

/// The network of the node: pods need no plugin for it.
const NODE: u8 = 2;

/// A containerd; it ends, with its pods and all that it holds, when this goes out of scope.
#[derive(Debug)]
pub struct Containerd {
    place: TempDir,
    service: Child,
    pods: Vec<String>,
}

/// A pod with one container.
#[derive(Debug)]
pub struct Pod {
    /// The container's id.
    pub container: String,
}

impl Containerd {
    /// Starts one that has the images of a saved archive.
    pub fn start(images: &Path) -> Result<Self> {
        let place = tempfile::tempdir().context("cannot make a temporary directory")?;
        let spelled = place.path().to_str().context("the temporary directory is not UTF-8")?;
        let pause = Tag::new("pause");
        fs::write(
            place.path().join("config.toml"),
            CONFIG.replace("PLACE", spelled).replace("SANDBOX", pause.name()),
        )?;
        let log = File::create(place.path().join("log"))?;
        let mut command = Command::new("containerd");
        command.arg("--config").arg(place.path().join("config.toml"));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let service = command.spawn().context("cannot run containerd: cargo xtask setup")?;
        let containerd = Self { place, service, pods: Vec::new() };
        wait_until("containerd answers", || Ok(containerd.ctr(&["version"]).is_ok()))
            .with_context(|| fs::read_to_string(containerd.place.path().join("log")).unwrap_or_default())?;
        let saved = containerd.pause(&pause)?;
        for archive in [saved.as_path(), images] {
            let archive = archive.to_str().context("a path is not UTF-8")?;
            containerd.ctr(&["--namespace", "k8s.io", "images", "import", archive])?;
        }
        Ok(containerd)
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.place.path().join("containerd.sock")
    }

    /// Runs a pod in the node's network, and makes a container in it that does not run yet.
    pub fn pod(&mut self, name: &str, image: &str, labels: &[(&str, &str)]) -> Result<Pod> {
        let message = Message::default;
        let namespaces = message().number(1, NODE).number(2, 1);
        let metadata = message().text(1, name).text(2, "uid-1").text(3, "shop");
        let logs = self.place.path().join("logs");
        let mut config = message().message(1, &metadata).text(3, &logs.to_string_lossy());
        for (key, value) in labels {
            config = config.entry(6, key, value);
        }
        let config = config.message(8, &message().message(2, &message().message(1, &namespaces)));
        let pod = self.ask("RunPodSandbox", &message().message(1, &config))?;
        self.pods.push(pod.clone());
        let security = message().message(2, &message().message(3, &namespaces));
        let container = message()
            .message(1, &message().text(1, "web"))
            .message(2, &message().text(1, image))
            .text(11, "web.log")
            .message(15, &security);
        let question = message().text(1, &pod).message(2, &container).message(3, &config);
        Ok(Pod { container: self.ask("CreateContainer", &question)? })
    }

    /// Ends a pod's container, as a kubelet does.
    pub fn stop(&self, pod: &Pod) -> Result<()> {
        self.ask("StopContainer", &Message::default().text(1, &pod.container).number(2, 10)).map(drop)
    }

    /// Starts a pod's container.
    pub fn run(&self, pod: &Pod) -> Result<()> {
        self.ask("StartContainer", &Message::default().text(1, &pod.container)).map(drop)
    }

    fn ask(&self, method: &str, question: &Message) -> Result<String> {
        ask(&self.socket(), method, question)
    }

    fn ctr(&self, arguments: &[&str]) -> Result<String> {
        output(Command::new("ctr").arg("--address").arg(self.socket()).args(arguments))
    }

    /// An archive of an image with one static program in it.
    fn pause(&self, tag: &Tag) -> Result<PathBuf> {
        let at = |name: &str| self.place.path().join(name);
        fs::write(at("pause.c"), PAUSE)?;
        let (program, archive) = (at("pause"), at("pause.tar"));
        output(Command::new("gcc").args(["-static", "-Os", "-o"]).arg(&program).arg(at("pause.c")))?;
        output(
            Command::new("tar").arg("-cf").arg(at("layer.tar")).arg("-C").arg(self.place.path()).arg("pause"),
        )?;
        let entry = "ENTRYPOINT [\"/pause\"]";
        docker(&["import", "--change", entry, &at("layer.tar").to_string_lossy(), tag.name()])?;
        docker(&["save", "--output", &archive.to_string_lossy(), tag.name()])?;
        Ok(archive)
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        for pod in &self.pods {
            let question = Message::default().text(1, pod);
            let _stopped = self.ask("StopPodSandbox", &question);
            let _removed = self.ask("RemovePodSandbox", &question);
        }
        end(&mut self.service);
    }
}
