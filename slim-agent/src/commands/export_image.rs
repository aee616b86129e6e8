//! `export image`: a minimal image from manifests, loaded into the engine.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::Serialize;

use super::policy::PolicyArgs;
use crate::container::Runtime;
use crate::container::docker::Docker;
use crate::exit::{Exit, tag};
use crate::export::image::{Built, Reference, build};
use crate::image::{self, ImageSource, Totals, overlay::NotPlain};
use crate::manifest::{ImageRef, Manifest, io};
use crate::plan::{Plan, Policy};

/// Arguments of `export image`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Manifests of recordings of the same image; `-` is standard input
    #[arg(required = true, value_name = "MANIFEST")]
    manifests: Vec<PathBuf>,

    /// Name of the new image
    #[arg(short, long, value_name = "NAME:TAG")]
    tag: String,

    /// Where to write why each path is kept [default: <NAME_TAG>.plan.json]
    #[arg(long, value_name = "FILE")]
    explain: Option<PathBuf>,

    /// Export although something was not seen: a loss, or a start-up that was not observed
    #[arg(long)]
    allow_incomplete: bool,

    /// The original image, for manifests of a bare cgroup, which name none
    #[arg(long, value_name = "REF")]
    image: Option<String>,

    /// How to report: text on standard error, or a JSON object on standard output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

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
    /// Bytes of content in the new image, and files.
    bytes: u64,
    files: u64,
    /// Bytes of the new image's layer, uncompressed.
    layer_bytes: u64,
    explanation: PathBuf,
    notes: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// Usage: the tag or the combination of arguments is wrong. Incomplete: the manifests are, and `--allow-incomplete`
/// is not given. Otherwise: a manifest is unusable, the manifests are about different images, the engine does not
/// answer or does not have the image, or a file cannot be written.
pub async fn run(args: &Args) -> Result<()> {
    let name: Reference = args.tag.parse().map_err(|why: String| tag(Exit::Usage, why))?;
    let explanation =
        args.explain.clone().unwrap_or_else(|| format!("{}.plan.json", name.file_name()).into());
    if explanation == Path::new("-") && args.format == Format::Json {
        return Err(tag(Exit::Usage, "--explain - and --format json both want standard output: choose one"));
    }
    io::check_writable(&explanation)?;
    let policy = args.policy.policy()?;
    let manifest = super::load_manifests(&args.manifests, args.allow_incomplete)?;
    let runtime = Docker::connect().await?;
    let original = find_image(&manifest, args.image.as_deref(), &runtime).await?;
    let Done { plan, built, whole } = export(&manifest, &original.id, &policy, &name, &runtime).await?;
    super::emit(&explanation, &plan.explain(&original.id, &name.to_string())?)?;
    runtime.load_image(built.archive).await.context("cannot load the new image into the engine")?;
    let loaded = runtime.image(&name.to_string()).await.context("the engine did not take the new image")?;
    let report = Report {
        image: loaded.id,
        tag: name.to_string(),
        original: original.id,
        original_bytes: whole.bytes,
        original_files: whole.files,
        bytes: plan.totals.bytes,
        files: plan.totals.files,
        layer_bytes: built.layer_bytes,
        explanation,
        notes: plan.notes,
    };
    report.print(args.format)
}

/// A minimal image that was planned and built.
pub(super) struct Done {
    /// What is kept and why.
    pub plan: Plan,
    /// The image.
    pub built: Built,
    /// All that the original holds.
    pub whole: Totals,
}

/// Plans and builds from the layers in place, or from a saved archive where that cannot be.
pub(super) async fn export(
    manifest: &Manifest,
    id: &str,
    policy: &Policy,
    name: &Reference,
    runtime: &dyn Runtime,
) -> Result<Done> {
    let once = |source: &dyn ImageSource| {
        let plan = Plan::build(manifest, source, policy)?;
        let built = build(&plan, source, name)?;
        anyhow::Ok(Done { plan, built, whole: source.totals()? })
    };
    match once(&*image::open(runtime, id).await?) {
        Err(error) if error.is::<NotPlain>() => {
            tracing::info!("{error:#}: the engine saves the image instead, which takes longer");
            once(&image::open_archive(runtime, id).await?)
        }
        done => done,
    }
}

/// The image that the manifest is about, as the engine has it now.
async fn find_image(manifest: &Manifest, reference: Option<&str>, runtime: &dyn Runtime) -> Result<ImageRef> {
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
        let Self { tag, image, files, original_files, bytes, original_bytes, explanation, .. } = self;
        #[expect(clippy::cast_precision_loss, reason = "a factor for people, to one decimal")]
        let factor = *original_bytes as f64 / (*bytes).max(1) as f64;
        eprintln!("{tag}  {image}");
        eprintln!("  files  {files} of {original_files}");
        eprintln!(
            "  bytes  {} of {} ({factor:.1} times smaller)",
            megabytes(*bytes),
            megabytes(*original_bytes)
        );
        eprintln!("  why    {}", explanation.display());
        Ok(())
    }
}

/// Bytes in the unit that the docker CLI uses: 1 MB is 1,000,000 bytes.
pub(super) fn megabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}
