//! Harness of the privileged tests: real containers, the built agent, and images compared entry by entry.
//!
//! Nothing but the pinned programs is looked at through the agent's crate: tests see what a user sees, which is the
//! command line and its files.
//! Everything returns errors that say what to do; a test that cannot run fails, it is never skipped.

pub mod accuracy;
mod agent;
mod archive;
mod background;
mod by_hand;
mod cgroup;
mod command;
mod compare;
mod container;
mod corpus;
mod daemon;
mod disk;
mod docker;
pub mod engines;
mod layer;
mod manifest;
mod meddler;
pub mod oddities;
mod pins;
mod promtool;
mod proxy;
pub mod random_image;
mod recording;
mod refusal;
mod registry;
mod repository;
pub mod seccomp;
mod strace;
mod tokens;
mod told;
mod tree;
mod wait;
mod watch;

pub use agent::{
    agent, explanation, export_image, export_seccomp, read_json, record, record_script, record_until_it_exits,
};
pub use background::Background;
pub use by_hand::{escaped, manifest, write_json};
pub use cgroup::Cgroup;
pub use command::{Outcome, outcome, output};
pub use compare::{differences, is_package_metadata, kept_entries_equal};
pub use container::Container;
pub use corpus::{Corpus, corpus};
pub use daemon::{Daemon, curl};
pub use disk::SmallDisk;
pub use docker::{BASE, Tag, docker, image_size, unique};
pub use layer::{Entry, Kind};
pub use manifest::Manifest;
pub use meddler::Meddler;
pub use pins::{Born, Pins, birth_of, come, small_limits};
pub use promtool::promtool;
pub use proxy::Proxy;
pub use recording::Recording;
pub use refusal::{expect, refused, told};
pub use registry::{LOCAL, PAIR, PASSWORD, Registry, USER, free_port};
pub use repository::{Repository, SmallImage};
pub use tokens::Tokens;
pub use told::{Told, Toucher};
pub use tree::{Tree, image_tree};
pub use wait::wait_until;
pub use watch::Watch;
