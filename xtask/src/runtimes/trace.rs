//! What `strace -ff -ttt --decode-pids=pidns` wrote: a file for each thread.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// A thread, by its number in the namespace of the tracer.
type Thread = u32;

/// A system call: seconds, name, and the rest of the line.
#[derive(Debug, PartialEq)]
struct Call<'a> {
    at: f64,
    name: &'a str,
    rest: &'a str,
}

/// The calls that thread groups made from when they set a filter until their last execve.
pub fn confined(traces: &Path) -> Result<BTreeSet<String>> {
    let mut threads = BTreeMap::new();
    for entry in fs::read_dir(traces).with_context(|| format!("cannot list {}", traces.display()))? {
        let path = entry.context("cannot list traces")?.path();
        let number = path.extension().and_then(|end| end.to_str()?.parse().ok());
        let number: Thread = number.with_context(|| format!("{} is no trace", path.display()))?;
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        threads.insert(number, String::from_utf8_lossy(&text).into_owned());
    }
    confined_calls(&threads)
}

fn confined_calls(threads: &BTreeMap<Thread, String>) -> Result<BTreeSet<String>> {
    let calls: BTreeMap<Thread, Vec<Call<'_>>> =
        threads.iter().map(|(&thread, text)| (thread, text.lines().filter_map(call).collect())).collect();
    let leaders = leaders(&calls);
    let mut groups: BTreeMap<Thread, Vec<&Call<'_>>> = BTreeMap::new();
    for (thread, calls) in &calls {
        groups.entry(leader(&leaders, *thread)).or_default().extend(calls);
    }
    let mut found = BTreeSet::new();
    let mut filters = 0;
    for calls in groups.values() {
        let first = calls.iter().filter(|call| sets_filter(call)).map(|call| call.at).reduce(f64::min);
        let Some(first) = first else { continue };
        filters += 1;
        let last = calls.iter().filter(|call| call.name == "execve").map(|call| call.at).reduce(f64::max);
        let last = last.unwrap_or(f64::INFINITY);
        let within = calls.iter().filter(|call| call.at > first && call.at <= last);
        found.extend(within.map(|call| call.name.to_owned()));
    }
    ensure!(filters == 1, "{filters} of the traced processes set a filter, and one should");
    Ok(found)
}

/// `1700000000.123456 openat(AT_FDCWD, ...) = 3`; other lines tell of exits.
fn call(line: &str) -> Option<Call<'_>> {
    let (at, line) = line.split_once(' ')?;
    let (name, rest) = line.split_once('(')?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some(Call { at: at.parse().ok()?, name, rest })
}

fn sets_filter(call: &Call<'_>) -> bool {
    let filter = match call.name {
        "seccomp" => call.rest.starts_with("SECCOMP_SET_MODE_FILTER"),
        "prctl" => call.rest.starts_with("PR_SET_SECCOMP, SECCOMP_MODE_FILTER"),
        _ => false,
    };
    filter && call.rest.ends_with(" = 0")
}

/// Who made each thread that is not the first of its group.
fn leaders(calls: &BTreeMap<Thread, Vec<Call<'_>>>) -> BTreeMap<Thread, Thread> {
    let made = calls.iter().flat_map(|(&maker, calls)| calls.iter().map(move |call| (maker, call)));
    made.filter(|(_, call)| call.name.starts_with("clone") && call.rest.contains("CLONE_THREAD"))
        .filter_map(|(maker, call)| Some((result(call.rest)?, maker)))
        .collect()
}

fn leader(leaders: &BTreeMap<Thread, Thread>, mut thread: Thread) -> Thread {
    // Numbers could be used again, so that the chain has a ring: it has no more links than there are threads.
    for _ in 0..leaders.len() {
        match leaders.get(&thread) {
            Some(&maker) => thread = maker,
            None => break,
        }
    }
    thread
}

/// `... = 5`, or `... = 5 /* 4711 in strace's PID NS */`.
fn result(rest: &str) -> Option<Thread> {
    let (_, value) = rest.rsplit_once(" = ")?;
    let number = value.split_once("/* ").map_or(value, |(_, own)| own);
    number.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads(texts: &[(Thread, &str)]) -> BTreeMap<Thread, String> {
        texts.iter().map(|(thread, text)| (*thread, (*text).to_owned())).collect()
    }

    #[test]
    fn calls_between_the_filter_and_the_last_execve_count_in_every_thread_of_the_group() {
        let traced = threads(&[
            (
                10,
                "1.0 execve(\"/usr/sbin/runc\", [\"runc\"], 0x7f /* 1 var */) = 0\n1.5 wait4(11, 0x1, 0, NULL) = 11\n9.9 exit_group(0) = ?\n",
            ),
            (
                11,
                "2.0 clone(child_stack=0x1, flags=CLONE_VM|CLONE_THREAD) = 2 /* 12 in strace's PID NS */\n\
                  3.0 seccomp(SECCOMP_SET_MODE_FILTER, 0, NULL) = -1 EFAULT (Bad address)\n\
                  3.1 mount(NULL, NULL) = 0\n\
                  4.0 seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, {len=9}) = 0\n\
                  4.1 capset({}, {}) = 0\n5.0 execve(\"/program\", [\"/program\"], 0x7f) = 0\n5.1 brk(NULL) = 0x1\n",
            ),
            (
                12,
                "3.5 madvise(0x1, 1, 4) = 0\n4.5 futex(0x1, 2) = 0\n5.0 +++ superseded by execve in pid 11 +++\n",
            ),
        ]);
        let found = confined_calls(&traced).unwrap();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["capset", "execve", "futex"]);
    }

    #[test]
    fn a_trace_without_a_filter_is_refused() {
        assert!(confined_calls(&threads(&[(10, "1.0 brk(NULL) = 0x1\n")])).is_err());
    }

    #[test]
    fn a_thread_is_known_by_its_number_outside() {
        assert_eq!(result("flags=0) = 7"), Some(7));
        assert_eq!(result("flags=0) = 7 /* 99 in strace's PID NS */"), Some(99));
        assert_eq!(result("flags=0) = -1 EPERM (x)"), None);
    }
}
