//! Many containers at once: what the daemon takes for them, above all while they do nothing. `cargo xtask soak` looks
//! longer, and at more of them.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use slim_tests::{BASE, Container, Daemon, wait_until};

const CONTAINERS: u64 = 30;
/// Of them, those that are started by one thread.
const TOGETHER: u64 = 10;
/// Memory for each of them, KiB. A small one takes a tenth of it.
const MOST_KIB: u64 = 512;
/// Ticks of processor time (hundredths of a second) in ten seconds in which nothing happens.
const MOST_TICKS: u64 = 50;

fn start(label: &str) -> Result<Vec<Container>> {
    let words = ["--label", label, "--label", "slim.profile=crowd"];
    let script = "cat /etc/debian_version; exec sleep 1000";
    (0..TOGETHER).map(|_| Container::run(BASE, &words, &["sh", "-c", script])).collect()
}

fn of_process(daemon: &Daemon, file: &str) -> Result<String> {
    fs::read_to_string(format!("/proc/{}/{file}", daemon.pid()?)).context("cannot look at the daemon")
}

/// Its own memory, without its file's pages: KiB.
fn memory(daemon: &Daemon) -> Result<u64> {
    let status = of_process(daemon, "status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).context("no RssAnon")
}

/// Its processor time, in ticks: the 14th and 15th field of proc_pid_stat(5).
fn ticks(daemon: &Daemon) -> Result<u64> {
    let stat = of_process(daemon, "stat")?;
    let (_, fields) = stat.rsplit_once(')').context("no name")?;
    fields.split(' ').skip(12).take(2).map(|field| field.parse::<u64>().context("no number")).sum()
}

#[test]
fn thirty_containers_take_little_memory_and_hardly_any_time_while_they_do_nothing() -> Result<()> {
    let mut daemon = Daemon::prepare("", "")?;
    daemon.start(&[])?;
    let alone = memory(&daemon)?;
    let threads = (0..CONTAINERS / TOGETHER).map(|_| {
        let label = daemon.label().to_owned();
        thread::spawn(move || start(&label))
    });
    let threads: Vec<_> = threads.collect();
    let started =
        threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a thread broke down"))?);
    let containers: Vec<Vec<Container>> = started.collect::<Result<_>>()?;
    let metrics = || Ok::<_, anyhow::Error>(daemon.curl(&[], "/metrics", &[])?.1);
    wait_until("all of them are recorded", || {
        let metrics = metrics()?;
        let active = metrics.lines().find(|line| line.starts_with("slim_agent_profile_active_recordings{"));
        Ok(active.is_some_and(|line| line.ends_with(&format!(" {CONTAINERS}"))))
    })?;
    let each = memory(&daemon)?.saturating_sub(alone) / CONTAINERS;
    ensure!(each < MOST_KIB, "{each} KiB for each container");

    let before = ticks(&daemon)?;
    thread::sleep(Duration::from_secs(10));
    let took = ticks(&daemon)? - before;
    ensure!(took < MOST_TICKS, "{took} hundredths of a second in ten seconds");
    let metrics = metrics()?;
    let losses = metrics.lines().filter(|line| line.starts_with("slim_agent_losses_total{"));
    let lost: Vec<&str> = losses.filter(|line| !line.ends_with(" 0")).collect();
    ensure!(lost.is_empty() && metrics.contains("slim_agent_losses_total{"), "{lost:?}");
    println!("{each} KiB for each container, {took} ticks in ten seconds");
    drop(containers);
    Ok(())
}
