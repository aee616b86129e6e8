//! Rules about the image as a whole.

use std::collections::HashSet;

use anyhow::Result;

use super::{Work, whole};
use crate::manifest::PathBytes;

const ZONES: &str = "/usr/share/zoneinfo";
const LOCALES: &str = "/usr/lib/locale";
const TERMINFO: [&str; 3] = ["/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo"];

/// A shell, and what one reaches for in it.
const SHELL: [&str; 20] = [
    "sh", "bash", "ash", "busybox", "cat", "cp", "df", "echo", "env", "find", "grep", "head", "id", "ls",
    "mkdir", "ps", "rm", "stat", "tail", "wc",
];

pub(super) fn time_zone(work: &mut Work<'_, '_>) -> Result<()> {
    let reason = whole("time-zone");
    for name in ["/etc/localtime", "/etc/timezone"] {
        work.keeper.keep_if_there(&name.into(), &reason)?;
    }
    let Some(zone) = work.config.environment.get("TZ") else { return Ok(()) };
    let zone = zone.strip_prefix(':').unwrap_or(zone);
    // tzset(3): a name that begins with a slash is a path, any other is one below the system's zones.
    let name = if zone.starts_with('/') { zone.into() } else { PathBytes::from(ZONES).join(zone.as_bytes()) };
    let is_file = work.keeper.find(name.as_bytes())?.is_some_and(|entry| !entry.is_dir());
    if is_file { work.keeper.keep(&name, &reason).map(drop) } else { Ok(()) }
}

pub(super) fn locale(work: &mut Work<'_, '_>) -> Result<()> {
    let is_locale = |name: &str| name == "LANG" || name.starts_with("LC_");
    let wanted: Vec<Vec<u8>> = work
        .config
        .environment
        .iter()
        .filter(|(name, _)| is_locale(name))
        .map(|(_, value)| normal(value))
        .collect();
    let dir = PathBytes::from(LOCALES);
    // Of those in use, setlocale(3) maps one file for each category that it is asked for.
    let parts = dir.components().count();
    let inside = work.keeper.paths().filter(|path| path.is_within(dir.as_bytes()));
    let used = inside.filter(|path| path.components().count() > parts + 1);
    let used: HashSet<Vec<u8>> =
        used.filter_map(|path| path.components().nth(parts).map(<[u8]>::to_owned)).collect();
    for name in work.keeper.list(&dir)? {
        if used.contains(&name) || wanted.contains(&normal(&String::from_utf8_lossy(&name))) {
            work.keeper.keep_tree(&dir.join(&name), &whole("locale"))?;
        }
    }
    Ok(())
}

/// A locale's name with its character set as glibc compares it: letters and digits, in lower case.
fn normal(name: &str) -> Vec<u8> {
    let (place, charset) = name.split_once('.').unwrap_or((name, ""));
    let charset = charset.chars().filter(char::is_ascii_alphanumeric).map(|char| char.to_ascii_lowercase());
    format!("{place}.{}", charset.collect::<String>()).into_bytes()
}

pub(super) fn terminfo(work: &mut Work<'_, '_>) -> Result<()> {
    for name in TERMINFO {
        work.keeper.keep_tree(&name.into(), &whole("terminfo"))?;
    }
    Ok(())
}

pub(super) fn gconv(work: &mut Work<'_, '_>) -> Result<()> {
    for dir in work.libraries.system().to_vec() {
        work.keeper.keep_tree(&dir.join(b"gconv"), &whole("gconv"))?;
    }
    Ok(())
}

pub(super) fn shell(work: &mut Work<'_, '_>) -> Result<()> {
    for dir in &work.config.search {
        for name in SHELL {
            work.keeper
                .keep_if_there(&PathBytes::from(dir.as_str()).join(name.as_bytes()), &whole("shell"))?;
        }
    }
    work.keeper.keep_if_there(&"/bin/sh".into(), &whole("shell")).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locales_are_compared_as_glibc_does() {
        assert_eq!(normal("C.UTF-8"), normal("C.utf8"));
        assert_ne!(normal("de_DE"), normal("de_AT"));
    }
}
