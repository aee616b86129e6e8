//! Containers that the agent makes itself, from their creation to their removal, and names of images.

use std::collections::HashMap;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bollard::container::LogOutput;
use bollard::errors::Error as Report;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bollard::models::{ContainerCreateBody, HostConfig, PortBinding};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveImageOptionsBuilder, StopContainerOptions, TagImageOptionsBuilder,
};
use futures_util::stream::{Stream, TryStreamExt};
use tempfile::NamedTempFile;
use tokio::time::sleep;

use super::{Docker, container_name, error, image_name, inspect};
use crate::container::{Executed, NewContainer, Output, Published};

/// Bytes of a program's output that are held, of each of its two streams.
const MOST: usize = 4 * 1024 * 1024;
/// Between two questions whether a command has ended whose output has.
const AGAIN: Duration = Duration::from_millis(5);

impl Docker {
    pub(super) async fn create_new(&self, new: &NewContainer) -> Result<String> {
        let options = CreateContainerOptionsBuilder::default().name(container_name(&new.name)?).build();
        let profile = new.seccomp.as_deref().map(|text| self.profile(text)).transpose()?;
        let named = profile.as_ref().map(|(spelled, _file)| spelled.clone());
        let made = self.client.create_container(Some(options), body(new, named)).await;
        let made = made.map_err(|report| match report {
            Report::DockerResponseServerError { status_code: 404, ref message }
                if message.to_lowercase().contains("image") =>
            {
                error::about_image(report, &new.image)
            }
            report => error::other(report).context(format!("cannot create a container of {}", new.image)),
        })?;
        made.warnings.iter().for_each(|warning| tracing::warn!("the engine warns: {warning}"));
        Ok(made.id)
    }

    /// How the engine wants to be told of a seccomp profile: by its text, or, podman, by a file that it reads when the
    /// container is created.
    fn profile(&self, text: &str) -> Result<(String, Option<NamedTempFile>)> {
        if !inspect::is_podman(&self.version) {
            return Ok((text.to_owned(), None));
        }
        let mut file = NamedTempFile::new().context("cannot make a file for the seccomp profile")?;
        file.write_all(text.as_bytes()).context("cannot write the seccomp profile to a file")?;
        let path = file.path().to_str().context("the name of a temporary file is not UTF-8: set TMPDIR")?;
        Ok((path.to_owned(), Some(file)))
    }

    pub(super) async fn stop_container(&self, id: &str) -> Result<()> {
        let stopped = self.patient().stop_container(container_name(id)?, None::<StopContainerOptions>).await;
        stopped.map_err(|report| error::about_container(report, "cannot stop", id))
    }

    pub(super) async fn remove_container(&self, container: &str) -> Result<()> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        match self.client.remove_container(container_name(container)?, Some(options)).await {
            Ok(()) | Err(Report::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
            Err(report) => Err(error::about_container(report, "cannot remove", container)),
        }
    }

    pub(super) async fn execute(&self, id: &str, command: &[String]) -> Result<Executed> {
        let options = CreateExecOptions {
            cmd: Some(command.to_vec()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..Default::default()
        };
        let cannot = |report| error::about_container(report, "cannot run a command in", id);
        let made = self.client.create_exec(container_name(id)?, options).await.map_err(cannot)?;
        let started = self.patient().start_exec(&made.id, None::<StartExecOptions>).await.map_err(cannot)?;
        let StartExecResults::Attached { output, .. } = started else {
            bail!("the engine does not show what a command in the container writes");
        };
        let output = gather(output).await.context("cannot read what a command in the container writes")?;
        // The engine learns of the end a moment after it has closed the output.
        loop {
            let state = self.client.inspect_exec(&made.id).await.map_err(error::other)?;
            match (state.running, state.exit_code) {
                (Some(true), _) => sleep(AGAIN).await,
                (_, code) => {
                    let code = code.context("the engine does not say how the command ended")?;
                    return Ok(Executed { code, output });
                }
            }
        }
    }

    pub(super) async fn written(&self, id: &str, lines: Option<usize>) -> Result<Output> {
        let tail = lines.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).tail(&tail).build();
        let output = gather(self.client.logs(container_name(id)?, Some(options))).await;
        output.with_context(|| format!("cannot read what container {id} has written"))
    }

