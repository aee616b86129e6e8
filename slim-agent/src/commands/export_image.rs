//! `export image`: a minimal image from manifests, to the engine, a directory, a file or a registry.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::Serialize;

use super::manifests::CompleteArgs;
use super::policy::PolicyArgs;
use super::runtime::RuntimeArgs;
use crate::container::Runtime;
use crate::exit::{Exit, tag};
use crate::export::image::{Base, Built, Reference, Shape, make};
use crate::export::output::{Output, Written};
use crate::image::{self, ImageSource, Totals, overlay::NotPlain};
use crate::manifest::{ImageRef, Manifest, io};
use crate::plan::{Plan, Policy};

mod outputs;

pub use outputs::{OutputArgs, Outputs};

/// Arguments of `export image`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    manifests: CompleteArgs,

    #[command(flatten)]
    outputs: OutputArgs,

    /// Which layers the image has
    #[arg(long, value_enum, default_value_t = Layers::Merge)]
    layers: Layers,

    /// Put what is kept on top of this image, of which everything stays
    #[arg(long, value_name = "IMAGE", conflicts_with = "layers")]
    base: Option<String>,

    /// Where to write why each path is kept [default: <NAME_TAG>.plan.json]
    #[arg(long, value_name = "FILE")]
    explain: Option<PathBuf>,

    /// The original image, for manifests of a bare cgroup, which name none
    #[arg(long, value_name = "REF")]
    image: Option<String>,

    /// How to report: text on standard error, or a JSON object on standard output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    #[command(flatten)]
    runtime: RuntimeArgs,

    #[command(flatten)]
    policy: PolicyArgs,
}

/// How the report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Lines for people
    Text,
    /// {"image", "tag", "original", "bytes", "files", ...}
    Json,
}

/// Which layers the image has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Layers {
    /// One with everything
    Merge,
    /// Those of the original, each without what is not needed, so that images with a common base share it
    Keep,
}

/// What was done.
#[derive(Debug, Serialize)]
struct Report {
    /// The engine's id of the new image.
    image: String,
    tag: String,
    original: String,
    /// Bytes of content in the original, and files.
    original_bytes: u64,
    original_files: u64,
    /// Bytes of content in the new image, and files; what a base brings does not count.
    bytes: u64,
    files: u64,
    /// Bytes of the new image's layers, uncompressed.
    layer_bytes: u64,
    /// The image that it is put on, of which everything stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<String>,
    /// Where it went.
    written: Vec<Written>,
    explanation: PathBuf,
    notes: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// Usage: a name or the combination of arguments is wrong. Incomplete: the manifests are, and `--allow-incomplete`
/// is not given. Otherwise: a manifest is unusable, the manifests are about different images, the engine does not
/// answer or does not have the image, or an output cannot be written.
pub async fn run(args: &Args) -> Result<()> {
    let outputs = args.outputs.outputs()?;
    let explanation =
        args.explain.clone().unwrap_or_else(|| format!("{}.plan.json", outputs.file_name).into());
    args.outputs.share_stdout(&explanation, args.format == Format::Json)?;
    io::check_writable(&explanation)?;
    let policy = args.policy.policy()?;
    outputs.all.iter().try_for_each(Output::check)?;
    let manifest = args.manifests.load()?;
    let (runtime, original) = args.runtime.original(&manifest, args.image.as_deref()).await?;
    let shape = args.shape(&*runtime).await?;
    let export = Export { manifest: &manifest, original: &original.id, policy: &policy };
    let Done { plan, built, whole } = export.build(&shape, outputs.name.as_ref(), &*runtime).await?;
    super::emit(&explanation, &plan.explain(&original.id, &outputs.title)?)?;
    let mut written = Vec::new();
    for output in &outputs.all {
        written.push(output.write(&built, &*runtime).await?);
    }
    let report = Report {
        layer_bytes: built.layer_bytes(),
        image: built.id,
        tag: outputs.title,
        original: original.id,
        original_bytes: whole.bytes,
        original_files: whole.files,
        bytes: plan.totals.bytes,
        files: plan.totals.files,
        base: args.base.clone(),
        written,
        explanation,
        notes: plan.notes,
    };
    report.print(args.format)
}

impl Args {
    /// The layers that are asked for.
    async fn shape(&self, runtime: &dyn Runtime) -> Result<Shape> {
        let Some(name) = &self.base else {
            return Ok(if self.layers == Layers::Keep { Shape::Kept } else { Shape::Merged });
        };
        let cannot = || format!("cannot use {name} as base");
        let reference = runtime.image(name).await.with_context(cannot)?;
        // Its layers must be byte for byte what they are, and only the engine can put them together again.
        let archive = image::open_archive(runtime, &reference.id).await.with_context(cannot)?;
        Ok(Shape::On(Box::new(Base::new(archive, reference, name))))
    }
}

/// What is to be exported.
#[derive(Debug)]
pub struct Export<'a> {
    /// What was recorded.
    pub manifest: &'a Manifest,
    /// The engine's id of the original.
    pub original: &'a str,
    /// What the user decided about what is kept.
    pub policy: &'a Policy,
}

