//! The explanation of a plan: the JSON document that is written beside an export.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Serialize;

use super::{Generated, LeftOut, Package, Plan, Reason};
use crate::image::Totals;
use crate::manifest::PathBytes;

/// The schema of the explanation.
const SCHEMA: &str = "slim-agent/plan/1";

#[derive(Serialize)]
struct Explanation<'a> {
    schema: &'a str,
    image: &'a str,
    tag: &'a str,
    totals: Totals,
    notes: &'a [String],
    packages: &'a [Package],
    kept: &'a BTreeMap<PathBytes, Vec<Reason>>,
    generated: BTreeMap<&'a PathBytes, &'a Reason>,
    left_out: &'a BTreeMap<PathBytes, LeftOut>,
}

impl Plan {
    /// The explanation: pretty JSON with sorted keys and a final newline. `tag` is the name of what was exported.
    ///
    /// # Errors
    /// Only if serialisation itself fails.
    pub fn explain(&self, image: &str, tag: &str) -> Result<Vec<u8>> {
        let Self { kept, generated, left_out, packages, notes, totals } = self;
        let generated = generated.iter().map(|(path, Generated { reason, .. })| (path, reason)).collect();
        let totals = *totals;
        let explanation =
            Explanation { schema: SCHEMA, image, tag, totals, notes, packages, kept, generated, left_out };
        let mut bytes =
            serde_json::to_vec_pretty(&explanation).context("cannot serialise the explanation")?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}
