//! What a repository of a registry holds, asked for and put there by curl: another client than the one under test.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::command::output;
use crate::registry::{PASSWORD, Registry, USER};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A repository.
#[derive(Debug)]
pub struct Repository {
    /// `HOST:PORT/NAME`, as the agent is told it.
    pub place: String,
    url: String,
}

/// An image of no files, which no engine has.
#[derive(Debug, Clone)]
pub struct SmallImage {
    /// The digest of its config, which is what engines would call it.
    pub id: String,
    /// The digest of its manifest.
    pub digest: String,
}

impl Repository {
    /// The one with this name.
    pub fn of(registry: &Registry, name: &str) -> Self {
        let place = registry.image(name);
        let (host, _) = place.split_once('/').unwrap_or((&place, ""));
        Self { url: format!("http://{host}/v2/{name}"), place }
    }

    /// Puts an image there, to be known as `tag`; another one for each `word`.
    pub fn put_image(&self, tag: &str, word: &str) -> Result<SmallImage> {
        let config = json!({ "architecture": "amd64", "os": "linux", "author": word,
            "rootfs": { "type": "layers", "diff_ids": [] } })
        .to_string();
        let id = self.put_blob(&config)?;
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "layers": [], "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json", "digest": id, "size": config.len() } });
        Ok(SmallImage { id, digest: self.put(tag, MANIFEST, &manifest)? })
    }

    /// Puts a list there of one image, as an image for several platforms has it; the list's digest.
    pub fn put_list(&self, tag: &str, image: &SmallImage) -> Result<String> {
        let size = self.get(&format!("manifests/{}", image.digest))?.len();
        let entry = json!({ "mediaType": MANIFEST, "digest": image.digest, "size": size,
            "platform": { "architecture": "amd64", "os": "linux" } });
        self.put(tag, INDEX, &json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [entry] }))
    }

    /// Puts a document there; its digest.
    pub fn put(&self, name: &str, kind: &str, document: &Value) -> Result<String> {
        let document = document.to_string();
        let url = format!("{}/manifests/{name}", self.url);
        self.curl(&["-X", "PUT", "-H", &format!("Content-Type: {kind}"), "--data-binary", &document, &url])?;
        Ok(digest(&document))
    }

    /// Puts a blob there; its digest.
    pub fn put_blob(&self, bytes: &str) -> Result<String> {
        let begun = self.curl(&["-X", "POST", "-D", "-", &format!("{}/blobs/uploads/", self.url)])?;
        let location = begun.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("location").then(|| value.trim().to_owned())
        });
        let location = location.context("no upload was begun")?;
        let host = self.url.split("/v2/").next().unwrap_or_default();
        let location = if location.starts_with('/') { format!("{host}{location}") } else { location };
        let (separator, digest) = (if location.contains('?') { '&' } else { '?' }, digest(bytes));
        let url = format!("{location}{separator}digest={digest}");
        self.curl(&[
            "-X",
            "PUT",
            "-H",
            "Content-Type: application/octet-stream",
            "--data-binary",
            bytes,
            &url,
        ])?;
        Ok(digest)
    }

    /// What the registry has at a path below the repository's name.
    pub fn get(&self, path: &str) -> Result<String> {
        self.curl(&["-H", &format!("Accept: {MANIFEST}, {INDEX}"), &format!("{}/{path}", self.url)])
    }

    /// The same, as JSON.
    pub fn json(&self, path: &str) -> Result<Value> {
        serde_json::from_str(&self.get(path)?).with_context(|| format!("{path} is not JSON"))
    }

    /// The tags that artifacts have.
    pub fn artifacts(&self) -> Result<Vec<String>> {
        let tags = self.json("tags/list")?;
        let tags = tags["tags"].as_array().into_iter().flatten().filter_map(Value::as_str);
        Ok(tags.filter(|tag| tag.starts_with("slim-")).map(str::to_owned).collect())
    }

    fn curl(&self, args: &[&str]) -> Result<String> {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--fail", "--user", &format!("{USER}:{PASSWORD}")]).args(args);
        output(&mut curl).with_context(|| format!("cannot use {}", self.place))
    }
}

impl SmallImage {
    /// A manifest of a recording of it: each `number` is another recording, that saw a path of its own and a common one.
    pub fn recorded(&self, number: usize) -> Result<Value> {
        let own = format!("/node/{number}");
        let mut manifest = crate::manifest(&self.id, &[&own, "/common"]);
        let id = format!("{number:016x}");
        let text = manifest.to_string().replace("0123456789abcdef", &id);
        manifest = serde_json::from_str(&text)?;
        ensure!(manifest["recordings"][&id].is_object(), "no recording was made");
        manifest["recordings"][&id]["node"] = format!("node-{number}").into();
        Ok(manifest)
    }
}

/// The digest of these bytes.
fn digest(bytes: &str) -> String {
    let digits: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}
