//! The past of processes that run already, as far as /proc still tells it (proc(5)): what they execute, have mapped,
//! hold open, stand in, and listen at. What they read and closed before is not to be known.
//!
//! A name in /proc is no proof: the file may have been removed, replaced or mounted over since, or belong to another
//! mount tree. [`place`] compares what is held with what the container's root has there.

mod blocked;
mod files;
mod frame;
mod look;
mod place;
mod process;
mod sockets;

use std::path::{Path, PathBuf};

pub use blocked::blocked_in;
use files::HeldFile;
use frame::Frame;
pub use frame::Frames;
pub use look::Look;
pub use process::{Lineage, Process};
pub use sockets::listening;

fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path())
}
