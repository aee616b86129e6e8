//! The access manifest: its schema, its union, and how it is read and written.

pub mod fold;
pub mod io;
pub mod merge;
pub mod path;
pub mod schema;

pub use path::PathBytes;
pub use schema::{
    CapabilityUse, FileUse, ImageRef, Manifest, Observed, Origin, Phase, Recording, SocketUse, SyscallUse,
    Use,
};
