//! Recall and precision of recordings, measured against strace on the same workload.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::agent::record;
use crate::container::Container;
use crate::corpus::{Corpus, corpus};
use crate::manifest::Manifest;
use crate::strace::{Access, Visible, traced};
use crate::tree::image_tree;

/// The applications that are measured: the image's name in the corpus, and what it is.
pub const APPLICATIONS: [(&str, &str); 9] = [
    ("nginx", "nginx"),
    ("flask", "gunicorn + Flask"),
    ("redis", "Redis, sh entrypoint"),
    ("postgres", "PostgreSQL 15, initdb included"),
    ("node", "Node.js + Express"),
    ("java", "OpenJDK 17, HTTP service"),
    ("pandas", "pandas + NumPy"),
    ("go", "Go, static binary"),
    ("switch", "bash entrypoint: envsubst, gosu, CGI"),
];

/// The head of the table that [`Accuracy::row`] fills.
pub const HEAD: &str =
    "| application | strace saw | recorded | missed | recall | precision | recorded besides |
|---|--:|--:|--:|--:|--:|---|";

/// Of the paths recorded besides, so many are named in the table.
const NAMED: usize = 4;

/// What two runs of one application used of its image.
#[derive(Debug, Default)]
pub struct Accuracy {
    /// What strace saw the application use.
    pub traced: BTreeSet<PathBuf>,
    /// What the agent recorded, and how it was used.
    pub recorded: BTreeMap<PathBuf, BTreeSet<String>>,
}

/// Runs the image `name` of the corpus twice, under strace and under `slim-agent record`, with the same check. The
/// trace and the manifest are left in `place`.
pub fn measure(name: &str, place: &Path) -> Result<Accuracy> {
    let image = corpus(name)?;
    fs::create_dir_all(place).with_context(|| format!("cannot make {}", place.display()))?;
    let tree = image_tree(&image.tag())?;
    let run = traced(&image, &place.join(format!("{name}.strace")))
        .with_context(|| format!("running {name} under strace"))?;
    let manifest = recorded(&image, &place.join(format!("{name}.manifest.json")))
        .with_context(|| format!("recording {name}"))?;
    let visible = Visible::new(&tree, run.mounts);
    let mut accuracy = Accuracy::default();
    accuracy.traced.extend(run.accesses.iter().flat_map(|access| visible.needed(access)));
    accuracy.take(&manifest, &visible);
    Ok(accuracy)
}

fn recorded(image: &Corpus, manifest: &Path) -> Result<Manifest> {
    let container = Container::create(&image.tag(), &[], &[])?;
    record(&[container.name()], manifest, &image.check_program())?.expect(0)?;
    let manifest = Manifest::read(manifest)?;
    manifest.whole()?;
    Ok(manifest)
}

impl Accuracy {
    /// What strace saw and the agent did not record.
    pub fn missed(&self) -> Vec<&Path> {
        self.traced.iter().filter(|path| !self.recorded.contains_key(*path)).map(PathBuf::as_path).collect()
    }

    /// What the agent recorded and strace did not see, with how it was used.
    pub fn extra(&self) -> impl Iterator<Item = (&Path, &BTreeSet<String>)> {
        let extra = self.recorded.iter().filter(|(path, _)| !self.traced.contains(*path));
        extra.map(|(path, uses)| (path.as_path(), uses))
    }

    /// The share of what strace saw that was recorded.
    pub fn recall(&self) -> f64 {
        share(self.traced.len() - self.missed().len(), self.traced.len())
    }

    /// The share of what was recorded that strace saw.
    pub fn precision(&self) -> f64 {
        share(self.recorded.len() - self.extra().count(), self.recorded.len())
    }

    /// A row of the table, in Markdown.
    pub fn row(&self, application: &str) -> String {
        let percent = |share: f64| format!("{:.1} %", (share * 1000.0).floor() / 10.0);
        let (traced, recorded, missed) = (self.traced.len(), self.recorded.len(), self.missed().len());
        let (recall, precision) = (percent(self.recall()), percent(self.precision()));
        let besides = self.besides();
        format!("| {application} | {traced} | {recorded} | {missed} | {recall} | {precision} | {besides} |")
    }

    /// What was recorded and not seen by strace, for people.
    fn besides(&self) -> String {
        let spelled = |(path, uses): (&Path, &BTreeSet<String>)| {
            let uses = uses.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            format!("`{}` ({uses})", path.display())
        };
        let mut named: Vec<_> = self.extra().take(NAMED).map(spelled).collect();
        let more = self.extra().count() - named.len();
        if more > 0 {
            named.push(format!("{more} more"));
        }
        named.join(", ")
    }

    /// What a manifest says of the application and the image.
    fn take(&mut self, manifest: &Manifest, visible: &Visible<'_>) {
        for path in manifest.paths() {
            if manifest.origin(path) != "image" || !manifest.phases(path).contains("app") {
                continue;
            }
            let access = Access { name: path.as_bytes().to_vec(), follow: false };
            for needed in visible.needed(&access) {
                let uses = manifest.uses(path).into_iter().map(str::to_owned);
                self.recorded.entry(needed).or_default().extend(uses);
            }
        }
    }
}

/// Of nothing, everything: an application that uses no file of its image misses none.
fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accuracy(traced: &[&str], recorded: &[&str]) -> Accuracy {
        let uses = BTreeSet::from(["open".to_owned(), "stat".to_owned()]);
        Accuracy {
            traced: traced.iter().map(PathBuf::from).collect(),
            recorded: recorded.iter().map(|path| (PathBuf::from(path), uses.clone())).collect(),
        }
    }

    #[test]
    fn recall_is_of_what_strace_saw_and_precision_of_what_was_recorded() {
        let two_of_three = accuracy(&["/a", "/b", "/c"], &["/b", "/c", "/d", "/e"]);
        assert_eq!(two_of_three.missed(), [Path::new("/a")]);
        assert_eq!(
            two_of_three.row("x"),
            "| x | 3 | 4 | 1 | 66.6 % | 50.0 % | `/d` (open, stat), `/e` (open, stat) |"
        );
    }

    #[test]
    fn one_miss_among_many_is_not_rounded_away() {
        let paths: Vec<String> = (0..5000).map(|number| format!("/{number}")).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        assert!(accuracy(&paths, &paths[1..]).row("x").contains("| 1 | 99.9 % | 100.0 % |"));
        assert!(accuracy(&paths[..1], &paths).row("x").contains("4995 more"));
    }

    #[test]
    fn only_what_the_application_used_of_its_image_counts_as_recorded() {
        let place = tempfile::tempdir().unwrap();
        let mut value =
            crate::by_hand::manifest("sha256:0", &["/usr/a", "/usr/run-time", "/usr/debug", "/data/b"]);
        value["files"]["/usr/debug"]["phases"] = serde_json::json!(["exec"]);
        value["files"]["/data/b"]["origin"] = "volume".into();
        let path = crate::by_hand::write_json(place.path(), "m.json", &value).unwrap();
        let files = [("usr/", ""), ("usr/a", "1"), ("usr/debug", "1"), ("data/", ""), ("data/b", "1")];
        let image = crate::tree::tests::merged(&[crate::tree::tests::layer(&files)]);
        let mut accuracy = Accuracy::default();
        accuracy.take(&Manifest::read(&path).unwrap(), &Visible::new(&image, Vec::new()));
        assert_eq!(accuracy.recorded.keys().map(PathBuf::as_path).collect::<Vec<_>>(), [Path::new("/usr/a")]);
    }
}
