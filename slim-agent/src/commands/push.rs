//! `push`: recordings into a registry, attached to the image that they are of.

use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Serialize;

use super::socket::SocketArgs;
use crate::container::endpoint::Surroundings;
use crate::exit::{Exit, tag};
use crate::manifest::{ImageRef, Manifest, io};
use crate::registry::{Access, Session};
use crate::share::push::Pushed;
use crate::share::referrers::Listed;
use crate::share::{Named, Place, prune, push};

/// Arguments of `push`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The recordings: a manifest, `-` for standard input, or a profile of the daemon (PROFILE, or PROFILE@IMAGE)
    #[arg(value_name = "MANIFEST|PROFILE")]
    source: String,
    /// Where they go
    #[arg(value_name = "REGISTRY/REPO")]
    place: Place,
    /// The image there that they are attached to [default: the one with the recorded image's id, if it is there]
    #[arg(long, value_name = "TAG|DIGEST")]
    subject: Option<Named>,
    /// Delete what is there of the image and tells nothing more than this
    #[arg(long)]
    prune: bool,
    /// How to write the result: text on standard error, or a JSON object on standard output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    socket: SocketArgs,
}

/// How the result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Lines for people
    Text,
    /// An object
    Json,
}

/// What is told.
#[derive(Serialize)]
struct Report {
    /// `REGISTRY/REPO`.
    repository: String,
    /// The artifact's own tag, and its digest.
    tag: String,
    digest: String,
    /// The engine's id of the image.
    image: String,
    /// The image's manifest that the artifact refers to, if it is there.
    subject: Option<String>,
    /// Whether it was there before.
    already: bool,
    /// Where others' tools find it besides under its tag.
    listed: Listed,
    recordings: usize,
    paths: usize,
    /// How many others were deleted.
    pruned: usize,
}

/// Runs the command.
///
/// # Errors
/// Usage: the manifest is of no image, or the image is named twice. Otherwise: it cannot be read, the registry does not
/// answer or refuses, or it does not have the image that was named.
pub async fn run(args: &Args) -> Result<()> {
    let place = with_subject(&args.place, args.subject.as_ref())?;
    let manifest = manifest_of(&args.source, &args.socket).await?;
    let image = image_of(&manifest)?;
    let access = if args.prune { Access::Delete } else { Access::Push };
    let mut session = Session::open(&place.repository, access, &Surroundings::real())?;
    let cannot = || format!("cannot push to {place}");
    let pushed = push::push(&mut session, &place, &manifest, image).with_context(cannot)?;
    let pruned = match args.prune {
        true => prune::prune(&mut session, &place, &manifest, image, &pushed.digest)
            .with_context(|| format!("pushed as {}, but cannot prune {place}", pushed.tag))?,
        false => 0,
    };
    Report::new(&place, pushed, &manifest, pruned).print(args.format)
}

/// The recordings that `source` names: a file where there is one, or where only a file can be meant, else a profile.
async fn manifest_of(source: &str, socket: &SocketArgs) -> Result<Manifest> {
    let path = Path::new(source);
    if source == "-" || path.exists() || source.contains('/') || source.ends_with(".json") {
        return io::read(path);
    }
    let answered = socket.client().snapshot(source).await;
    let answered = answered.with_context(|| format!("there is no file {source}, so a profile is meant"))?;
    io::parse(&answered.0)
}

fn image_of(manifest: &Manifest) -> Result<&ImageRef> {
    let of_none = "the manifest is of a bare cgroup and names no image: there is nothing to share it by";
    manifest.image.as_ref().ok_or_else(|| tag(Exit::Usage, of_none))
}

/// The place with the image that an option names.
///
/// # Errors
/// Usage: the place names one already.
pub(super) fn with_subject(place: &Place, subject: Option<&Named>) -> Result<Place> {
    match (&place.named, subject) {
        (Some(named), Some(subject)) if named != subject => {
            let twice = format!("the image is named twice, as {named} and as {subject}: leave one out");
            Err(tag(Exit::Usage, twice))
        }
        (named, subject) => {
            Ok(Place { named: named.as_ref().or(subject).cloned(), repository: place.repository.clone() })
        }
    }
}

impl Report {
    fn new(place: &Place, pushed: Pushed, manifest: &Manifest, pruned: usize) -> Self {
        Self {
            repository: place.to_string(),
            tag: pushed.tag,
            digest: pushed.digest.to_string(),
            image: pushed.image.to_string(),
            subject: pushed.subject.map(|subject| subject.to_string()),
            already: pushed.already,
            listed: pushed.listed,
            recordings: manifest.recordings.len(),
            paths: manifest.files.len(),
            pruned,
        }
    }

    fn print(&self, format: Format) -> Result<()> {
        if format == Format::Json {
            return super::emit(Path::new("-"), &super::json(self)?);
        }
        let Self { repository, tag, digest, image, subject, already, recordings, paths, pruned, .. } = self;
        let done = if *already { "was there" } else { "pushed" };
        eprintln!("{done}  {repository}:{tag}  {digest}");
        eprintln!("  holds  {recordings} recordings, {paths} paths");
        match subject {
            Some(subject) => eprintln!("  image  {image}, attached to {subject}"),
            None => eprintln!(
                "  image  {image}, found by its id: no name that the recording knows leads to it there"
            ),
        }
        if *pruned > 0 {
            eprintln!("  pruned {pruned} that it makes needless");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::code_of;

    #[test]
    fn an_image_is_named_once() {
        let of = |place: &str, subject: Option<&str>| {
            let subject = subject.map(|subject| subject.parse::<Named>().unwrap());
            with_subject(&place.parse().unwrap(), subject.as_ref())
        };
        let tag = Some(Named::Tag("a".into()));
        assert_eq!(of("h:1/x", None).unwrap().named, None);
        for (place, subject) in [("h:1/x:a", None), ("h:1/x", Some("a")), ("h:1/x:a", Some("a"))] {
            assert_eq!(of(place, subject).unwrap().named, tag);
        }
        assert_eq!(code_of(&of("h:1/x:a", Some("b")).unwrap_err()), Exit::Usage);
    }

    #[test]
    fn what_is_of_no_image_is_not_shared() {
        assert_eq!(code_of(&image_of(&Manifest::new(None)).unwrap_err()), Exit::Usage);
    }
}
