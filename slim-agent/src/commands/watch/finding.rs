//! What a watch finds, as it is told on standard output: a line each, at once.

use std::io::{ErrorKind, IsTerminal, Write};
use std::time::SystemTime;

use serde::Serialize;

use crate::manifest::{PathBytes, Phase, Use};

/// How findings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// Lines for people
    #[default]
    Text,
    /// A JSON object a line: {"missing", "call", "asked", "by", ...}, {"denied", "abi", ...} or {"listed", ...}
    Json,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Finding {
    /// A path that only the original image has.
    Missing {
        /// The path.
        missing: PathBytes,
        /// The call that asked for it first.
        call: &'static str,
        /// The name that the call was given.
        asked: PathBytes,
        /// What the path would have been used for.
        #[serde(rename = "use")]
        usage: Use,
        /// The executable that asked, where it lies in the container.
        by: Option<PathBytes>,
        /// Its process, in the host's numbers.
        pid: u32,
        /// In which phase of the container's life.
        phase: Phase,
    },
    /// A directory that was listed and has fewer entries than in the original image. What is not listed may never be
    /// asked for: so this may hide something missing, or mean nothing.
    Listed {
        /// The directory.
        listed: PathBytes,
        /// Entries of the original that the slim image does not have.
        lacks: usize,
        /// Entries of the original.
        of: usize,
        /// The executable that listed it first, where it lies in the container.
        by: Option<PathBytes>,
        /// Its process, in the host's numbers.
        pid: u32,
        /// In which phase of the container's life.
        phase: Phase,
        /// Options of `export image` that keep what may be missing because of this.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        export: Vec<String>,
    },
    /// A system call that the container's seccomp profile refused, and the engine's default profile would not have.
    Denied {
        /// Its name.
        denied: String,
        /// Its ABI.
        abi: &'static str,
        /// In which phase of the container's life.
        phase: Phase,
    },
}

impl Finding {
    fn text(&self) -> String {
        match self {
            Self::Missing { missing, call, asked, by, pid, phase, usage: _ } => {
                let (missing, asked, by) = (plain(missing), plain(asked), program(by.as_ref()));
                format!("missing {missing}: {call} of {asked} by {by}, process {pid}{}", place(*phase))
            }
            Self::Listed { listed, lacks, of, by, pid, phase, export } => {
                let (listed, by, place) = (plain(listed), program(by.as_ref()), place(*phase));
                let lacks = format!("listed {listed}, which lacks {lacks} of {of} entries");
                format!("{lacks}, by {by}, process {pid}{place}{}", remedy(export))
            }
            Self::Denied { denied, abi, phase } => format!("denied {denied} ({abi}){}", place(*phase)),
        }
    }

    fn json(&self) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            #[serde(flatten)]
            finding: &'a Finding,
            time: String,
        }
        let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        // Strings and numbers only: nothing that could not be written.
        serde_json::to_string(&Line { finding: self, time }).unwrap_or_default()
    }
}

/// What helps if it matters, as a shell takes it.
fn remedy(export: &[String]) -> String {
    let quoted = |word: &String| match word.strip_prefix("--") {
        Some(_) => word.clone(),
        None => format!("'{}'", word.replace('\'', r"'\''")),
    };
    let words: Vec<String> = export.iter().map(quoted).collect();
    if words.is_empty() {
        String::new()
    } else {
        format!("; if that matters, export with {}", words.join(" "))
    }
}

fn program(by: Option<&PathBytes>) -> String {
    by.map_or_else(|| "a program outside the image".to_owned(), plain)
}

/// Said of all but the application.
fn place(phase: Phase) -> &'static str {
    match phase {
        Phase::App => "",
        Phase::RuntimeInit | Phase::RuntimeConfined => " (the container runtime)",
        Phase::Exec => " (docker exec: exported with --include-exec only)",
        Phase::Healthcheck => " (the health check)",
    }
}

/// A name that may hold anything, on one line, and without what would steer a terminal.
fn plain(name: &PathBytes) -> String {
    let control = |char: char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char };
    name.escape().chars().map(control).collect()
}

/// Standard output, for findings.
#[derive(Debug)]
pub struct Live {
    format: Format,
    /// Nobody reads any more, or nothing can be written.
    closed: bool,
}

impl Live {
    /// Nothing written yet.
    pub fn new(format: Format) -> Self {
        Self { format, closed: false }
    }

    /// Tells a finding. When that cannot be written the watch goes on: the manifest has it, too.
    pub fn tell(&mut self, finding: &Finding) {
        if self.closed {
            return;
        }
        let line = match self.format {
            Format::Text => finding.text(),
            Format::Json => finding.json(),
        };
        clear_progress();
        let mut out = std::io::stdout().lock();
        if let Err(error) = writeln!(out, "{line}").and_then(|()| out.flush()) {
            self.closed = true;
            if error.kind() != ErrorKind::BrokenPipe {
                tracing::warn!(
                    "cannot write to standard output: {error}; the manifest will have all findings"
                );
            }
        }
    }
}

/// Takes the live line of the progress away, where both are on one terminal.
fn clear_progress() {
    let mut progress = std::io::stderr();
    if progress.is_terminal() && std::io::stdout().is_terminal() {
        let _ = write!(progress, "\r\x1b[K");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(asked: &str, phase: Phase) -> Finding {
        Finding::Missing {
            missing: "/etc/x".into(),
            call: "openat",
            asked: asked.into(),
            usage: Use::Open,
            by: Some("/bin/app".into()),
            pid: 7,
            phase,
        }
    }

    #[test]
    fn a_line_says_what_and_who() {
        let text = missing("x", Phase::App).text();
        assert_eq!(text, "missing /etc/x: openat of x by /bin/app, process 7");
        assert!(
            missing("x", Phase::Exec).text().ends_with("(docker exec: exported with --include-exec only)")
        );
        let denied = Finding::Denied { denied: "chown".into(), abi: "x86_64", phase: Phase::Healthcheck };
        assert_eq!(denied.text(), "denied chown (x86_64) (the health check)");
    }

    #[test]
    fn a_listing_says_what_helps() {
        let listed = |export: &[&str]| {
            let export = export.iter().map(|&word| word.to_owned()).collect();
            let (listed, by) = ("/srv".into(), Some("/bin/app".into()));
            Finding::Listed { listed, lacks: 1, of: 2, by, pid: 7, phase: Phase::App, export }
        };
        let helped = listed(&["--include", "/srv/it's/*"]);
        let text = "listed /srv, which lacks 1 of 2 entries, by /bin/app, process 7";
        assert_eq!(
            helped.text(),
            format!(r"{text}; if that matters, export with --include '/srv/it'\''s/*'")
        );
        assert_eq!(listed(&[]).text(), text);
        assert!(helped.json().contains(r#""export":["--include","/srv/it's/*"]"#));
        assert!(!listed(&[]).json().contains("export"));
    }

    #[test]
    fn a_name_neither_breaks_a_line_nor_steers_a_terminal() {
        let finding = missing("a\nb\x1b[2J", Phase::App);
        assert!(!finding.text().contains(['\n', '\x1b']), "{}", finding.text());
        let json = finding.json();
        assert!(!json.contains('\n'));
        let line: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&line["asked"], &line["use"]), (&"a\nb\x1b[2J".into(), &"open".into()));
        assert!(line["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{json}");
    }
}
