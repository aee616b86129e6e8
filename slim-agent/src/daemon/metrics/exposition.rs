//! The text format itself: families of samples, each with its help and its type.

use std::fmt::{Display, Write};

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It grows only, until it begins anew at 0.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// A text that grows by families.
#[derive(Debug, Default)]
pub struct Exposition(String);

impl Exposition {
    /// A family with the same labels in each of its samples. Writing to a string cannot fail.
    pub fn family<const LABELS: usize, Value: Display>(
        &mut self,
        (name, kind, help): (&str, Kind, &str),
        labels: [&str; LABELS],
        samples: impl IntoIterator<Item = ([String; LABELS], Value)>,
    ) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (values, value) in samples {
            self.0.push_str(name);
            for (at, (label, text)) in labels.iter().zip(&values).enumerate() {
                let before = if at == 0 { '{' } else { ',' };
                let _ = write!(self.0, "{before}{label}=\"{}\"", escaped(text));
            }
            let after = if LABELS == 0 { "" } else { "}" };
            let _ = writeln!(self.0, "{after} {value}");
        }
    }

    /// A family of one sample without labels, or of none.
    pub fn one(&mut self, family: (&str, Kind, &str), value: impl Into<Option<f64>>) {
        self.family(family, [], value.into().map(|value| ([], value)));
    }

    /// The same of a number that may have more digits than a float keeps.
    pub fn count(&mut self, family: (&str, Kind, &str), value: u64) {
        self.family(family, [], [([], value)]);
    }

    /// The text.
    pub fn finish(self) -> String {
        self.0
    }
}

/// A label's value as the format spells it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut out = Exposition::default();
        out.family(("a_bytes", Kind::Gauge, "Help."), ["b", "c"], [(["x\"\\\n".into(), "".into()], 1_u64)]);
        out.one(("d", Kind::Counter, "None."), None);
        assert_eq!(
            out.finish(),
            "# HELP a_bytes Help.\n# TYPE a_bytes gauge\na_bytes{b=\"x\\\"\\\\\\n\",c=\"\"} 1\n\
             # HELP d None.\n# TYPE d counter\n"
        );
    }
}