/// An image that was made.
#[derive(Debug)]
pub struct Done {
    /// What is kept, and why.
    pub plan: Plan,
    /// The image, to be written to any number of outputs.
    pub built: Built,
    /// All that the original holds.
    pub whole: Totals,
}

impl Export<'_> {
    /// Builds the image with layers of `shape`, to be known as `name`.
    ///
    /// # Errors
    /// The original cannot be read, what is kept does not fit onto the base, or the disk is full.
    pub async fn build(
        &self,
        shape: &Shape,
        name: Option<&Reference>,
        runtime: &dyn Runtime,
    ) -> Result<Done> {
        let make = |plan: Plan, source: &dyn ImageSource| {
            let built = make(&plan, source, shape, name)?;
            Ok(Done { plan, built, whole: Totals::of(source)? })
        };
        self.with_source(runtime, make).await
    }

    /// Plans, and does `what` with the plan: from the layers in place, or from a saved archive where that cannot be.
    ///
    /// # Errors
    /// The original cannot be read, or `what` fails.
    pub async fn with_source<T>(
        &self,
        runtime: &dyn Runtime,
        what: impl Fn(Plan, &dyn ImageSource) -> Result<T>,
    ) -> Result<T> {
        let once = |source: &dyn ImageSource| what(Plan::build(self.manifest, source, self.policy)?, source);
        match once(&*image::open(runtime, self.original).await?) {
            Err(error) if error.is::<NotPlain>() => {
                tracing::info!("{error:#}: the engine saves the image instead, which takes longer");
                once(&image::open_archive(runtime, self.original).await?)
            }
            done => done,
        }
    }
}

/// The image that the manifest is about, as the engine has it now.
///
/// # Errors
/// The engine does not have it, it is another one than `reference` names, or nothing names it.
pub async fn find_image(
    manifest: &Manifest,
    reference: Option<&str>,
    runtime: &dyn Runtime,
) -> Result<ImageRef> {
    let named = match reference {
        Some(reference) => Some(runtime.image(reference).await?),
        None => None,
    };
    match (&manifest.image, named) {
        (Some(recorded), Some(named)) => {
            ensure!(
                named.id == recorded.id,
                "the manifests are about image {}, but --image names {}: leave --image out, or record that image",
                recorded.id,
                named.id
            );
            Ok(named)
        }
        (Some(recorded), None) => runtime.image(&recorded.id).await.with_context(|| origin(recorded)),
        (None, Some(named)) => Ok(named),
        (None, None) => {
            let why =
                "the manifests are of a bare cgroup and name no image: say with --image which one it ran";
            Err(tag(Exit::Usage, why))
        }
    }
}

/// Where a recorded image came from, for whoever has to bring it back.
fn origin(recorded: &ImageRef) -> String {
    let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
    let known = match (recorded.repo_digests.is_empty(), recorded.names.is_empty()) {
        (false, _) => format!("it can be pulled as {}", list(&recorded.repo_digests)),
        (true, false) => format!(
            "it was known as {}; if it is built anew, it must be recorded anew",
            list(&recorded.names)
        ),
        (true, true) => "it had no name".to_owned(),
    };
    format!("cannot get the image that was recorded ({known})")
}

impl Report {
    fn print(&self, format: Format) -> Result<()> {
        if format == Format::Json {
            return super::emit(Path::new("-"), &super::json(self)?);
        }
        for note in &self.notes {
            eprintln!("note: {note}");
        }
        let Self { tag, image, files, original_files, bytes, original_bytes, explanation, written, .. } =
            self;
        #[expect(clippy::cast_precision_loss, reason = "a factor for people, to one decimal")]
        let factor = *original_bytes as f64 / (*bytes).max(1) as f64;
        eprintln!("{tag}  {image}");
        eprintln!("  files  {files} of {original_files}");
        eprintln!(
            "  bytes  {} of {} ({factor:.1} times smaller)",
            megabytes(*bytes),
            megabytes(*original_bytes)
        );
        if let Some(base) = &self.base {
            eprintln!("  base   {base}, all of it: {} in layers", megabytes(self.layer_bytes));
        }
        for Written { kind, to, digest } in written {
            eprintln!("  {kind:<8} {to}  {digest}");
        }
        eprintln!("  why    {}", explanation.display());
        Ok(())
    }
}

/// Bytes in the unit that the docker CLI uses: 1 MB is 1,000,000 bytes.
pub(super) fn megabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}
