//! rustfmt and clippy, which `cargo xtask test` runs first.

use super::Gap;
use crate::cargo::cargo;
use crate::process::{command, found, run, succeeds};

/// What of the two is missing.
pub fn gap() -> Option<Gap> {
    let present = |verb: &str| succeeds(&mut cargo(&[verb, "--version"]));
    if present("fmt") && present("clippy") {
        return None;
    }
    let missing = "rustfmt or clippy, to check the sources";
    if !found("rustup") {
        return Some(Gap::by_hand(missing, "install rustfmt and clippy for the Rust toolchain in use"));
    }
    Some(Gap::fixable(missing, "run rustup component add rustfmt clippy".into(), || {
        run(&mut command("rustup", ["component", "add", "rustfmt", "clippy"]))
    }))
}
