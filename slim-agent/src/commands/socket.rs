//! Arguments that say which daemon is asked, and how its answer is shown.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;

use super::export_image::megabytes;
use super::show::Screen;
use super::show::document::Document;
use super::show::text::text;
use crate::daemon::SOCKET;
use crate::daemon::client::Client;

/// Which daemon.
#[derive(Debug, clap::Args)]
pub struct SocketArgs {
    /// The daemon's socket
    #[arg(long, value_name = "PATH", default_value = SOCKET)]
    socket: PathBuf,
}

impl SocketArgs {
    /// The daemon, ready to be asked.
    pub fn client(&self) -> Client {
        Client::new(&self.socket)
    }
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Lines and tables for people
    Text,
    /// What the daemon answered
    Json,
}

/// Shows a document on standard output, as wide as the terminal.
pub fn show(document: &Document) -> Result<()> {
    let screen = Screen::of_stdout();
    super::emit(Path::new("-"), text(document, screen.width, screen.colours).as_bytes())
}

/// Bytes as people read them: most profiles take less than a megabyte.
pub fn size(bytes: u64) -> String {
    if bytes < 1_000_000 { format!("{} kB", bytes.div_ceil(1000)) } else { megabytes(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_sizes_are_not_nothing() {
        assert_eq!([0, 1, 999_000, 1_000_000].map(size), ["0 kB", "1 kB", "999 kB", "1.0 MB"]);
    }
}
