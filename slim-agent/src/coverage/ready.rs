//! Rules that turn coverage into a gate.

use super::{Coverage, Known};

/// What must hold before an application counts as known. Rules that are not set always hold.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rules {
    /// At least so many recordings that saw the start-up.
    pub recordings: Option<usize>,
    /// Nothing new in at least so many recordings at the end.
    pub quiet: Option<usize>,
    /// At most so many unseen paths, and system calls, by the upper bound of the estimate.
    pub unseen: Option<f64>,
}

impl Rules {
    /// Why `coverage` does not satisfy them: a sentence each, empty when it does.
    pub fn unmet(&self, coverage: &Coverage) -> Vec<String> {
        let mut unmet = Vec::new();
        if let Some(least) = self.recordings
            && coverage.recordings < least
        {
            unmet
                .push(format!("{} recordings saw the start-up, and {least} are wanted", coverage.recordings));
        }
        for (what, known) in [("paths", &coverage.paths), ("system calls", &coverage.syscalls)] {
            unmet.extend(self.unquiet(what, known));
            unmet.extend(self.open(what, known));
        }
        unmet
    }

    fn unquiet(&self, what: &str, known: &Known) -> Option<String> {
        let least = self.quiet.filter(|&least| known.history.quiet < least)?;
        let quiet = known.history.quiet;
        Some(format!("no new {what} in the last {quiet} recordings, and {least} are wanted"))
    }

    fn open(&self, what: &str, known: &Known) -> Option<String> {
        let most = self.unseen?;
        match known.estimate {
            None if known.observed == 0 => None,
            None => Some(format!("there are too few recordings to estimate how many {what} are unseen")),
            Some(estimate) if estimate.unseen_upper > most => Some(format!(
                "up to {:.1} {what} may be unseen, and at most {most} are wanted",
                estimate.unseen_upper
            )),
            Some(_) => None,
        }
    }
}
