//! `docker run` with all that can be denied denied: a shell script that passes its own arguments on as options.

use super::deployment::{Deployment, one_line, writable};
use crate::harden::{Hardening, Mount, Writable};
use crate::manifest::PathBytes;

/// The script.
pub fn script(deployment: &Deployment<'_>) -> String {
    let options = Options::of(deployment);
    let mut text = String::from("#!/bin/sh\n");
    let about = [
        deployment.headline(),
        format!("Use: sh FILE --detach --name {} and other options of docker run", deployment.name),
        String::new(),
    ];
    for line in about.iter().chain(&options.reasons) {
        text.push_str(format!("# {}", one_line(line)).trim_end());
        text.push('\n');
    }
    text.push_str("exec docker run \"$@\"");
    for option in &options.words {
        text.push_str(" \\\n  ");
        text.push_str(option);
    }
    text.push_str(&format!(" \\\n  {}\n", quoted(deployment.image)));
    text
}

/// Options, and why each is there or is not.
#[derive(Debug, Default)]
struct Options {
    /// As the shell reads them.
    words: Vec<String>,
    reasons: Vec<String>,
}

impl Options {
    fn of(deployment: &Deployment<'_>) -> Self {
        let mut options = Self::default();
        options.read_only(deployment);
        options.volumes(deployment.hardening);
        options.privileges(deployment);
        options.reasons.extend(deployment.notes());
        options
    }

    fn add(&mut self, option: &str, value: &str, reason: &str) {
        let words = if value.is_empty() { option.to_owned() } else { format!("{option} {}", quoted(value)) };
        if !reason.is_empty() {
            self.reasons.push(format!("{option} {value}: {reason}").replacen(" :", ":", 1));
        }
        self.words.push(words);
    }

    fn read_only(&mut self, deployment: &Deployment<'_>) {
        let read_only = &deployment.hardening.read_only;
        if !read_only.is_possible() {
            self.reasons.extend(deployment.read_only_obstacles());
            return;
        }
        self.add("--read-only", "", "nothing can be written but to what is mounted");
        for dir in &read_only.writable {
            if dir.is_temporary() {
                self.add("--tmpfs", &tmpfs(dir), &writable(dir));
            } else {
                self.add("--mount", &volume(&dir.path), &writable(dir));
            }
        }
    }

    /// Volumes that the engine makes anyway are made here by name, so that they are seen.
    fn volumes(&mut self, hardening: &Hardening) {
        for Mount { path, .. } in hardening.mounts.iter().filter(|mount| mount.kind == "volume") {
            let known = hardening.read_only.writable.iter().any(|dir| dir.path == *path);
            let can_be_spelled =
                std::str::from_utf8(path.as_bytes()).is_ok_and(|text| !text.contains([',', '"']));
            if !known && can_be_spelled {
                let reason = "data that outlives a container: name it with source=";
                self.add("--mount", &volume(path), reason);
            }
        }
    }

    fn privileges(&mut self, deployment: &Deployment<'_>) {
        self.add("--cap-drop", "ALL", deployment.capabilities());
        for (name, reasons) in &deployment.hardening.capabilities.needed {
            let reasons: Vec<&str> = reasons.iter().map(String::as_str).collect();
            self.add("--cap-add", name.trim_start_matches("CAP_"), &reasons.join("; "));
        }
        if deployment.hardening.gains.is_empty() {
            let reason = "no program that gives privileges was executed";
            self.add("--security-opt", "no-new-privileges", reason);
        } else {
            self.reasons.extend(deployment.gains());
        }
        let profile = format!("seccomp={}", deployment.profile);
        self.add("--security-opt", &profile, "made by slim-agent export seccomp");
    }
}

/// An empty directory with owner and mode of the image's. The engine forbids to execute what is in it.
pub(super) fn tmpfs(dir: &Writable) -> String {
    let Writable { path, mode, uid, gid, .. } = dir;
    let exec = if dir.executes { "exec" } else { "noexec" };
    let path = String::from_utf8_lossy(path.as_bytes());
    format!("{path}:rw,nosuid,nodev,{exec},mode={mode:o},uid={uid},gid={gid}")
}

/// A volume without a name: the engine copies what the image has there, owner and mode included.
fn volume(path: &PathBytes) -> String {
    format!("type=volume,destination={}", String::from_utf8_lossy(path.as_bytes()))
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "@%_-+=:,./".contains(char);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_that_need_no_quotes_have_none() {
        assert_eq!(quoted("type=volume,destination=/a"), "type=volume,destination=/a");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("a'b $c"), r"'a'\''b $c'");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_shell_reads_back_what_was_quoted(word in "[^\0]*") {
            let script = format!("printf %s {}", quoted(&word));
            let read = Command::new("sh").args(["-c", &script]).output().unwrap();
            prop_assert_eq!(String::from_utf8(read.stdout).unwrap(), word);
        }
    }
}
