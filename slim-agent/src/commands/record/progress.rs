//! How a recording shows that it lives: one line that is rewritten on a terminal, a log line now and then
//! elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::manifest::Observed;

/// Between two log lines.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// What there is to show.
#[derive(Debug, Clone, Copy)]
pub struct Status {
    /// What the recording is about.
    pub observed: Observed,
    /// Paths.
    pub files: usize,
    /// Programs executed.
    pub execs: usize,
    /// Socket addresses.
    pub sockets: usize,
    /// Distinct system calls.
    pub syscalls: usize,
    /// Accesses not delivered.
    pub lost: u64,
    /// When something new was seen last.
    pub last_new: Instant,
}

/// The line.
#[derive(Debug)]
pub struct Progress {
    began: Instant,
    logged: Instant,
    terminal: bool,
    shown: bool,
}

impl Progress {
    /// Begins to count the time.
    pub fn begin() -> Self {
        let now = Instant::now();
        Self { began: now, logged: now, terminal: std::io::stderr().is_terminal(), shown: false }
    }

    /// Time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Shows the state: always on a terminal, every ten seconds elsewhere.
    pub fn show(&mut self, status: &Status) {
        let text = self.text(status);
        if self.terminal {
            // Carriage return and "erase to the end of the line" (ECMA-48 EL).
            let _ = write!(std::io::stderr(), "\r{text}\x1b[K");
            self.shown = true;
        } else if self.logged.elapsed() >= LOG_EVERY {
            tracing::info!("{text}");
            self.logged = Instant::now();
        }
    }

    /// Takes the live line away.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }

    fn text(&self, status: &Status) -> String {
        let Status { observed, files, execs, sockets, syscalls, lost, last_new } = status;
        let elapsed = self.elapsed().as_secs();
        let time = format!("{:02}:{:02}:{:02}", elapsed / 3600, elapsed / 60 % 60, elapsed % 60);
        let quiet = last_new.elapsed().as_secs();
        let found = match observed {
            Observed::Use => format!(
                "recording {time}  files {files}  execs {execs}  sockets {sockets}  syscalls {syscalls}"
            ),
            Observed::Missing => format!("watching {time}  files missing {files}  calls denied {syscalls}"),
        };
        format!("{found}  lost {lost}  nothing new for {quiet} s")
    }
}
