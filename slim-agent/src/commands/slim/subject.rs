//! A container that runs and is asked: where it can be reached, and whether it still lives.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tokio::time::sleep;

use super::answer::{Answer, Content};
use crate::commands::record::target::environment;
use crate::container::{Container, Runtime};
use crate::resolve::snapshot::listening;

/// Between two looks whether something listens.
const AGAIN: Duration = Duration::from_millis(10);
/// Lines of a container's output that are shown when it failed.
const LAST_LINES: usize = 15;

/// A container and the runtime that has it.
#[derive(Clone)]
pub struct Subject {
    runtime: Arc<dyn Runtime>,
    container: Container,
}

impl Subject {
    /// A container as the runtime told of it when it had been started.
    pub fn new(runtime: Arc<dyn Runtime>, container: Container) -> Self {
        Self { runtime, container }
    }

    /// The runtime.
    pub fn runtime(&self) -> &dyn Runtime {
        &*self.runtime
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.container.id
    }

    /// The TCP ports that it exposes.
    pub fn ports(&self) -> &[u16] {
        &self.container.ports
    }

    /// The variables that COMMAND gets.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        environment(&self.container)
    }

    /// The address at which this host reaches it.
    ///
    /// # Errors
    /// It has exited, or is in no network.
    pub async fn ip(&self) -> Result<IpAddr> {
        let Some(ip) = self.container.ip.as_deref() else {
            if self.runtime.inspect(self.id()).await?.exit_code.is_some() {
                return Err(self.exited("before it had been probed").await);
            }
            bail!(
                "the container has no address, so it cannot be probed over HTTP: choose another --network, or probe \
                 with --exec"
            );
        };
        ip.parse().with_context(|| format!("the container's address {ip:?} is none"))
    }

    /// Resolves once it does not run any more.
    pub async fn stopped(&self) -> Result<()> {
        self.runtime.wait_stopped(self.id()).await
    }

    /// What `work` gives.
    ///
    /// # Errors
    /// The container exits first; the message has what it wrote last.
    pub async fn while_it_runs<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            done = work => done,
            stopped = self.stopped() => {
                stopped?;
                Err(self.exited("before it had been probed").await)
            }
        }
    }

    /// The error for a container that exited, with its exit code and what it wrote last.
    pub async fn exited(&self, when: &str) -> anyhow::Error {
        let code = match self.runtime.inspect(self.id()).await {
            Ok(Container { exit_code: Some(code), .. }) => format!("with code {code} "),
            _ => String::new(),
        };
        anyhow!("the container exited {code}{when}{}", self.last_words().await)
    }

    /// What it wrote last, as the end of a message.
    pub async fn last_words(&self) -> String {
        let Ok(output) = self.runtime.output(self.id(), Some(LAST_LINES)).await else { return String::new() };
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim_end().to_owned();
        if text.is_empty() {
            return "; it wrote nothing".to_owned();
        }
        format!("; the last that it wrote:\n  {}", text.replace('\n', "\n  "))
    }

    /// Waits until one of the ports it exposes listens, at the longest for `patience`; whether one does. The tables of
    /// its network namespace tell, so that nobody has to knock.
    pub async fn listens(&self, patience: Duration) -> bool {
        let looking = async {
            loop {
                let found = self.container.pid.map(listening).unwrap_or_default();
                if self.ports().iter().any(|port| found.contains(port)) {
                    return;
                }
                sleep(AGAIN).await;
            }
        };
        tokio::time::timeout(patience, looking).await.is_ok()
    }

    /// What listens in its network namespace, for a message.
    pub fn listeners(&self) -> String {
        let found = self.container.pid.map(listening).unwrap_or_default();
        if found.is_empty() {
            return "nothing listens in the container".to_owned();
        }
        let ports = found.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        format!("in the container something listens at port {ports}, perhaps for itself only")
    }

    /// How it stands: `still running`, or its exit code with what it wrote to standard output if that is asked for.
    ///
    /// # Errors
    /// The runtime does not tell.
    pub async fn end(&self, with_output: bool) -> Result<Answer> {
        let now = self.runtime.inspect(self.id()).await?;
        let Some(code) = now.exit_code else {
            return Ok(Answer::plain("still running"));
        };
        let mut answer = Answer::plain(format!("exit code {code}"));
        if with_output {
            let output = self.runtime.output(self.id(), None).await?;
            answer.content = Content::of(&output.stdout, output.cut);
        }
        Ok(answer)
    }
}
