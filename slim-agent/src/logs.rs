//! Logs on standard error: for a terminal, a file, or systemd's journal.

use std::fmt::{self, Write};
use std::io::{self, IsTerminal};

use nix::sys::stat::fstat;
use slim_agent::cli::Cli;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// What never logs: the one shows passwords on their way to a registry, the other says what an error says again.
const SILENT: [&str; 2] = ["ureq_proto", "rustls_platform_verifier"];

/// Begins to log. `RUST_LOG` has the last word on what is logged.
pub fn start(cli: &Cli) {
    let level = match (cli.quiet, cli.verbose) {
        (true, _) => "error",
        (false, 0) => "slim_agent=info,warn",
        (false, 1) => "slim_agent=debug,slim_ebpf=debug,info",
        (false, _) => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let silenced = SILENT.iter().filter_map(|module| format!("{module}=off").parse().ok());
    let filter = silenced.fold(filter, EnvFilter::add_directive);
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    if to_journal() {
        logs.with_ansi(false).event_format(Journal::new(cli.verbose > 0)).init();
    } else {
        logs.with_target(cli.verbose > 0).with_ansi(!plain && io::stderr().is_terminal()).init();
    }
}

/// Shows why the program ends.
pub fn failure(message: &str) {
    let message = printable(message);
    if to_journal() {
        eprint!("{}", prefixed(Level::ERROR, &message));
    } else {
        eprintln!("error: {message}");
    }
}

/// Whether standard error is the journal itself: systemd tells which file that is (systemd.exec(5)).
fn to_journal() -> bool {
    let told = std::env::var("JOURNAL_STREAM").ok();
    told.is_some_and(|told| {
        fstat(io::stderr()).is_ok_and(|file| told == format!("{}:{}", file.st_dev, file.st_ino))
    })
}

/// A message may quote a manifest or an image that someone else made: what they wrote must not steer the terminal.
fn printable(message: &str) -> String {
    let control = |char: char| char.is_control() && char != '\n';
    message.chars().map(|char| if control(char) { char::REPLACEMENT_CHARACTER } else { char }).collect()
}

/// Each line with its priority before it, as sd-daemon(3) has it. The journal adds the time.
struct Journal(Format<Full, ()>);

impl Journal {
    fn new(targets: bool) -> Self {
        Self(Format::default().without_time().with_level(false).with_target(targets).with_ansi(false))
    }
}

impl<S, N> FormatEvent<S, N> for Journal
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = String::new();
        self.0.format_event(context, Writer::new(&mut text), event)?;
        writer.write_str(&prefixed(*event.metadata().level(), &text))
    }
}

/// Lines that each have the priority: the journal makes an entry of each.
fn prefixed(level: Level, text: &str) -> String {
    let priority = match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    };
    text.lines().fold(String::new(), |mut out, line| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "<{priority}>{line}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::fmt::MakeWriter;

    /// A place that remembers what is written.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Page {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn the_journal_gets_priorities() {
        let page = Page::default();
        let logs = tracing_subscriber::fmt().with_ansi(false).with_writer(page.clone());
        tracing::subscriber::with_default(logs.event_format(Journal::new(false)).finish(), || {
            tracing::info!(count = 3, "records");
            tracing::warn!("two\nlines");
            tracing::error!("fails");
        });
        let written = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        assert_eq!(written, "<6>records count=3\n<4>two\n<4>lines\n<3>fails\n");
    }
}
