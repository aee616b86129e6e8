//! What kind of runtime is behind an address: it is asked.

use std::sync::Arc;

use anyhow::Result;

use super::Runtime;
use super::docker::Docker;
use super::endpoint::Endpoint;

/// Connects to what is at `endpoint`.
///
/// # Errors
/// [`Absent::Runtime`](super::Absent) when there is nothing; otherwise what is there refuses this user, does not answer
/// in time, or is no runtime.
pub async fn at(endpoint: &Endpoint) -> Result<Arc<dyn Runtime>> {
    Ok(Arc::new(Docker::connect_to(endpoint.clone()).await?))
}
