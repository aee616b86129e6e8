//! The slim image's config: the original's, but for what no longer holds.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

/// Fields that speak of the original's build or layers and would be untrue of the slim image.
const UNTRUE: [&str; 4] = ["parent", "container", "container_config", "moby.buildkit.cache.v0"];

/// The config with the layers `diff_ids` and one honest history entry for each layer that is new: `comments`, behind
/// the history of those `below`. All other fields stay byte for byte, unknown ones too; `created` stays, so that the
/// same inputs give the same image.
pub(super) fn slim(
    original: &[u8],
    diff_ids: &[String],
    below: &[Value],
    comments: &[String],
) -> Result<Vec<u8>> {
    let fields: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(original).context("the image's config is not a JSON object")?;
    let mut fields: BTreeMap<&str, &RawValue> =
        fields.iter().map(|(name, value)| (name.as_str(), &**value)).collect();
    fields.retain(|name, _| !UNTRUE.contains(name));
    let created = fields.get("created").copied();
    let entry = |comment| History { created, created_by: "slim-agent export image", comment };
    let below = below.iter().map(to_raw_value);
    let own = comments.iter().map(|comment| to_raw_value(&entry(comment)));
    let history = to_raw_value(&below.chain(own).collect::<Result<Vec<_>, _>>()?)?;
    let layers = to_raw_value(&json!({"type": "layers", "diff_ids": diff_ids}))?;
    fields.insert("history", &history);
    fields.insert("rootfs", &layers);
    serde_json::to_vec(&fields).context("cannot serialise the image's config")
}

/// How the image came to be.
#[derive(Serialize)]
struct History<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<&'a RawValue>,
    created_by: &'a str,
    comment: &'a str,
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
        let bytes = slim(&serde_json::to_vec(&original).unwrap(), &["sha256:3".into()], &[], &["why".into()]);
        let bytes = bytes.unwrap();
        let mut expected = original;
        expected.as_object_mut().unwrap().remove("container");
        expected["rootfs"]["diff_ids"] = json!(["sha256:3"]);
        expected["history"] = json!([{"created": "2024-01-01T00:00:00Z", "created_by": "slim-agent export image", "comment": "why"}]);
        assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), expected);
        assert!(slim(b"[]", &[], &[], &[]).is_err());
    }

    #[test]
    fn numbers_and_spellings_of_any_kind_survive() {
        let field = r#"{"b": 123456789012345678901234567890, "a": 1.10, "c": "\u00e9"}"#;
        let original = format!(r#"{{"z": {field}, "created": "x"}}"#);
        let below = [json!({"created_by": "base"})];
        let bytes = slim(original.as_bytes(), &[], &below, &["why".into()]).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains(&format!(r#""z":{field}"#)), "{text}");
        assert!(text.contains(r#"[{"created_by":"base"},{"created":"x","created_by":"slim"#), "{text}");
    }
}
