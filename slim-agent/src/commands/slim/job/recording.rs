//! The steps in which the original runs: it is recorded, used and stopped.

use anyhow::{Context, Result, anyhow, bail};

use super::super::explore::{Wishes, explore};
use super::super::questions::{Exchange, Question};
use super::super::steps::Steps;
use super::super::subject::Subject;
use super::super::{Args, Words};
use super::{Job, asker};
use crate::commands::interrupt::Interrupt;
use crate::commands::record::load::Load;
use crate::commands::record::recording::{self, Recorded, Request};
use crate::commands::record::target::Target;
use crate::container::Container;
use crate::exit::{Exit, tag};
use crate::manifest::Manifest;
use crate::probe::{Limits, Tier};

impl Job<'_> {
    /// Starts the original under observation, does with it what is wanted, and stops it.
    pub(super) async fn record(&mut self, name: &str) -> Result<(Manifest, Vec<Exchange>)> {
        self.steps.begin("record", "attaching, and starting the container");
        let container = self.runtime.inspect(name).await?;
        let wishes = self.wishes(&container)?;
        let mut load = Load::prepare(&self.args.command)?;
        let target = Target::Container { runtime: self.runtime.clone(), container: Box::new(container) };
        let request = Request {
            target,
            output: self.files.manifest.clone(),
            restart: false,
            ignore_exec: false,
            tier: Tier::default(),
            limits: Limits::default(),
            watch: None,
        };
        let (args, runtime, interrupt) = (self.args, self.runtime.clone(), self.interrupt.clone());
        let steps = &mut self.steps;
        let recorded = recording::record(request, &self.interrupt, move |session| {
            let subject = session.container().map(|now| Subject::new(runtime, now.clone()));
            async move {
                let subject = subject.context("the recording knows no container")?;
                probe(args, &subject, &wishes, &mut load, &interrupt, steps).await
            }
        });
        let Recorded { manifest, end, .. } = recorded.await?;
        let known = end?.unwrap_or_else(|| Err(anyhow!("interrupted")));
        Ok((manifest, known?))
    }

    /// What is to be done with the original's container.
    fn wishes(&self, container: &Container) -> Result<Wishes> {
        let args = self.args;
        let ports = if args.http_ports.is_empty() { &container.ports } else { &args.http_ports };
        let other = !args.execs.is_empty() || !args.command.is_empty();
        let asked_for = !args.http_probes.is_empty() || !args.http_ports.is_empty();
        if asked_for && ports.is_empty() {
            let why = "the image exposes no TCP port: say with --http-port which one answers HTTP";
            return Err(tag(Exit::Usage, why));
        }
        let mut pages = args.http_probes.clone();
        if pages.is_empty() && !ports.is_empty() && (asked_for || !other) {
            pages.push("/".to_owned());
        }
        Ok(Wishes {
            pages,
            by_default: !asked_for,
            ports: ports.clone(),
            depth: args.crawl_depth,
            limit: args.crawl_limit,
            healthcheck: container.healthcheck.clone(),
            commands: args.execs.iter().map(|Words(words)| words.clone()).collect(),
            load: !args.command.is_empty(),
            duration: args.duration,
        })
    }
}

/// What goes on while the original is recorded: it is used, and then stopped, which is recorded, too.
async fn probe(
    args: &Args,
    subject: &Subject,
    wishes: &Wishes,
    load: &mut Load,
    interrupt: &Interrupt,
    steps: &mut Steps,
) -> Result<Vec<Exchange>> {
    steps.end("from its first instruction");
    steps.begin("probe", "using the container");
    let explored = interrupt.during(explore(&asker(args, subject), wishes, load)).await;
    load.stop().await;
    let known = explored??;
    if let Some(failed) = known.iter().find(|exchange| exchange.question == Question::Load)
        && failed.answer.outcome != "exit status: 0"
    {
        bail!("the load test failed: {}", failed.answer.outcome);
    }
    steps.end(&probed(&known));
    steps.begin("stop", "stopping the container");
    interrupt.during(subject.runtime().stop(subject.id())).await??;
    steps.end("with its own signal");
    Ok(known)
}

/// `7 pages on port 80, 1 command, the load test; still running`.
fn probed(known: &[Exchange]) -> String {
    let count = |name: &str, number: usize| match number {
        0 => None,
        1 => Some(format!("1 {name}")),
        _ => Some(format!("{number} {name}s")),
    };
    let pages = known.iter().filter(|exchange| matches!(exchange.question, Question::Page { .. })).count();
    let commands = known.iter().filter(|exchange| matches!(exchange.question, Question::Command(_))).count();
    let others = known.iter().map(|exchange| &exchange.question);
    let others = others.filter(|question| matches!(question, Question::Load | Question::HealthCheck(_)));
    let done = [count("page", pages), count("command", commands)]
        .into_iter()
        .chain(others.map(|question| Some(question.to_string())));
    let end = known.last().map(|exchange| exchange.answer.outcome.clone());
    done.chain([end]).flatten().collect::<Vec<_>>().join(", ")
}
