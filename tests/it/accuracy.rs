//! Recall against strace, for two of the applications that `cargo xtask accuracy` measures: the simplest one, and the
//! one with the longest chain of programs.

use anyhow::{Result, ensure};
use slim_tests::accuracy::measure;

fn all_that_strace_sees_is_recorded(name: &str, at_least: usize) -> Result<()> {
    let place = tempfile::tempdir()?;
    let accuracy = measure(name, place.path())?;
    ensure!(accuracy.traced.len() >= at_least, "strace saw no more than {:?}", accuracy.traced);
    ensure!(accuracy.missed().is_empty(), "strace saw, and the agent did not: {:?}", accuracy.missed());
    // The kernel opens the interpreter of a script without any call that names it.
    let unexplained: Vec<_> =
        accuracy.extra().filter(|(_, uses)| !uses.contains("interpreter") && !uses.contains("hop")).collect();
    ensure!(unexplained.is_empty(), "the agent recorded, and strace did not see: {unexplained:?}");
    Ok(())
}

#[test]
fn nginx_uses_nothing_that_is_not_recorded() -> Result<()> {
    all_that_strace_sees_is_recorded("nginx", 30)
}

#[test]
fn an_entrypoint_that_switches_users_uses_nothing_that_is_not_recorded() -> Result<()> {
    all_that_strace_sees_is_recorded("switch", 30)
}
