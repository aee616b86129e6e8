//! The documented exit codes, and how an error says which one it deserves.

use std::fmt;
use std::process::ExitCode;

/// Why a command ended, as far as a calling script wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All was done.
    Ok = 0,
    /// Something failed: bad input, an engine error, a full disk, or the COMMAND of `record`.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// This host cannot do it: not root, no BTF, kernel too old.
    Host = 3,
    /// The recording has a loss, or start-up was not observed where an export needs it.
    Incomplete = 4,
    /// `watch` found something missing in the slim image, or denied by its profile.
    Missing = 5,
    /// What was asked for is not so: a slim image does not do what its original does, or an application is not known
    /// well enough.
    Unproved = 6,
    /// No daemon is running, or it cannot do it now.
    Unavailable = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that has an exit code of its own. Attached to an `anyhow` chain with [`tag`].
#[derive(Debug)]
struct Tagged {
    exit: Exit,
    message: String,
}

impl fmt::Display for Tagged {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Tagged {}

/// An error with `message` that ends the program with `exit`.
pub fn tag(exit: Exit, message: impl Into<String>) -> anyhow::Error {
    Tagged { exit, message: message.into() }.into()
}

/// The exit code for an error: that of the outermost tagged error in its chain, else [`Exit::Failed`].
pub fn code_of(error: &anyhow::Error) -> Exit {
    error.chain().find_map(|cause| cause.downcast_ref::<Tagged>()).map_or(Exit::Failed, |tagged| tagged.exit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_tag_survives_context() {
        let error = Err::<(), _>(tag(Exit::Host, "no BTF")).context("cannot record").unwrap_err();
        assert_eq!(code_of(&error), Exit::Host);
        assert_eq!(code_of(&anyhow::anyhow!("plain")), Exit::Failed);
    }
}
