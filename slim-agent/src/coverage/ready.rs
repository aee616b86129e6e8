//! Rules that turn coverage into a gate.

use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer};

use super::{Coverage, Known, counted, spell};

/// What must hold before an application counts as known. Rules that are not set always hold; one about something that
/// is not known does not.
///
/// In a configuration: `{ quiet = "48h", quiet_starts = 3, starts = 5, nodes = 2, hours = 24, unseen_upper = 3 }`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Nothing new for at least so long, counted while there was a recording: `48h`, `2days 12h`.
    #[serde(deserialize_with = "duration")]
    pub quiet: Option<Duration>,
    /// Nothing new in at least so many starts at the end.
    pub quiet_starts: Option<usize>,
    /// At least so many recordings that saw the start-up.
    pub starts: Option<usize>,
    /// On at least so many nodes.
    pub nodes: Option<usize>,
    /// At least so many hours in which there was a recording; several at once count once.
    pub hours: Option<u64>,
    /// At most so many unseen paths, and system calls, by the upper bound of the estimate.
    #[serde(deserialize_with = "bound")]
    pub unseen_upper: Option<f64>,
}

impl Rules {
    /// Why `coverage` does not satisfy them: a sentence each, empty when it does.
    pub fn unmet(&self, coverage: &Coverage) -> Vec<String> {
        let mut unmet = Vec::new();
        if let Some(least) = self.starts.filter(|least| coverage.starts < *least) {
            unmet.push(format!("{} seen, and {least} are wanted", counted(coverage.starts, "start")));
        }
        if let Some(least) = self.nodes.filter(|least| coverage.nodes < *least) {
            unmet.push(format!("{} known, and {least} are wanted", counted(coverage.nodes, "node")));
        }
        if let Some(least) = self.hours.filter(|least| coverage.observed_s / 3600 < *least) {
            unmet.push(format!("{} observed, and {least} h are wanted", spell(coverage.observed_s)));
        }
        for (what, known) in [("paths", &coverage.needed.paths), ("system calls", &coverage.needed.syscalls)]
        {
            unmet.extend(self.unquiet(what, known));
            unmet.extend(self.unquiet_starts(what, known));
            unmet.extend(self.open(what, known));
        }
        unmet
    }

    fn unquiet(&self, what: &str, known: &Known) -> Option<String> {
        let least = self.quiet?;
        match known.history.quiet_s {
            None => Some(format!("it is not known when the last of the {what} was new")),
            Some(quiet) if quiet < least.as_secs() => {
                Some(format!("no new {what} for {}, and {} are wanted", spell(quiet), spell(least.as_secs())))
            }
            Some(_) => None,
        }
    }

    fn unquiet_starts(&self, what: &str, known: &Known) -> Option<String> {
        let quiet = known.history.quiet_starts;
        let least = self.quiet_starts.filter(|&least| quiet < least)?;
        Some(format!("{} at the end without new {what}, and {least} are wanted", counted(quiet, "start")))
    }

    fn open(&self, what: &str, known: &Known) -> Option<String> {
        let most = self.unseen_upper?;
        match known.estimate {
            None => Some(format!("there are too few starts to estimate how many {what} are unseen")),
            Some(headline) if headline.estimate.unseen_upper > most => Some(format!(
                "up to {:.0} {what} may be unseen, and at most {most} are wanted",
                headline.estimate.unseen_upper
            )),
            Some(_) => None,
        }
    }
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(from)?;
    let parsed = humantime::parse_duration(&text);
    parsed
        .map(Some)
        .map_err(|error| de::Error::custom(format!("{text:?} is no duration such as \"48h\": {error}")))
}

fn bound<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let number = f64::deserialize(from)?;
    if number.is_finite() && number >= 0.0 {
        Ok(Some(number))
    } else {
        Err(de::Error::custom(format!("{number} is no number from 0 up")))
    }
}
