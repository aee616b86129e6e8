//! `show`: what a manifest and its image say, for people, for programs, and for documents.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

use super::manifests::ManifestArgs;
use super::policy::PolicyArgs;
use super::runtime::RuntimeArgs;
use crate::exit::{Exit, tag};
use crate::manifest::PathBytes;

mod capabilities;
pub(super) mod document;
mod files;
mod findings;
mod known;
mod markdown;
mod phrases;
mod processes;
mod recordings;
mod sockets;
mod summary;
mod syscalls;
#[cfg(test)]
mod tests;
pub(super) mod text;
mod why;
mod writes;

use document::Document;
use known::{Known, Wanted};

/// The schema of what is written as JSON.
const SCHEMA: &str = "slim-agent/show/1";

/// Arguments of `show`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    manifests: ManifestArgs,

    #[command(flatten)]
    view: ViewArgs,

    /// How to write it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// The original image, for manifests of a bare cgroup, which name none
    #[arg(long, value_name = "REF")]
    image: Option<String>,

    /// Do not look at the image: the manifest alone
    #[arg(long, conflicts_with = "image")]
    no_image: bool,

    #[command(flatten)]
    runtime: RuntimeArgs,

    #[command(flatten)]
    policy: PolicyArgs,
}

/// What is shown instead of the summary.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "What is shown instead of the summary")]
#[group(multiple = false)]
struct ViewArgs {
    /// Every path: how it was used, by what, when, and whether and why it is kept
    #[arg(long)]
    files: bool,

    /// All that is known of one path
    #[arg(long, value_name = "PATH")]
    why: Option<OsString>,

    /// The original's packages, and how much of each is left
    #[arg(long)]
    packages: bool,

    /// All that can be executed
    #[arg(long)]
    executables: bool,

    /// Shells, interpreters, tools, setuid files, world-writable files, private keys and secrets
    #[arg(long)]
    surface: bool,

    /// Capabilities that the kernel was asked for
    #[arg(long)]
    capabilities: bool,

    /// System calls: when each was made, and why it is allowed
    #[arg(long)]
    syscalls: bool,

    /// Addresses that were connected to, bound or listened at
    #[arg(long)]
    connects: bool,

    /// Directories in which something was written
    #[arg(long)]
    writes: bool,

    /// What each executable used
    #[arg(long)]
    by_process: bool,
}

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Tables as wide as the terminal
    Text,
    /// {"schema": "slim-agent/show/1", "view", ...}
    Json,
    /// GitHub Flavored Markdown
    Markdown,
}

/// Runs the command.
///
/// # Errors
/// A manifest is unusable, the manifests are about different images, the image that `--image` names is not there or
/// another, the image cannot be read, or nothing is known of the path that `--why` names.
pub async fn run(args: &Args) -> Result<()> {
    let policy = args.policy.policy()?;
    let wanted = args.view.wanted()?;
    let manifest = args.manifests.union()?;
    let known = match &wanted {
        Some(_) if args.no_image => {
            Known::alone(manifest, "the manifest alone, as --no-image asks for".to_owned())
        }
        Some(wanted) => {
            Known::with_image(manifest, &args.runtime, args.image.as_deref(), &policy, wanted).await?
        }
        None => Known { manifest, image: None, notes: Vec::new() },
    };
    let bytes = args.view.written(&known, args.format, Screen::of_stdout())?;
    super::emit(Path::new("-"), &bytes)
}

impl ViewArgs {
    /// How much of the image the view needs; none when it needs none of it.
    fn wanted(&self) -> Result<Option<Wanted>> {
        if self.capabilities || self.syscalls || self.connects || self.writes || self.by_process {
            return Ok(None);
        }
        let path = self.why.as_deref().map(|path| PathBytes::new(path.as_bytes()));
        if let Some(path) = path.as_ref().filter(|path| !path.as_bytes().starts_with(b"/")) {
            let why = format!("--why {path}: paths begin with /, the container's root");
            return Err(tag(Exit::Usage, why));
        }
        Ok(Some(Wanted { surface: !self.files, path }))
    }

    /// The view, in a format.
    fn written(&self, known: &Known, format: Format, screen: Screen) -> Result<Vec<u8>> {
        let answer = Answer { known, format, screen };
        if let Some(path) = &self.why {
            let path = PathBytes::new(path.as_bytes());
            let why =
                why::Why::new(known, &path).ok_or_else(|| anyhow::anyhow!(why::nothing(known, &path)))?;
            return answer.write("why", &why);
        }
        match self {
            Self { files: true, .. } => answer.write("files", &files::Files::new(known)),
            Self { packages: true, .. } => answer.write("packages", &findings::Packages::new(known)),
            Self { executables: true, .. } => {
                answer.write("executables", &findings::Findings::executables(known))
            }
            Self { surface: true, .. } => answer.write("surface", &findings::Findings::of_note(known)),
            Self { capabilities: true, .. } => {
                let view = capabilities::Capabilities::new(known);
                answer.write("capabilities", &view)
            }
            Self { syscalls: true, .. } => answer.write("syscalls", &syscalls::Syscalls::new(known)),
            Self { connects: true, .. } => answer.write("connects", &sockets::Sockets::new(known)),
            Self { writes: true, .. } => answer.write("writes", &writes::Writes::new(known)),
            Self { by_process: true, .. } => answer.write("by-process", &processes::Processes::new(known)),
            _ => answer.write("summary", &summary::Summary::new(known)),
        }
    }
}

/// Something to be shown: as JSON it is a struct, whose fields' names do not change within a schema.
trait View: Serialize {
    /// For people.
    fn document(&self) -> Document;

    /// What a person should know of this view, a sentence each.
    fn notes(&self) -> &[String] {
        &[]
    }

    /// Where there is more.
    fn more(&self) -> Option<String> {
        None
    }
}

/// How a view becomes bytes.
struct Answer<'a> {
    known: &'a Known,
    format: Format,
    screen: Screen,
}

impl Answer<'_> {
    fn write<V: View>(&self, name: &str, view: &V) -> Result<Vec<u8>> {
        /// The view, with the schema before it.
        #[derive(Serialize)]
        struct Whole<'a, V> {
            schema: &'a str,
            view: &'a str,
            #[serde(flatten)]
            content: &'a V,
            notes: Vec<&'a String>,
        }
        let notes: Vec<&String> = self.known.notes.iter().chain(view.notes()).collect();
        if self.format == Format::Json {
            return super::json(&Whole { schema: SCHEMA, view: name, content: view, notes });
        }
        let mut document = view.document();
        notes.iter().for_each(|note| document.line(format!("note: {note}")));
        view.more().into_iter().for_each(|more| document.line(more));
        Ok(match self.format {
            Format::Markdown => markdown::markdown(&document),
            _ => text::text(&document, self.screen.width, self.screen.colours),
        }
        .into_bytes())
    }
}

/// Where text goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Screen {
    /// The terminal's width, if it is one.
    pub width: Option<usize>,
    /// Whether it shows headings bold.
    pub colours: bool,
}

impl Screen {
    /// Standard output, and what the environment wants.
    pub fn of_stdout() -> Self {
        let stdout = std::io::stdout();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let size = terminal_size::terminal_size_of(&stdout);
        Self { width: size.map(|(width, _)| usize::from(width.0)), colours: stdout.is_terminal() && !plain }
    }
}
