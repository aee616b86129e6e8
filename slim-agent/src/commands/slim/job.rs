//! The steps from an image to a verified slim image, in their order.

mod comparing;
mod recording;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};

use super::made::Made;
use super::questions::{Asker, Exchange, Question};
use super::report::{Report, Verdict, no_page, probes, size};
use super::steps::Steps;
use super::subject::Subject;
use super::{Args, Format};
use crate::commands::export_image::{Done, Export};
use crate::commands::interrupt::Interrupt;
use crate::commands::manifests::require_complete;
use crate::commands::{emit, json};
use crate::container::Runtime;
use crate::exit::{Exit, tag};
use crate::export::image::{Reference, Shape};
use crate::export::output::Output;
use crate::export::seccomp;
use crate::manifest::{ImageRef, Manifest};
use crate::plan::Policy;
use comparing::Compared;

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
    /// What is kept beyond what is seen.
    pub policy: Policy,
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

impl Job<'_> {
    /// Does all of it.
    ///
    /// # Errors
    /// As the command; that the slim image differs is no error here.
    pub async fn run(&mut self) -> Result<Report> {
        let container = self.create().await?;
        let (manifest, known) = self.record(&container).await?;
        self.made.release();
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

    /// Makes the slim image and its profile, and loads the image under a name that says that it is not verified.
    async fn export(&mut self, manifest: &Manifest, known: &[Exchange]) -> Result<Exported> {
        self.steps.begin("export", "the image and the seccomp profile");
        require_complete(manifest, self.args.allow_incomplete)?;
        let suffix = if self.args.no_verify { "" } else { UNVERIFIED };
        let loaded_as = format!("{}{suffix}", self.name).parse::<Reference>();
        let loaded_as = loaded_as.map_err(|why| tag(Exit::Usage, why))?;
        let mut policy = self.policy.clone();
        policy.include_exec |= known.iter().any(|exchange| matches!(exchange.question, Question::Command(_)));
        let original = &self.original.id;
        let export = Export { manifest, original, policy: &policy };
        let done = export.build(&Shape::Merged, Some(&loaded_as), &*self.runtime).await?;
        emit(&self.files.explanation, &done.plan.explain(original, &self.name.to_string())?)?;
        let confinement = seccomp::export(manifest)?;
        confinement.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let profile = json(&confinement.profile)?;
        emit(&self.files.seccomp, &profile)?;
        let engine = Output::Engine(loaded_as.clone());
        let image = self.interrupt.during(engine.write(&done.built, &*self.runtime)).await??.digest;
        self.steps.end(&size(&done.plan.totals, &done.whole));
        let profile = String::from_utf8(profile).context("the profile is not UTF-8")?;
        Ok(Exported { done, image, loaded_as, profile })
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
