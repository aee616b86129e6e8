//! strace's output (`-f -o FILE`) as a list of calls: interrupted lines joined, arguments parted.

use std::collections::HashMap;
use std::io::BufRead;

use anyhow::{Context, Result, bail};

/// One system call that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The thread that made it, as the host numbers threads.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// Its arguments as they are spelled.
    pub args: Vec<String>,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// With a value: a number, with whatever strace says of it.
    Value(String),
    /// With an error, by its name.
    Error(String),
    /// Not, or nobody saw how: `exit`, or a call that a signal cut short.
    Unknown,
}

/// Reads a trace; a line that is not understood is an error.
pub fn calls(trace: impl BufRead) -> Result<Vec<Call>> {
    let mut begun = HashMap::new();
    let mut calls = Vec::new();
    for (number, line) in trace.lines().enumerate() {
        let line = line.context("cannot read the trace")?;
        let call =
            read(&line, &mut begun).with_context(|| format!("line {} of the trace: {line}", number + 1))?;
        calls.extend(call);
    }
    Ok(calls)
}

/// One line; `begun` has the beginnings of calls that other threads' lines interrupted.
fn read(line: &str, begun: &mut HashMap<u32, String>) -> Result<Option<Call>> {
    let (pid, text) = line.split_once(' ').context("expected a process id and a call")?;
    let (pid, text) = (pid.parse().context("expected a process id")?, text.trim_start());
    if let Some(thread) = text.strip_prefix("+++ superseded by execve in pid ") {
        // The thread that executes a program goes on under its process' id.
        let thread = thread.trim_end_matches(" +++").parse().context("expected a thread's id")?;
        let call = begun.remove(&thread).context("no execve has begun there")?;
        begun.insert(pid, call);
    } else if text.starts_with("+++ ") {
        begun.remove(&pid);
    } else if let Some(beginning) = text.strip_suffix(" <unfinished ...>") {
        begun.insert(pid, beginning.to_owned());
    } else if text.starts_with("<... ") {
        let (_, rest) = text.split_once(" resumed>").context("expected a call that goes on")?;
        let beginning = begun.remove(&pid).context("it has not begun")?;
        return whole(pid, &(beginning + rest)).map(Some);
    } else if !text.ends_with("<detached ...>") && !text.starts_with("--- ") {
        return whole(pid, text).map(Some);
    }
    Ok(None)
}

fn whole(pid: u32, text: &str) -> Result<Call> {
    let (name, rest) = text.split_once('(').context("expected a call")?;
    let (args, rest) = arguments(rest).context("expected arguments and their end")?;
    let result = rest.trim_start().strip_prefix("= ").context("expected a result")?;
    let outcome = if result.starts_with('?') {
        Outcome::Unknown
    } else if let Some(error) = result.strip_prefix("-1 ") {
        Outcome::Error(error.split(' ').next().unwrap_or(error).to_owned())
    } else {
        Outcome::Value(result.to_owned())
    };
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        bail!("expected the name of a call, found {name:?}");
    }
    Ok(Call { pid, name: name.to_owned(), args, outcome })
}

/// Parts arguments at the commas that are neither in quotes, nor in a descriptor's path, nor in brackets; the rest
/// is what comes after the closing parenthesis.
fn arguments(text: &str) -> Option<(Vec<String>, &str)> {
    let (mut args, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'"' => at += quotes(&text[at..])?,
            b'<' if follows_descriptor(&text[start..at]) => at += text[at..].find('>')?,
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b',' if depth == 0 => {
                let arg = text[start..at].trim();
                if !arg.is_empty() {
                    args.push(arg.to_owned());
                }
                start = at + 1;
                if *byte == b')' {
                    return Some((args, &text[start..]));
                }
            }
            b')' | b']' | b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    None
}

/// Where the quotes that `text` begins with are closed.
fn quotes(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'"' => return Some(at),
            _ => {}
        }
    }
    None
}

/// Whether `<` would begin a descriptor's path here, and is no operator.
fn follows_descriptor(before: &str) -> bool {
    before.ends_with("AT_FDCWD") || before.ends_with(|last: char| last.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(trace: &str) -> Vec<Call> {
        calls(trace.as_bytes()).unwrap()
    }

    #[test]
    fn arguments_are_parted_outside_of_quotes_paths_and_structures() {
        let line =
            r#"7 newfstatat(AT_FDCWD</a, (b>, "x\", )", {st_mode=S_IFREG|0644, st_size=5, ...}, 0) = 0"#;
        let call = &read_all(line)[0];
        let args = [r"AT_FDCWD</a, (b>", r#""x\", )""#, "{st_mode=S_IFREG|0644, st_size=5, ...}", "0"];
        assert_eq!((call.pid, call.name.as_str()), (7, "newfstatat"));
        assert_eq!(call.args, args);
        assert_eq!(call.outcome, Outcome::Value("0".into()));
    }

    #[test]
    fn results_are_values_errors_or_unknown() {
        let trace = r#"1 openat(AT_FDCWD</>, "a", O_RDONLY) = 3</a>
1 access("/b", R_OK) = -1 ENOENT (No such file or directory)
1 exit_group(0)                     = ?
1 wait4(-1,  <detached ...>
1 --- SIGCHLD {si_signo=SIGCHLD, ...} ---
1 +++ exited with 0 +++"#;
        let outcomes: Vec<_> = read_all(trace).into_iter().map(|call| call.outcome).collect();
        let expected = [Outcome::Value("3</a>".into()), Outcome::Error("ENOENT".into()), Outcome::Unknown];
        assert_eq!(outcomes, expected);
    }

    #[test]
    fn an_interrupted_call_goes_on_where_it_was_interrupted() {
        let trace = r#"8 newfstatat(AT_FDCWD</>, "/x",  <unfinished ...>
9 openat(AT_FDCWD</>, "/y", O_RDONLY <unfinished ...>
8 <... newfstatat resumed>{st_mode=0}, 0) = 0
9 <... openat resumed>)             = 4</y>"#;
        let calls = read_all(trace);
        assert_eq!(calls[0].args, ["AT_FDCWD</>", "\"/x\"", "{st_mode=0}", "0"]);
        assert_eq!((calls[1].pid, calls[1].args.len()), (9, 3));
    }

    #[test]
    fn a_thread_that_executes_goes_on_as_its_process() {
        let trace = "8 execve(\"/x\", [...], 0x1 /* 3 vars */ <unfinished ...>\n\
                     7 +++ superseded by execve in pid 8 +++\n\
                     7 <... execve resumed>)             = 0";
        assert_eq!((read_all(trace)[0].pid, read_all(trace)[0].name.as_str()), (7, "execve"));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for line in
            ["strace: Process 1 attached", "1 open(\"/x\"", "1 open(\"/x) = 3", "1 <... open resumed>) = 0"]
        {
            assert!(calls(line.as_bytes()).is_err(), "{line}");
        }
    }
}
