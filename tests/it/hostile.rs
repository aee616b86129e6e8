//! Containers that work against their recording: names without end, names that are commands to a terminal, loops of
//! links, bombs of processes. The agent stays small, and other recordings stay complete.

use anyhow::{Context, Result, ensure};
use slim_tests::{BASE, Background, Container, Manifest, record_until_it_exits, wait_until};

/// What an agent may take at the most, in MiB: see the README.
const BOUND: u64 = 512;

/// Largest size that a process ever had, in MiB (proc_pid_status(5)).
fn peak(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1024)
}

/// Makes and removes files of 210,000 names that no other program asks for.
const NAMES: &str = "for my $n (1..210000) { open(my $f, '>', \"/tmp/$n\"); close $f; unlink \"/tmp/$n\"; }";

#[test]
fn names_without_end_leave_the_agent_small_and_other_recordings_complete() -> Result<()> {
    let hostile = Container::create(BASE, &["--network", "none"], &["perl", "-e", NAMES])?;
    let script = "while ! [ -e /tmp/stop ]; do cat /etc/issue > /dev/null; sleep 0.05; done";
    let other = Container::create(BASE, &["--network", "none"], &["sh", "-c", script])?;
    let mut beside = Background::record(&[other.name()], &[])?;
    wait_until("the other container runs", || Ok(other.inspect()?["State"]["Running"] == true))?;
    let mut recording = Background::record(&[hostile.name()], &[])?;
    let mut largest = 0;
    while recording.runs()? {
        largest = peak(recording.pid()?).unwrap_or(largest);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let outcome = recording.end()?;
    println!("{largest} MiB; {}", outcome.stderr);
    ensure!(largest > 0 && largest < BOUND, "the agent took {largest} MiB");
    let manifest = Manifest::read(&recording.manifest())?;
    ensure!(manifest.recording()?["complete"] == false && outcome.code == Some(4), "{}", outcome.stderr);
    // How many come through in time decides which bound is met first: that of the ring, or that of the names.
    let said = ["uses of new names were left out", "accesses were not delivered"];
    ensure!(said.iter().any(|reason| outcome.stderr.contains(reason)), "{}", outcome.stderr);

    slim_tests::docker(&["exec", other.name(), "touch", "/tmp/stop"])?;
    beside.end()?.expect(0)?;
    let manifest = Manifest::read(&beside.manifest())?;
    manifest.whole()?;
    ensure!(manifest.uses("/etc/issue").contains("open"));
    Ok(())
}

#[test]
fn names_that_command_a_terminal_do_not_reach_it() -> Result<()> {
    let script = "printf x > \"$(printf '/tmp/\\033[2Jred\\nline')\"; mkdir /tmp/loop; ln -s loop /tmp/loop/loop; ln -s a /tmp/b; \
        ln -s b /tmp/a; cat /tmp/a /tmp/loop/loop/loop/x 2> /dev/null; cat /etc/issue > /dev/null";
    let container = Container::create(BASE, &["--network", "none"], &["sh", "-c", script])?;
    let place = tempfile::tempdir()?;
    let path = place.path().join("m.json");
    let outcome = record_until_it_exits(&[container.name()], &path)?;
    ensure!(!outcome.stderr.contains('\u{1b}'), "{:?}", outcome.stderr);
    let manifest = Manifest::read(&path)?;
    manifest.whole()?;
    ensure!(
        manifest.uses("/tmp/\u{1b}[2Jred\nline").contains("write"),
        "{:?}",
        manifest.paths().collect::<Vec<_>>()
    );
    ensure!(manifest.uses("/etc/issue").contains("open"), "what came after the loops is missing");
    Ok(())
}

#[test]
fn a_bomb_of_processes_is_recorded_to_its_end() -> Result<()> {
    let bomb = "bomb() { cat /etc/issue > /dev/null 2>&1; [ $1 -gt 0 ] && { bomb $(($1 - 1)) & bomb $(($1 - 1)) & }; wait; }; \
        bomb 9 2> /dev/null; exit 0";
    let container =
        Container::create(BASE, &["--network", "none", "--pids-limit", "100"], &["sh", "-c", bomb])?;
    let place = tempfile::tempdir()?;
    let path = place.path().join("m.json");
    record_until_it_exits(&[container.name()], &path)?.expect(0)?;
    let manifest = Manifest::read(&path)?;
    manifest.whole()?;
    ensure!(manifest.phases("/etc/issue") == ["app"].into(), "{:?}", manifest.phases("/etc/issue"));
    Ok(())
}
