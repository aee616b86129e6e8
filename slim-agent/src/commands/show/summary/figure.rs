//! One row of the table.

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::commands::export_image::megabytes;

/// What a figure counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Bytes of content.
    Bytes,
    /// Things.
    Count,
}

/// A figure of the original and of the slim image.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What is counted.
    pub name: &'static str,
    /// In what.
    pub unit: Unit,
    /// In the original; none when it is not known.
    pub original: Option<u64>,
    /// In the slim image, or needed.
    pub slim: Option<u64>,
    /// How many of the original's were executed, where that means something.
    pub ran: Option<u64>,
    /// The option that shows what is counted.
    pub shown_by: &'static str,
}

impl Figure {
    /// A count that nothing can execute.
    pub fn count(
        name: &'static str,
        original: Option<u64>,
        slim: Option<u64>,
        shown_by: &'static str,
    ) -> Self {
        Self { name, unit: Unit::Count, original, slim, ran: None, shown_by }
    }

    /// Its name for people, with what it means where that is not the same in both columns.
    pub fn label(&self) -> String {
        let words = self.name.replace('-', " ");
        let meaning = match self.name {
            "capabilities" => "engine's default, needed",
            "syscalls-of-kernel" | "syscalls-of-engine" => "all, allowed",
            "ports" => "declared, observed",
            "writable-directories" => "all, written",
            _ => return words,
        };
        format!("{words} ({meaning})")
    }

    /// How much more the slim image has.
    fn difference(&self) -> Option<i64> {
        i64::try_from(self.slim?).ok()?.checked_sub(i64::try_from(self.original?).ok()?)
    }

    /// As cells: label, original, slim, difference, the same in percent of the original, executed.
    pub fn row(&self) -> Vec<String> {
        let tell = |count: u64| match self.unit {
            Unit::Bytes => megabytes(count),
            Unit::Count => count.to_string(),
        };
        let cell = |count: Option<u64>| count.map_or("-".to_owned(), tell);
        let difference = self.difference().map_or("-".to_owned(), |difference| {
            let sign = match difference {
                0 => "",
                ..0 => "-",
                _ => "+",
            };
            format!("{sign}{}", tell(difference.unsigned_abs()))
        });
        let ran = self.ran.map_or(String::new(), tell);
        vec![self.label(), cell(self.original), cell(self.slim), difference, self.percent(), ran]
    }

    /// The difference in percent, towards zero: what is not all gone is never told to be.
    fn percent(&self) -> String {
        match (self.difference(), self.original.and_then(|original| i64::try_from(original).ok())) {
            (Some(difference), Some(original)) if original > 0 && difference != 0 => {
                let percent = i128::from(difference) * 100 / i128::from(original);
                format!("{percent:+} %")
            }
            _ => String::new(),
        }
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(7))?;
        map.serialize_entry("name", self.name)?;
        map.serialize_entry("unit", &self.unit)?;
        map.serialize_entry("original", &self.original)?;
        map.serialize_entry("slim", &self.slim)?;
        map.serialize_entry("difference", &self.difference())?;
        map.serialize_entry("ran", &self.ran)?;
        map.serialize_entry("shown_by", self.shown_by)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(original: Option<u64>, slim: Option<u64>) -> String {
        Figure::count("setuid-files", original, slim, "--surface").row()[1..].join("|")
    }

    #[test]
    fn what_is_not_known_is_a_dash_and_what_is_left_is_never_told_to_be_gone() {
        assert_eq!(row(Some(1000), Some(1)), "1000|1|-999|-99 %|");
        assert_eq!(row(Some(4), Some(0)), "4|0|-4|-100 %|");
        assert_eq!(row(Some(2), Some(3)), "2|3|+1|+50 %|");
        assert_eq!(row(Some(2), Some(2)), "2|2|0||");
        assert_eq!(row(Some(0), Some(1)), "0|1|+1||");
        assert_eq!(row(None, Some(1)), "-|1|-||");
        assert_eq!(row(None, None), "-|-|-||");
    }
}
