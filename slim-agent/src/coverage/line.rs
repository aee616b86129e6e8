//! Coverage in one plain line.

use super::{Coverage, Known, Over, estimate};

impl Coverage {
    /// `412 paths, nothing new for 3 d 4 h, an estimated 0-2 unseen; 14 starts, 3 nodes`. Nodes are left out where no
    /// recording names one.
    pub fn line(&self) -> String {
        let mut line = format!("{}; {}", self.needed.paths.line("path"), counted(self.starts, "start"));
        if self.nodes > 0 {
            line.push_str(&format!(", {}", counted(self.nodes, "node")));
        }
        line
    }
}

impl Known {
    /// `412 paths, nothing new for 3 d 4 h, an estimated 0-2 unseen`; `what` is the word for one.
    pub fn line(&self, what: &str) -> String {
        let observed = counted(self.observed, what);
        let Some(quiet) = self.history.quiet_s else { return observed };
        let estimated = match self.estimate {
            None => format!("too few starts for an estimate ({} are needed)", estimate::LEAST),
            Some(headline) => {
                let by = if headline.over == Over::Hours { " by its hours" } else { "" };
                let (lower, upper) = (headline.estimate.unseen_lower, headline.estimate.unseen_upper);
                format!("an estimated {lower:.0}-{upper:.0} unseen{by}")
            }
        };
        let news = if quiet == 0 {
            "something new just now".into()
        } else {
            format!("nothing new for {}", spell(quiet))
        };
        format!("{observed}, {news}, {estimated}")
    }
}

/// `1 path`, `2 paths`.
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Seconds in the two largest units that say something: `3 d 4 h`, `12 min`, `40 s`.
pub fn spell(seconds: u64) -> String {
    let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let largest = units.iter().position(|(size, _)| seconds >= *size).unwrap_or(units.len() - 1);
    let mut rest = seconds;
    let mut words = Vec::new();
    for (size, unit) in units.iter().skip(largest).take(2) {
        if rest >= *size || words.is_empty() {
            words.push(format!("{} {unit}", rest / size));
        }
        rest %= size;
    }
    words.join(" ")
}
