//! The steps from an image to a verified slim image, in their order.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};

use super::Args;
use super::explore::{Wishes, explore};
use super::made::Made;
use super::questions::{Asker, Exchange, Question};
use super::report::{Report, Verdict, no_page, probes, size};
use super::steps::Steps;
use super::subject::Subject;
use super::verify::{Replay, confirmed, doubts, replay};
use super::{Format, Words};
use crate::commands::export_image::{Done, Export};
use crate::commands::interrupt::Interrupt;
use crate::commands::record::load::Load;
use crate::commands::record::recording::{self, Recorded, Request};
use crate::commands::record::target::Target;
use crate::commands::{emit, json, require_complete};
use crate::container::{Container, Runtime};
use crate::exit::{Exit, tag};
use crate::export::image::{Reference, Shape};
use crate::export::seccomp;
use crate::manifest::{ImageRef, Manifest};
use crate::plan::Policy;
use crate::probe::{Limits, Tier};

/// What is behind the tag of an image that was not shown to be right.
const UNVERIFIED: &str = "-unverified";

/// Where the results go.
pub struct Files {
    /// The manifest.
    pub manifest: PathBuf,
    /// The seccomp profile.
    pub seccomp: PathBuf,
    /// Why each path is kept.
    pub explanation: PathBuf,
}

/// One run of the command.
pub struct Job<'a> {
    /// What was typed.
    pub args: &'a Args,
    /// The slim image's name.
    pub name: Reference,
    /// Where the results go.
    pub files: Files,
    /// The original image.
    pub original: ImageRef,
    /// The engine.
    pub runtime: Arc<dyn Runtime>,
    /// The containers that were made.
    pub made: Made,
    /// What stops it all.
    pub interrupt: Interrupt,
    /// How far it is.
    pub steps: Steps,
}

/// A slim image in the engine.
struct Exported {
    done: Done,
    /// Its id.
    image: String,
    /// Its name.
    loaded_as: Reference,
    /// Its profile, as JSON.
    profile: String,
}

/// What a comparison came to.
struct Compared {
    verdict: Verdict,
    /// What could be compared in its outcome only.
    unstable: BTreeMap<usize, String>,
}

