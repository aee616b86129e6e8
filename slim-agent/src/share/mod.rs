//! Recordings shared through an OCI registry, with no coordinator: each push adds one artifact, a pull unites them all.
//!
//! An artifact is an OCI image manifest (image specification 1.1) with
//!
//! - `artifactType` [`ARTIFACT`],
//! - `config`: the empty one, `{}` of `application/vnd.oci.empty.v1+json`,
//! - one layer, also of the media type [`ARTIFACT`]: the manifest's canonical bytes,
//! - `subject`: the image's own manifest in that repository, if it is there,
//! - annotations: `org.slim-agent.image` (the engine's image id: what recordings are united by), `org.slim-agent.recordings`
//!   and `org.slim-agent.paths` (how many), `org.opencontainers.image.created` (when its last recording began). All are
//!   made of the content, so that the same content is the same artifact whoever pushes it.
//!
//! It is found in three ways, and a pull takes the union of them:
//!
//! - a tag of its own, `slim-<16 digits of the image id>-<32 digits of its digest>`: nobody else writes it, so that no
//!   number of pushes at once loses one, and it is there in any registry, with the image or without;
//! - the referrers API of distribution specification 1.1, where the registry has it;
//! - else the specification's fallback, a list under the tag `sha256-<digest of the subject>`, which everybody rewrites:
//!   others' tools find the artifacts there, and what is lost in a race still has its own tag.

pub mod artifact;
pub mod digest;
pub mod find;
pub mod list;
mod lookup;
pub mod place;
pub mod prune;
pub mod pull;
pub mod push;
pub mod referrers;
mod subject;

pub use digest::Digest;
pub use place::{Named, Place};

/// The media type of shared recordings.
pub const ARTIFACT: &str = "application/vnd.slim-agent.manifest.v1+json";

/// Media types of manifests and lists of them, as registries spell them.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// Most bytes of one document: what registries take.
const MAX_DOCUMENT: u64 = 4 << 20;
