//! One application: recorded under suite A, exported, and tried with both suites.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use super::cases::{self, Case, Score};
use super::heal::{self, Healed};
use super::slim::Slim;
use super::start::{self, Starts};
use crate::docker::{Container, image_size};
use crate::images;
use crate::process::{self, command};
use crate::recording::record;

/// What was found about one application.
#[derive(Debug)]
pub struct Figures {
    /// Bytes of the original and of the slim image.
    pub bytes: (u64, u64),
    /// Files of the original and of the slim image.
    pub files: (usize, usize),
    /// Suite A on the slim image under its profile.
    pub a: Score,
    /// Suite B on the same.
    pub b: Score,
    /// Of the cases of suite B that fail, those that pass without the profile.
    pub denied: Vec<String>,
    /// Both suites on an image and under a profile made from recordings of both.
    pub both: Score,
    /// What that image and that profile have besides.
    pub added: Added,
    /// Suite B after `watch` and `merge`; `None` when that was not asked for, or all passed.
    pub healed: Option<Healed>,
    /// System calls that the profile allows.
    pub syscalls: usize,
    /// From the start of the agent until the container runs and is watched.
    pub record: Duration,
    /// What the export of the image took.
    pub export: Duration,
    /// How long containers of both images take to start.
    pub starts: Starts,
}

/// What an image and a profile have that others have not.
#[derive(Debug)]
pub struct Added {
    /// How many files.
    pub files: usize,
    /// The names of the calls.
    pub calls: Vec<String>,
}

/// The work on one application.
pub struct Job<'a> {
    /// slim-agent.
    pub agent: &'a Path,
    /// The image's name in the corpus.
    pub name: &'a str,
    /// Where manifests, profiles and what suites said are left.
    pub place: &'a Path,
}

/// The cases of both suites, all of which the original passes.
struct Expected {
    a: Vec<Case>,
    b: Vec<Case>,
}

impl Job<'_> {
    /// All of it.
    pub fn figures(&self, healing: bool) -> Result<Figures> {
        let expected = self.expected().context("the original does not pass its suites")?;
        let (manifest, record) = self.record(&self.suite_a(), "a")?;
        let slim = Slim::export(self, &manifest, "slim", &[])?;
        let (a, b) = self.scores(&slim, &expected)?;
        let (both, added) = self.both(&manifest, &slim, &expected).context("recording suite B too")?;
        Ok(Figures {
            bytes: (image_size(&self.original())?, slim.bytes()?),
            files: (files(&self.original())?, files(slim.tag())?),
            denied: self.denied(&slim, &expected, &b)?,
            healed: (healing && !b.full()).then(|| heal::heal(self, &manifest, &expected.b)).transpose()?,
            syscalls: slim.allowed()?.len(),
            export: slim.took(),
            starts: start::measure(&self.original(), &slim)?,
            a,
            b,
            both,
            added,
            record,
        })
    }

    /// The tag of the original.
    pub fn original(&self) -> String {
        images::tag(self.name)
    }

    /// A file of this application.
    pub fn file(&self, suffix: &str) -> PathBuf {
        self.place.join(format!("{}.{suffix}", self.name))
    }

    /// The program that is suite B.
    pub fn suite_b(&self) -> PathBuf {
        images::suite_b(self.name)
    }

    fn suite_a(&self) -> PathBuf {
        images::suite_a(self.name)
    }

    /// Runs a suite, and leaves what it said in a file.
    pub fn try_suite(&self, suite: &Path, container: &Container, log: &str) -> Result<Vec<Case>> {
        cases::run(suite, container, &self.file(&format!("{log}.txt")))
    }

    fn expected(&self) -> Result<Expected> {
        let original = Container::create(&self.original(), "table-original", &[])?;
        original.start()?;
        let passed = |suite: &Path, log| {
            let cases = self.try_suite(suite, &original, log)?;
            cases::all_pass(&cases).map(|()| cases)
        };
        Ok(Expected { a: passed(&self.suite_a(), "original.a")?, b: passed(&self.suite_b(), "original.b")? })
    }

    /// Both suites on a slim image under its profile.
    fn scores(&self, slim: &Slim, expected: &Expected) -> Result<(Score, Score)> {
        let container = slim.create()?;
        container.start()?;
        let a = Score::of(&expected.a, &self.try_suite(&self.suite_a(), &container, "slim.a")?);
        let b = Score::of(&expected.b, &self.try_suite(&self.suite_b(), &container, "slim.b")?);
        Ok((a, b))
    }

    /// Records a new container of the original under a suite. The manifest, and the time from the agent's start until
    /// the suite could begin.
    fn record(&self, suite: &Path, which: &str) -> Result<(PathBuf, Duration)> {
        let (manifest, begun) = (self.file(&format!("{which}.manifest.json")), self.file("begun"));
        let container = Container::create(&self.original(), "table-recorded", &[])?;
        let mut load = command("sh", ["-c", "date +%s.%N >\"$0\" && exec \"$1\""]);
        load.arg(&begun).arg(suite);
        let start = SystemTime::now();
        let mut recording = record(self.agent, &[container.name()], &manifest, &load);
        process::output(&mut recording)
            .with_context(|| format!("recording {} under suite {which}", self.name))?;
        let begun = fs::read_to_string(&begun).context("cannot tell when the suite began")?;
        let begun: f64 = begun.trim().parse().context("date printed no number")?;
        let begun = SystemTime::UNIX_EPOCH + Duration::from_secs_f64(begun);
        Ok((manifest, begun.duration_since(start).unwrap_or_default()))
    }

    /// The failed cases of suite B that pass when the slim image runs without its profile.
    fn denied(&self, slim: &Slim, expected: &Expected, b: &Score) -> Result<Vec<String>> {
        if b.full() {
            return Ok(Vec::new());
        }
        let container = Container::create(slim.tag(), "table-unconfined", &[])?;
        container.start()?;
        let free = Score::of(&expected.b, &self.try_suite(&self.suite_b(), &container, "unconfined.b")?);
        let passes_now = |case: &&String| free.failures.iter().all(|(failed, _)| failed != *case);
        Ok(b.failures.iter().map(|(case, _)| case).filter(passes_now).cloned().collect())
    }

    /// Records suite B as well, and tries both suites on what the union of both recordings gives; what that has besides
    /// the slim image, whose files are `files`.
    fn both(&self, manifest: &Path, slim: &Slim, expected: &Expected) -> Result<(Score, Added)> {
        let (other, _) = self.record(&self.suite_b(), "b")?;
        let both = Slim::export(self, &self.merge(&[manifest, &other], "both")?, "both", &[])?;
        let container = both.create()?;
        container.start()?;
        let mut found = self.try_suite(&self.suite_a(), &container, "both.a")?;
        found.extend(self.try_suite(&self.suite_b(), &container, "both.b")?);
        let files = files(both.tag())?.saturating_sub(files(slim.tag())?);
        let calls = both.allowed()?.difference(&slim.allowed()?).cloned().collect();
        Ok((Score::of(&[expected.a.as_slice(), &expected.b].concat(), &found), Added { files, calls }))
    }

    /// Unites manifests.
    pub fn merge(&self, manifests: &[&Path], which: &str) -> Result<PathBuf> {
        let union = self.file(&format!("{which}.manifest.json"));
        let mut merge = Command::new(self.agent);
        merge.arg("merge").args(manifests).arg("-o").arg(&union);
        process::output(&mut merge).map(|_| union)
    }
}

/// How many files an image has.
fn files(image: &str) -> Result<usize> {
    Container::create(image, "table-counted", &[])?.count_files()
}
