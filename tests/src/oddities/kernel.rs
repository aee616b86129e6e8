//! Kernel versions.

use std::fmt;

use anyhow::{Context, Result};

/// Major and minor version of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

impl Version {
    /// Reads the first two numbers of a release such as `6.1.0-18-amd64`.
    pub fn parse(release: &str) -> Result<Self> {
        let mut parts = release.trim().split(|c: char| !c.is_ascii_digit());
        let mut number = || parts.next().and_then(|part| part.parse().ok());
        let version = number().zip(number()).map(|(major, minor)| Self(major, minor));
        version.with_context(|| format!("{release:?} does not begin with a kernel version"))
    }

    /// The running kernel's.
    pub fn running() -> Result<Self> {
        let path = "/proc/sys/kernel/osrelease";
        Self::parse(&std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_ordered_as_numbers() {
        let read = |text| Version::parse(text).unwrap();
        assert_eq!(read("6.1.0-18-amd64"), Version(6, 1));
        assert!(read("5.10") < read("6.1") && read("5.6") < read("5.10"));
        assert!(Version::parse("next").is_err());
    }
}
