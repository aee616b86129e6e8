//! What kind of runtime is behind an address: it is asked.

use std::sync::Arc;

use anyhow::Result;

use super::cri::Cri;
use super::docker::Docker;
use super::endpoint::Endpoint;
use super::{Absent, Runtime};

/// Connects to what is at `endpoint`: an engine that speaks Docker's API, or else a runtime of Kubernetes. Each of them
/// refuses the other's protocol at once.
///
/// # Errors
/// [`Absent::Runtime`] when there is nothing, or nothing that can be used; otherwise what is there refuses this user,
/// does not answer in time, or is no runtime.
pub async fn at(endpoint: &Endpoint) -> Result<Arc<dyn Runtime>> {
    let not_docker = match Docker::connect_to(endpoint.clone()).await {
        Ok(docker) => return Ok(Arc::new(docker)),
        Err(error) => error,
    };
    let Endpoint::Unix(socket) = endpoint else { return Err(not_docker) };
    if Absent::is_runtime(&not_docker) {
        return Err(not_docker);
    }
    match Cri::connect(socket).await {
        Ok(cri) => Ok(Arc::new(cri)),
        Err(error) if Absent::is_runtime(&error) => Err(error),
        Err(_) => Err(not_docker),
    }
}
