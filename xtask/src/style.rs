//! Headlines, which are progress and go to standard error, and colours: for terminals, never against NO_COLOR.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::Result;

/// Bold, where the terminal may be coloured.
pub fn bold(text: &str) -> String {
    coloured("1", text)
}

/// Green and bold: a gain.
pub fn good(text: &str) -> String {
    coloured("1;32", text)
}

/// Faint: of second interest.
pub fn faint(text: &str) -> String {
    coloured("2", text)
}

/// Prints a headline.
pub fn headline(text: &str) {
    eprintln!("{} {}", good("==>"), bold(text));
}

/// Prints a headline, runs a step and says how long it took.
pub fn step<T>(text: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    timed(text, work).map(|(value, _)| value)
}

/// The same, and the time it took is handed back too.
pub fn timed<T>(text: &str, work: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
    headline(text);
    let began = Instant::now();
    let value = work()?;
    let took = began.elapsed();
    eprintln!("{}", faint(&format!("    {:.1} s", took.as_secs_f64())));
    Ok((value, took))
}

fn coloured(code: &str, text: &str) -> String {
    let allowed = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if allowed && std::io::stdout().is_terminal() && std::io::stderr().is_terminal() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
