//! The access manifest: its schema, its union, and how it is read and written.

mod dates;
pub mod fold;
pub mod io;
pub mod merge;
pub mod path;
mod retain;
pub mod schema;
#[cfg(test)]
mod testing;

pub use path::PathBytes;
pub use schema::{
    CapabilityUse, FileUse, ImageRef, Manifest, Observed, Origin, Phase, Recording, RecordingId, SocketUse,
    SyscallUse, Use,
};
