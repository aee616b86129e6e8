//! `pull`: the union of all recordings of an image that a registry has.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::push::{Format, with_subject};
use super::runtime::RuntimeArgs;
use crate::container::endpoint::Surroundings;
use crate::exit::{Exit, tag};
use crate::manifest::{ImageRef, Manifest, io};
use crate::registry::{Access, Session};
use crate::share::find::{Found, Refused, Wanted};
use crate::share::{Named, Place, pull};

/// Arguments of `pull`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the recordings are; a tag or digest names the image
    #[arg(value_name = "REGISTRY/REPO[:TAG|@DIGEST]")]
    place: Place,
    /// The image, as a runtime of this host knows it
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    #[command(flatten)]
    runtime: RuntimeArgs,
    /// The image, by its tag or digest there
    #[arg(long, value_name = "TAG|DIGEST")]
    subject: Option<Named>,
    /// A manifest of the image to unite with, and to write to unless -o is given; it need not exist
    #[arg(long, value_name = "FILE")]
    merge: Option<PathBuf>,
    /// Where to write the union; `-` is standard output [default: what --merge names, else standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How to write what was done: text on standard error, or a JSON object on standard output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What is told.
#[derive(Debug, Serialize)]
struct Report {
    /// `REGISTRY/REPO`.
    repository: String,
    /// The engine's id of the image.
    image: String,
    /// The image's manifest there, if it is there.
    subject: Option<String>,
    /// How many artifacts were united.
    artifacts: usize,
    /// What was left out, and why.
    refused: Vec<Refused>,
    /// What the union has.
    union: Totals,
    /// What of it is new to the manifest that it was united with.
    new: Totals,
    /// Where it was written.
    output: PathBuf,
}

/// How much a manifest knows.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Totals {
    recordings: usize,
    /// That say on which node they were made.
    nodes: usize,
    paths: usize,
    sockets: usize,
    syscalls: usize,
}

/// Runs the command; [`Exit::Incomplete`] when the union was written and an artifact was left out.
///
/// # Errors
/// Usage: the image is named twice, or not at all where there are several, or the report and the union both want standard
/// output. Otherwise: the engine or the registry does not answer or refuses, there is nothing, a manifest is of another
/// image, or the output cannot be written. Nothing is written then.
pub async fn run(args: &Args) -> Result<Exit> {
    let output = args.output()?;
    let place = with_subject(&args.place, args.subject.as_ref())?;
    let mut all = args.local()?;
    let known = all.as_ref().map(Totals::of).unwrap_or_default();
    let image = args.image(all.as_ref()).await?;
    let wanted = image.as_ref().map_or(Wanted::Named, Wanted::Image);
    let mut session = Session::open(&place.repository, Access::Pull, &Surroundings::real())?;
    let cannot = || format!("cannot pull from {place}");
    let found = unite(&mut session, &place, &wanted, &mut all).with_context(cannot)?;
    let Some(all) = all else { bail!(nothing(&place, image.as_ref(), &found)) };
    if found.artifacts.is_empty() {
        tracing::warn!("{}", nothing(&place, image.as_ref(), &found));
    }
    super::emit(&output, &io::to_bytes(&all)?)?;
    let report = Report::new(&place, found, &all, &known, output);
    report.print(args.format)?;
    Ok(if report.refused.is_empty() { Exit::Ok } else { Exit::Incomplete })
}

impl Args {
    /// Where the union goes.
    fn output(&self) -> Result<PathBuf> {
        let output = self.output.clone().or_else(|| self.merge.clone()).unwrap_or_else(|| "-".into());
        if self.format == Format::Json && io::is_stdout(&output) {
            let both = "the union and --format json both want standard output: give -o FILE or --merge FILE";
            return Err(tag(Exit::Usage, both));
        }
        io::check_writable(&output)?;
        Ok(output)
    }

    /// What is known here.
    fn local(&self) -> Result<Option<Manifest>> {
        let there = self.merge.as_deref().filter(|path| *path == Path::new("-") || path.exists());
        there.map(io::read).transpose()
    }