    pub(super) async fn add_name(&self, id: &str, name: &str) -> Result<()> {
        let (repo, tag) = name.rsplit_once(':').context("an image's new name needs a tag")?;
        let options = TagImageOptionsBuilder::default().repo(repo).tag(tag).build();
        let named = self.client.tag_image(image_name(id)?, Some(options)).await;
        named.map_err(error::other).with_context(|| format!("cannot name an image {name}"))
    }

    pub(super) async fn remove_name(&self, name: &str) -> Result<()> {
        let options = RemoveImageOptionsBuilder::default().build();
        let removed = self.client.remove_image(image_name(name)?, Some(options), None).await;
        removed.map(drop).map_err(error::other).with_context(|| format!("cannot remove the name {name}"))
    }
}

fn body(new: &NewContainer, seccomp: Option<String>) -> ContainerCreateBody {
    let some = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    let exposed: Vec<_> = new.ports.iter().map(|published| published.port.clone()).collect();
    ContainerCreateBody {
        image: Some(new.image.clone()),
        env: some(&new.env),
        user: new.user.clone(),
        volumes: some(&new.volumes),
        exposed_ports: some(&exposed),
        host_config: Some(HostConfig {
            binds: some(&new.binds),
            port_bindings: (!new.ports.is_empty()).then(|| bindings(&new.ports)),
            network_mode: new.network.clone(),
            security_opt: seccomp.map(|profile| vec![format!("seccomp={profile}")]),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// One port may be published more than once.
fn bindings(ports: &[Published]) -> HashMap<String, Option<Vec<PortBinding>>> {
    let mut bindings: HashMap<String, Option<Vec<PortBinding>>> = HashMap::new();
    for Published { port, host_ip, host_port } in ports {
        let binding = PortBinding { host_ip: host_ip.clone(), host_port: host_port.clone() };
        bindings.entry(port.clone()).or_default().get_or_insert_default().push(binding);
    }
    bindings
}

async fn gather(stream: impl Stream<Item = Result<LogOutput, Report>>) -> Result<Output> {
    let mut stream = std::pin::pin!(stream);
    let mut output = Output::default();
    while let Some(part) = stream.try_next().await.map_err(error::other)? {
        let (to, bytes) = match &part {
            LogOutput::StdErr { message } => (&mut output.stderr, message),
            LogOutput::StdOut { message } | LogOutput::StdIn { message } | LogOutput::Console { message } => {
                (&mut output.stdout, message)
            }
        };
        let room = MOST - to.len();
        to.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        output.cut |= bytes.len() > room;
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn output_is_held_up_to_its_bound_and_told_apart_by_stream() {
        let chunk = |size: usize| bytes::Bytes::from(vec![b'x'; size]);
        let parts = [
            LogOutput::StdOut { message: chunk(3) },
            LogOutput::StdErr { message: chunk(MOST) },
            LogOutput::StdErr { message: chunk(1) },
            LogOutput::Console { message: chunk(2) },
        ];
        let output = gather(futures_util::stream::iter(parts.map(Ok))).await.unwrap();
        assert_eq!((output.stdout.len(), output.stderr.len(), output.cut), (5, MOST, true));
    }

    #[test]
    fn a_port_published_twice_keeps_both_places() {
        let on =
            |port: &str| Published { port: "80/tcp".into(), host_ip: None, host_port: Some(port.into()) };
        let bindings = bindings(&[on("8080"), on("8081")]);
        assert_eq!(bindings["80/tcp"].as_ref().map(Vec::len), Some(2));
    }
}
