//! Containers that were removed: the engine remembers its last events (256 of them in Docker), and these tell what a
//! container was.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use anyhow::Result;
use bollard::errors::Error as Report;
use bollard::models::{EventMessage, ImageInspect};
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::stream::TryStreamExt;

use super::{Docker, error, inspect};
use crate::container::{Container, State};

/// What events tell besides labels.
const NO_LABELS: [&str; 8] =
    ["image", "name", "exitCode", "signal", "execID", "execDuration", "containerExitCode", "podId"];

impl Docker {
    /// What the events tell of a container that is not there any more; `None` when they tell nothing, or when its image's
    /// name may mean another image by now.
    pub(super) async fn container_that_is_gone(&self, id: &str) -> Result<Option<Container>> {
        let filters = HashMap::from([("type", vec!["container"]), ("container", vec![id])]);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let options = EventsOptionsBuilder::default();
        let options = options.since("1").until(&now.to_string()).filters(&filters).build();
        let events: Vec<EventMessage> =
            self.client.events(Some(options)).try_collect().await.map_err(error::other)?;
        let Some((event, told)) = events.iter().find_map(|event| Some((event, attributes(event, id)?)))
        else {
            return Ok(None);
        };
        let Some(name) = told.get("image") else { return Ok(None) };
        let image = match self.client.inspect_image(name).await {
            Ok(image) => image,
            Err(Report::DockerResponseServerError { status_code: 404, .. }) => return Ok(None),
            Err(report) => return Err(error::about_image(report, name)),
        };
        let Some(image_id) = image.id.clone().filter(|_| is_older(&image, event)) else { return Ok(None) };
        let labels = told.iter().filter(|(key, _)| !NO_LABELS.contains(&key.as_str()));
        Ok(Some(Container {
            id: id.to_owned(),
            name: told.get("name").cloned().unwrap_or_else(|| id.to_owned()),
            state: State::Other("gone"),
            pid: None,
            ip: None,
            labels: labels.map(|(key, value)| (key.clone(), value.clone())).collect(),
            image: inspect::image(image_id, Some(image)),
            runtime: inspect::runtime(&self.version, None),
            seccomp: "unknown".to_owned(),
            seccomp_profile: None,
            healthcheck: Vec::new(),
            mounts: BTreeMap::new(),
            ports: Vec::new(),
            exit_code: None,
        }))
    }
}

/// What an event tells of the container `id`.
fn attributes<'a>(event: &'a EventMessage, id: &str) -> Option<&'a HashMap<String, String>> {
    let actor = event.actor.as_ref().filter(|actor| actor.id.as_deref() == Some(id))?;
    actor.attributes.as_ref()
}

/// Whether an image had its name before the event: one that got it later need not be the container's.
fn is_older(image: &ImageInspect, event: &EventMessage) -> bool {
    let tagged = image.metadata.as_ref().and_then(|metadata| metadata.last_tag_time.as_deref());
    let tagged = tagged.and_then(|time| humantime::parse_rfc3339_weak(time.trim_end_matches('Z')).ok());
    let seconds = event.time.and_then(|time| u64::try_from(time).ok());
    let at = seconds.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    // One that was never given a name on this host has the zero time, which is before 1970 and cannot be read.
    at.is_some_and(|at| tagged.is_none_or(|tagged| tagged <= at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::ImageInspectMetadata;

    #[test]
    fn an_image_that_was_named_after_the_container_was_made_is_not_taken_for_its_own() {
        let image = |time: &str| ImageInspect {
            metadata: Some(ImageInspectMetadata { last_tag_time: Some(time.to_owned()) }),
            ..ImageInspect::default()
        };
        let event = EventMessage { time: Some(1_700_000_000), ..EventMessage::default() };
        assert!(is_older(&image("2023-11-14T22:13:19.5Z"), &event));
        assert!(!is_older(&image("2023-11-14T22:13:21.000000001Z"), &event));
        assert!(is_older(&image("0001-01-01T00:00:00Z"), &event));
        assert!(!is_older(&image("2023-11-14T22:13:19Z"), &EventMessage::default()));
    }
}
