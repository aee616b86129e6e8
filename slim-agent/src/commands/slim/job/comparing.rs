//! The step in which the slim image has to show that it does what the original does.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::super::questions::Exchange;
use super::super::report::Verdict;
use super::super::subject::Subject;
use super::super::verify::{Replay, confirmed, doubts, replay};
use super::{Exported, Job, asker};

/// What a comparison came to.
pub(super) struct Compared {
    /// What it says in the end.
    pub verdict: Verdict,
    /// What could be compared in its outcome only.
    pub unstable: BTreeMap<usize, String>,
}

impl Job<'_> {
    /// Asks the slim image, confined by its profile, what the original was asked.
    pub(super) async fn verify(&mut self, exported: &Exported, known: &[Exchange]) -> Result<Compared> {
        self.steps.begin("verify", "asking the slim image the same");
        let profile = Some(exported.profile.clone());
        let subject = match self.start("slim", &exported.image, profile).await? {
            Ok(subject) => subject,
            Err(error) => {
                let how = format!("it does not start under its seccomp profile: {error:#}");
                self.steps.end("different");
                return Ok(Compared { verdict: Verdict::Different(how), unstable: BTreeMap::new() });
            }
        };
        let compared = match replay(&asker(self.args, &subject), known, &self.interrupt).await? {
            Replay::Different(how) => {
                Compared { verdict: Verdict::Different(how), unstable: BTreeMap::new() }
            }
            Replay::Alike(answers) => {
                let doubts = doubts(known, &answers);
                let difference =
                    if doubts.is_empty() { None } else { self.ask_again(known, &doubts).await? };
                match difference {
                    Some(how) => Compared { verdict: Verdict::Different(how), unstable: BTreeMap::new() },
                    None => Compared { verdict: Verdict::Same, unstable: doubts },
                }
            }
        };
        self.steps.end(match compared.verdict {
            Verdict::Same => "the slim image answers as the original, under its seccomp profile",
            _ => "different",
        });
        Ok(compared)
    }

    /// Asks the original once more, for what may vary by itself; the first difference that does not.
    async fn ask_again(
        &mut self,
        known: &[Exchange],
        doubts: &BTreeMap<usize, String>,
    ) -> Result<Option<String>> {
        let first = doubts.values().next().cloned().unwrap_or_default();
        let original = self.original.id.clone();
        let subject =
            self.start("control", &original, None).await?.context("cannot start the original again")?;
        match replay(&asker(self.args, &subject), known, &self.interrupt).await? {
            Replay::Alike(control) => Ok(confirmed(known, doubts, &control)),
            Replay::Different(how) => Ok(Some(format!(
                "{first}; the original, started once more to compare, did not do the same itself: {how}"
            ))),
        }
    }

    /// Makes and starts a container; the inner error is the engine's that it cannot be started.
    async fn start(&mut self, role: &str, image: &str, seccomp: Option<String>) -> Result<Result<Subject>> {
        let name = self.made.create(role, self.args.container(image, seccomp)).await?;
        if let Err(error) = self.interrupt.during(self.runtime.start(&name)).await? {
            return Ok(Err(error));
        }
        let now = self.runtime.inspect(&name).await?;
        Ok(Ok(Subject::new(self.runtime.clone(), now)))
    }
}