    /// The image, if an option or what is known here names it.
    async fn image(&self, local: Option<&Manifest>) -> Result<Option<ImageRef>> {
        let named = match &self.image {
            Some(name) => Some(self.runtime.with_image(name).await?.image(name).await?),
            None => None,
        };
        let Some(local) = local else { return Ok(named) };
        let Some(own) = &local.image else {
            bail!(tag(
                Exit::Usage,
                "what --merge names is of a bare cgroup and of no image: nothing is shared of it"
            ))
        };
        if let Some(named) = named.filter(|named| named.id != own.id) {
            bail!("what --merge names is of image {}, and --image is {}: leave one out", own.id, named.id);
        }
        Ok(Some(own.clone()))
    }
}

/// Unites with what is found, and says on a terminal how far it is.
fn unite(
    session: &mut Session,
    place: &Place,
    wanted: &Wanted<'_>,
    all: &mut Option<Manifest>,
) -> Result<Found> {
    let terminal = std::io::stderr().is_terminal();
    let mut progress = |what: &str, done: usize, count: usize| {
        if terminal {
            // Carriage return and "erase to the end of the line" (ECMA-48 EL).
            let _shown = write!(std::io::stderr(), "\r{done} of {count} {what}\x1b[K");
        }
    };
    let found = pull::pull(session, place, wanted, all, &mut progress);
    if terminal {
        let _cleared = write!(std::io::stderr(), "\r\x1b[K");
    }
    found
}

fn nothing(place: &Place, image: Option<&ImageRef>, found: &Found) -> String {
    let of = image.map(|image| format!(" of image {}", image.id)).unwrap_or_default();
    let refused = match found.refused.as_slice() {
        [] => String::new(),
        refused => format!(" but {} that cannot be used: {}", refused.len(), list(refused)),
    };
    format!("{place} has no recordings{of}{refused}")
}

fn list(refused: &[Refused]) -> String {
    let lines = refused.iter().map(|Refused { artifact, why }| format!("\n  {artifact}: {why}"));
    lines.collect()
}

impl Totals {
    fn of(manifest: &Manifest) -> Self {
        let nodes: BTreeSet<_> =
            manifest.recordings.values().filter_map(|recording| recording.node.as_ref()).collect();
        Self {
            recordings: manifest.recordings.len(),
            nodes: nodes.len(),
            paths: manifest.files.len(),
            sockets: manifest.sockets.len(),
            syscalls: manifest.syscalls.values().map(std::collections::BTreeMap::len).sum(),
        }
    }

    /// How much more this is: a union only grows.
    fn beyond(&self, known: &Self) -> Self {
        Self {
            recordings: self.recordings.saturating_sub(known.recordings),
            nodes: self.nodes.saturating_sub(known.nodes),
            paths: self.paths.saturating_sub(known.paths),
            sockets: self.sockets.saturating_sub(known.sockets),
            syscalls: self.syscalls.saturating_sub(known.syscalls),
        }
    }
}

impl Report {
    fn new(place: &Place, found: Found, all: &Manifest, known: &Totals, output: PathBuf) -> Self {
        let union = Totals::of(all);
        Self {
            repository: place.to_string(),
            image: all.image.as_ref().map(|image| image.id.clone()).unwrap_or_default(),
            subject: found.subject.map(|subject| subject.to_string()),
            artifacts: found.artifacts.len(),
            refused: found.refused,
            new: union.beyond(known),
            union,
            output,
        }
    }

    fn print(&self, format: Format) -> Result<()> {
        if !self.refused.is_empty() {
            tracing::warn!("left out, because it cannot be used:{}", list(&self.refused));
        }
        if format == Format::Json {
            return super::emit(Path::new("-"), &super::json(self)?);
        }
        let Self { repository, image, artifacts, union, new, output, .. } = self;
        eprintln!("united  {artifacts} artifacts of {repository}");
        eprintln!("  image  {image}");
        eprintln!(
            "  holds  {} recordings on {} nodes, {} paths, {} system calls",
            union.recordings, union.nodes, union.paths, union.syscalls
        );
        eprintln!(
            "  new    {} recordings, {} paths, {} system calls",
            new.recordings, new.paths, new.syscalls
        );
        if !io::is_stdout(output) {
            eprintln!("  to     {}", output.display());
        }
        Ok(())
    }
}
