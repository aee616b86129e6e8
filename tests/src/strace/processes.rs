//! Current directories, for the calls whose relative names strace prints without them.

use std::collections::HashMap;

use anyhow::{Context, Result};

use super::line::{Call, Outcome};
use super::text::{annotated, quoted};

/// The current directory of every thread, as the trace goes on.
#[derive(Debug, Default)]
pub struct Processes {
    births: HashMap<u32, Birth>,
    /// Threads that share a current directory share an index.
    shares: HashMap<u32, usize>,
    directories: Vec<Option<Vec<u8>>>,
}

#[derive(Debug, Clone, Copy)]
struct Birth {
    parent: u32,
    shares: bool,
}

impl Processes {
    /// Learns which thread was made by which: a child's first line may come before its parent's last.
    pub fn of(calls: &[Call]) -> Result<Self> {
        let mut births = HashMap::new();
        for call in calls {
            if let Some(child) = child(call)? {
                let shares = call.args.iter().any(|arg| arg.contains("CLONE_FS"));
                births.insert(child, Birth { parent: call.pid, shares });
            }
        }
        Ok(Self { births, ..Self::default() })
    }

    /// The current directory of a thread.
    pub fn directory(&mut self, pid: u32) -> Result<&[u8]> {
        let index = self.index(pid);
        self.directories[index]
            .as_deref()
            .with_context(|| format!("the trace does not tell the current directory of {pid}"))
    }

    /// Takes note of what a call says or changes.
    pub fn note(&mut self, call: &Call) -> Result<()> {
        let told = call.args.iter().find(|arg| arg.starts_with("AT_FDCWD<"));
        if let Some(directory) = told.map(|arg| annotated(arg)).transpose()?.flatten() {
            self.set(call.pid, directory);
        }
        if !matches!(call.outcome, Outcome::Value(_)) {
            return Ok(());
        }
        let argument = || call.args.first().with_context(|| format!("{} without an argument", call.name));
        match call.name.as_str() {
            "chdir" => {
                let name = quoted(argument()?)?;
                let absolute = name.starts_with(b"/");
                let directory =
                    if absolute { name } else { [self.directory(call.pid)?, b"/", &name].concat() };
                self.set(call.pid, directory);
            }
            "fchdir" => {
                let directory = annotated(argument()?)?.context("fchdir to what is no path")?;
                self.set(call.pid, directory);
            }
            _ => {}
        }
        Ok(())
    }

    fn set(&mut self, pid: u32, directory: Vec<u8>) {
        let index = self.index(pid);
        self.directories[index] = Some(directory);
    }

    fn index(&mut self, pid: u32) -> usize {
        if let Some(&index) = self.shares.get(&pid) {
            return index;
        }
        // Taken out, so that a trace with a circle in it ends here too.
        let birth = self.births.remove(&pid);
        let inherited = birth.map(|birth| self.index(birth.parent));
        let index = match (inherited, birth) {
            (Some(parent), Some(birth)) if birth.shares => parent,
            _ => {
                self.directories.push(inherited.and_then(|parent| self.directories[parent].clone()));
                self.directories.len() - 1
            }
        };
        self.shares.insert(pid, index);
        index
    }
}

/// The thread that a call made, as the host numbers it: `7 /* 25766 in strace's PID NS */`, or `25766`.
fn child(call: &Call) -> Result<Option<u32>> {
    let Outcome::Value(value) = &call.outcome else { return Ok(None) };
    if !["clone", "clone3", "fork", "vfork"].contains(&call.name.as_str()) {
        return Ok(None);
    }
    let number = value.split_once("/* ").map_or(value.as_str(), |(_, rest)| rest);
    let number = number.split(' ').next().unwrap_or(number);
    number.parse().map(Some).with_context(|| format!("{} made the process {value:?}", call.name))
}

#[cfg(test)]
mod tests {
    use super::super::line::calls;
    use super::*;

    fn directory_of_last(trace: &str) -> Result<String> {
        let calls = calls(trace.as_bytes())?;
        let mut processes = Processes::of(&calls)?;
        calls.iter().try_for_each(|call| processes.note(call))?;
        let last = calls.last().context("no call")?.pid;
        Ok(String::from_utf8_lossy(processes.directory(last)?).into_owned())
    }

    #[test]
    fn a_directory_is_changed_by_name_by_descriptor_and_by_what_strace_tells() {
        assert_eq!(directory_of_last("1 chdir(\"/a\") = 0\n1 chdir(\"b\") = 0").unwrap(), "/a/b");
        assert_eq!(directory_of_last("1 chdir(\"/a\") = 0\n1 fchdir(3</c>) = 0").unwrap(), "/c");
        assert_eq!(directory_of_last("1 chdir(\"/a\") = -1 ENOENT (No)\n1 fchdir(3</c>) = 0").unwrap(), "/c");
        assert_eq!(directory_of_last("1 openat(AT_FDCWD</d>, \"x\", 0) = 3</d/x>").unwrap(), "/d");
        assert!(directory_of_last("1 access(\"x\", F_OK) = 0").is_err());
    }

    #[test]
    fn a_process_inherits_and_a_thread_shares() {
        let made = |flags, child| {
            format!(
                "1 chdir(\"/a\") = 0\n1 clone(child_stack=NULL, flags={flags}) = 7 /* {child} in strace's PID NS */\n"
            )
        };
        let fork = made("SIGCHLD", 20);
        assert_eq!(directory_of_last(&format!("{fork}20 access(\"x\", F_OK) = 0")).unwrap(), "/a");
        let both = "20 chdir(\"/b\") = 0\n1 access(\"x\", F_OK) = 0";
        assert_eq!(directory_of_last(&format!("{fork}{both}")).unwrap(), "/a");
        let thread = made("CLONE_VM|CLONE_FS", 20);
        assert_eq!(directory_of_last(&format!("{thread}{both}")).unwrap(), "/b");
    }
}
