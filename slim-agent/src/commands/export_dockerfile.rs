//! `export dockerfile`: a build context that makes the slim image out of the original, without this program.

use std::path::PathBuf;

use anyhow::Result;

use super::export_image::Export;
use super::manifests::CompleteArgs;
use super::policy::PolicyArgs;
use super::runtime::RuntimeArgs;
use crate::export::dockerfile;

/// Arguments of `export dockerfile`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    manifests: CompleteArgs,

    /// The build context; the directory is new, empty, or of an earlier export
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,

    /// The original image, for manifests of a bare cgroup, which name none
    #[arg(long, value_name = "REF")]
    image: Option<String>,

    #[command(flatten)]
    runtime: RuntimeArgs,

    #[command(flatten)]
    policy: PolicyArgs,
}

/// Runs the command.
///
/// # Errors
/// Incomplete: the manifests are, and `--allow-incomplete` is not given. Otherwise: a manifest is unusable, the
/// manifests are about different images, the engine does not have the image, or the directory cannot be written.
pub async fn run(args: &Args) -> Result<()> {
    dockerfile::check(&args.output)?;
    let policy = args.policy.policy()?;
    let manifest = args.manifests.load()?;
    let (runtime, original) = args.runtime.original(&manifest, args.image.as_deref()).await?;
    let title = args.output.display().to_string();
    let export = Export { manifest: &manifest, original: &original.id, policy: &policy };
    let made = export
        .with_source(&*runtime, |plan, source| {
            let made = dockerfile::write(&plan, source, &original, &title, &args.output)?;
            Ok((plan.notes, made))
        })
        .await?;
    let (notes, made) = made;
    for note in notes.iter().chain(&made.notes) {
        eprintln!("note: {note}");
    }
    let dir = args.output.display();
    eprintln!("{dir}  {} files from the original, {} entries from skeleton.tar", made.copied, made.packed);
    eprintln!("  build  docker build --no-cache --tag NAME:TAG {dir}");
    Ok(())
}