impl Job<'_> {
    /// Does all of it.
    ///
    /// # Errors
    /// As the command; that the slim image differs is no error here.
    pub async fn run(&mut self) -> Result<Report> {
        let container = self.create().await?;
        let (manifest, known) = self.record(&container).await?;
        self.made.end().await;
        let exported = self.export(&manifest, &known).await?;
        let compared = if self.args.no_verify {
            Compared { verdict: Verdict::NotVerified, unstable: BTreeMap::new() }
        } else {
            self.verify(&exported, &known).await?
        };
        let loaded_as = self.rename(&exported, &compared.verdict).await?;
        Ok(self.report(exported, loaded_as, &known, compared))
    }

    async fn create(&mut self) -> Result<String> {
        self.steps.begin("create", &self.args.image);
        let name = self.made.create("original", self.args.container(&self.original.id, None)).await?;
        self.steps.end(&format!("{name} of {}", self.args.image));
        Ok(name)
    }

    /// Starts the original under observation, does with it what is wanted, and stops it.
    async fn record(&mut self, name: &str) -> Result<(Manifest, Vec<Exchange>)> {
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
        let known = end.unwrap_or_else(|| Err(anyhow!("interrupted")));
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

    /// Makes the slim image and its profile, and loads the image under a name that says that it is not verified.
    async fn export(&mut self, manifest: &Manifest, known: &[Exchange]) -> Result<Exported> {
        self.steps.begin("export", "the image and the seccomp profile");
        require_complete(manifest, self.args.allow_incomplete)?;
        let suffix = if self.args.no_verify { "" } else { UNVERIFIED };
        let loaded_as = format!("{}{suffix}", self.name).parse::<Reference>();
        let loaded_as = loaded_as.map_err(|why| tag(Exit::Usage, why))?;
        let include_exec = known.iter().any(|exchange| matches!(exchange.question, Question::Command(_)));
        let policy = Policy { include_exec };
        let original = &self.original.id;
        let export = Export { manifest, original, policy: &policy };
        let done = export.build(&Shape::Merged, Some(&loaded_as), &*self.runtime).await?;
        emit(&self.files.explanation, &done.plan.explain(original, &self.name.to_string())?)?;
        let confinement = seccomp::export(manifest)?;
        confinement.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let profile = json(&confinement.profile)?;
        emit(&self.files.seccomp, &profile)?;
        let archive = done.built.archive.try_clone().context("cannot read the new image")?;
        let loaded = self.interrupt.during(self.runtime.load_image(archive)).await?;
        loaded.context("cannot load the new image into the engine")?;
        let image = self.runtime.image(&loaded_as.to_string()).await;
        let image = image.context("the engine did not take the new image")?.id;
        self.steps.end(&size(&done.plan.totals, &done.whole));
        let profile = String::from_utf8(profile).context("the profile is not UTF-8")?;
        Ok(Exported { done, image, loaded_as, profile })
    }

    /// Asks the slim image, confined by its profile, what the original was asked.
    async fn verify(&mut self, exported: &Exported, known: &[Exchange]) -> Result<Compared> {
        self.steps.begin("verify", "asking the slim image the same");
        let profile = Some(exported.profile.clone());
        let subject = match self.start("slim", &exported.image, profile).await? {
            Ok(subject) => subject,
            Err(error) => {
                let how = format!("it does not start under its seccomp profile: {error:#}");
                self.steps.end("different");
                return Ok(Compared { verdict: Verdict::Different(how), unstable: BTreeMap::new() });
            }
        };
        let compared = match replay(&self.asker(&subject), known, &self.interrupt).await? {
            Replay::Different(how) => {
                Compared { verdict: Verdict::Different(how), unstable: BTreeMap::new() }
            }
            Replay::Alike(answers) => {
                let doubts = doubts(known, &answers);
                let difference =
                    if doubts.is_empty() { None } else { self.ask_again(known, &doubts).await? };
                match difference {
                    Some(how) => Compared { verdict: Verdict::Different(how), unstable: BTreeMap::new() },
                    None => Compared { verdict: Verdict::Same, unstable: doubts },
                }
            }
        };
        self.steps.end(match compared.verdict {
            Verdict::Same => "the slim image answers as the original, under its seccomp profile",
            _ => "different",
        });
        Ok(compared)
    }

    /// Asks the original once more, for what may vary by itself; the first difference that does not.
    async fn ask_again(
        &mut self,
        known: &[Exchange],
        doubts: &BTreeMap<usize, String>,
    ) -> Result<Option<String>> {
        let first = doubts.values().next().cloned().unwrap_or_default();
        let original = self.original.id.clone();
        let subject =
            self.start("control", &original, None).await?.context("cannot start the original again")?;
        match replay(&self.asker(&subject), known, &self.interrupt).await? {
            Replay::Alike(control) => Ok(confirmed(known, doubts, &control)),
            Replay::Different(how) => Ok(Some(format!(
                "{first}; the original, started once more to compare, did not do the same itself: {how}"
            ))),
        }
    }

    /// Makes and starts a container; the inner error is the engine's that it cannot be started.
    async fn start(&mut self, role: &str, image: &str, seccomp: Option<String>) -> Result<Result<Subject>> {
        let name = self.made.create(role, self.args.container(image, seccomp)).await?;
        if let Err(error) = self.interrupt.during(self.runtime.start(&name)).await? {
            return Ok(Err(error));
        }
        let now = self.runtime.inspect(&name).await?;
        Ok(Ok(Subject::new(self.runtime.clone(), now)))
    }

    fn asker<'s>(&'s self, subject: &'s Subject) -> Asker<'s> {
        asker(self.args, subject)
    }

    /// Gives the image the name that was asked for, unless it is different; the name that it has then.
    async fn rename(&self, exported: &Exported, verdict: &Verdict) -> Result<String> {
        let loaded_as = exported.loaded_as.to_string();
        if *verdict != Verdict::Same {
            return Ok(loaded_as);
        }
        let name = self.name.to_string();
        self.runtime.name_image(&exported.image, &name).await?;
        self.runtime.unname_image(&loaded_as).await?;
        Ok(name)
    }

    fn report(
        &self,
        exported: Exported,
        loaded_as: String,
        known: &[Exchange],
        compared: Compared,
    ) -> Report {
        let Done { plan, whole, .. } = exported.done;
        Report {
            tag: self.name.to_string(),
            loaded_as,
            image: exported.image,
            original: self.original.id.clone(),
            original_holds: whole,
            holds: plan.totals,
            manifest: self.files.manifest.clone(),
            seccomp: self.files.seccomp.clone(),
            explanation: self.files.explanation.clone(),
            steps: self.steps.done().to_vec(),
            probes: probes(known, &compared.unstable),
            verdict: compared.verdict,
            notes: plan.notes.into_iter().chain(no_page(known)).collect(),
        }
    }
}

fn asker<'s>(args: &'s Args, subject: &'s Subject) -> Asker<'s> {
    Asker {
        subject,
        patience: args.timeout,
        load: &args.command,
        data_on_stdout: args.format == Format::Json,
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
