//! What the user does not want in the image, and what that took out.

use std::collections::BTreeMap;

use super::pattern::Pattern;
use super::reason::{LeftOut, Reason};
use crate::manifest::PathBytes;

/// Patterns that win over every reason to keep something.
pub(super) struct Excludes {
    /// Each with the physical directory that it begins at, if the image has it.
    patterns: Vec<(Pattern, Option<PathBytes>)>,
    /// Physical path -> number of the pattern, and whether a recording saw the path used or the engine needs it.
    taken: BTreeMap<PathBytes, (usize, bool)>,
}

impl Excludes {
    pub fn new(patterns: Vec<(Pattern, Option<PathBytes>)>) -> Self {
        Self { patterns, taken: BTreeMap::new() }
    }

    /// The pattern that excludes `path`, noted with the reason there is to keep it.
    pub fn take(&mut self, path: &PathBytes, reason: &Reason) -> Option<&Pattern> {
        let covers = |(pattern, base): &(Pattern, Option<PathBytes>)| {
            base.as_ref().is_some_and(|base| pattern.covers(base, path))
        };
        let number = self.patterns.iter().position(covers)?;
        let is_needed = matches!(reason, Reason::Used { .. } | Reason::Engine(_));
        let taken = self.taken.entry(path.clone()).or_insert((number, false));
        taken.1 |= is_needed;
        self.patterns.get(number).map(|(pattern, _)| pattern)
    }

    /// All that was taken out, and a note for each pattern that took something needed, or nothing at all.
    pub fn finish(self) -> (BTreeMap<PathBytes, LeftOut>, Vec<String>) {
        let mut notes = Vec::new();
        for (number, (pattern, _)) in self.patterns.iter().enumerate() {
            let mine = || self.taken.iter().filter(|(_, (by, _))| *by == number);
            let needed: Vec<_> = mine().filter(|(_, (_, needed))| *needed).map(|(path, _)| path).collect();
            match (mine().count(), needed.first()) {
                (0, _) => notes.push(format!("exclude {pattern} matches nothing that would be kept")),
                (_, None) => {}
                (all, Some(first)) => notes.push(format!(
                    "exclude {pattern} takes out {all} paths, {} of them seen used or needed by the engine, {first} first",
                    needed.len()
                )),
            }
        }
        let why = |(number, _): (usize, bool)| LeftOut::Excluded(self.patterns[number].0.to_string());
        (self.taken.into_iter().map(|(path, taken)| (path, why(taken))).collect(), notes)
    }
}
