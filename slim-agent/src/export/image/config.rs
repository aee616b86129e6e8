//! The slim image's config: the original's, but for what no longer holds.

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Fields that speak of the original's build or layers and would be untrue of the slim image.
const UNTRUE: [&str; 4] = ["parent", "container", "container_config", "moby.buildkit.cache.v0"];

/// The config with the layers `diff_ids` and one honest history entry for each layer that is new: `comments`, behind
/// the history of those `below`. All other fields stay, unknown ones too; `created` stays, so that the same inputs give
/// the same image.
pub(super) fn slim(
    original: &[u8],
    diff_ids: Vec<String>,
    below: &[Value],
    comments: &[String],
) -> Result<Vec<u8>> {
    let mut whole: Value = serde_json::from_slice(original).context("the image's config is not JSON")?;
    let fields = whole.as_object_mut().context("the image's config is not a JSON object")?;
    for name in UNTRUE {
        fields.remove(name);
    }
    let mut history = below.to_vec();
    for comment in comments {
        let mut entry = json!({"created_by": "slim-agent export image", "comment": comment});
        if let Some(created) = fields.get("created") {
            entry["created"] = created.clone();
        }
        history.push(entry);
    }
    fields.insert("history".into(), history.into());
    fields.insert("rootfs".into(), json!({"type": "layers", "diff_ids": diff_ids}));
    serde_json::to_vec(&whole).context("cannot serialise the image's config")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_untrue_changes() {
        let original = json!({
            "architecture": "amd64", "os": "linux", "created": "2024-01-01T00:00:00Z", "container": "c0ffee",
            "config": {"Cmd": ["x"], "Healthcheck": {"Test": ["NONE"]}, "Vendor.Extension": [1]},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:1", "sha256:2"]}, "history": [{}, {}], "x-new": true,
        });
        let bytes =
            slim(&serde_json::to_vec(&original).unwrap(), vec!["sha256:3".into()], &[], &["why".into()]);
        let bytes = bytes.unwrap();
        let mut expected = original;
        expected.as_object_mut().unwrap().remove("container");
        expected["rootfs"]["diff_ids"] = json!(["sha256:3"]);
        expected["history"] = json!([{"created": "2024-01-01T00:00:00Z", "created_by": "slim-agent export image", "comment": "why"}]);
        assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), expected);
        assert!(slim(b"[]", vec![], &[], &[]).is_err());
    }
}
