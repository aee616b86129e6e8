//! What containers do while the daemon comes and goes: all of it is known afterwards.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use slim_tests::{BASE, Container, Daemon, docker, output};

/// System calls that nothing else here makes, in the order in which the load makes them.
const CALLS: [(&str, u32); 20] = [
    ("getsid", 124),
    ("getpriority", 140),
    ("getrusage", 98),
    ("sysinfo", 99),
    ("times", 100),
    ("getcpu", 309),
    ("sched_yield", 24),
    ("sched_getscheduler", 145),
    ("sched_get_priority_max", 146),
    ("sched_get_priority_min", 147),
    ("capget", 125),
    ("alarm", 37),
    ("sync_file_range", 277),
    ("fdatasync", 75),
    ("flock", 73),
    ("getitimer", 36),
    ("sched_rr_get_interval", 148),
    ("eventfd", 284),
    ("timerfd_create", 283),
    ("inotify_init", 253),
];

/// A container that opens a new name every few milliseconds, executes one in twenty, and now and then makes a system
/// call for the first time. It says at the end how far it came.
const SCRIPT: &str = r#"
$SIG{TERM} = sub { $stop = 1 };
mkdir "/data";
for ($n = 0; !$stop; $n++) {
    open(F, ">", "/data/o-$n");
    close(F);
    if ($n % 20 == 7) { link("/usr/bin/true", "/data/x-$n"); system("/data/x-$n"); }
    if ($n % EVERY == 0 && @ARGV) { syscall(int(shift @ARGV), 0, 0, 0, 0); $calls++; }
    select(undef, undef, undef, 0.02);
}
print "$n $calls\n";
"#;

/// The labels of containers that a daemon records for a profile.
pub struct Labels {
    daemon: String,
    profile: String,
}

impl Labels {
    /// Those for one daemon and profile.
    pub fn of(daemon: &Daemon, profile: &str) -> Self {
        Self { daemon: daemon.label().to_owned(), profile: format!("slim.profile={profile}") }
    }

    /// Options of `docker create`; without a network, for that is made sooner.
    pub fn options(&self) -> [&str; 6] {
        ["--network", "none", "--label", &self.daemon, "--label", &self.profile]
    }
}

/// The load.
pub struct Load(Container);

/// What it did.
pub struct Done {
    /// Paths that it opened, and that it executed.
    pub paths: BTreeSet<String>,
    /// System calls that it made for the first time while it ran.
    pub calls: BTreeSet<String>,
}

impl Load {
    /// Begins; a call is made for the first time with every `every`th path.
    pub fn begin(labels: &Labels, every: u32) -> Result<Self> {
        let script = SCRIPT.replace("EVERY", &every.to_string());
        let numbers: Vec<String> = CALLS.iter().map(|(_, number)| number.to_string()).collect();
        let mut words = vec!["perl", "-e", &script];
        words.extend(numbers.iter().map(String::as_str));
        Ok(Self(Container::run(BASE, &labels.options(), &words)?))
    }

    /// Its container.
    pub fn container(&self) -> &Container {
        &self.0
    }

    /// Ends it.
    pub fn end(&self) -> Result<Done> {
        docker(&["kill", "--signal", "TERM", self.0.name()])?;
        ensure!(self.0.wait()? == 0, "the load failed: {}", self.0.logs()?);
        let said = self.0.logs()?;
        let (opened, called) = said.trim().split_once(' ').with_context(|| format!("it said {said:?}"))?;
        let (opened, called): (u32, usize) = (opened.parse()?, called.parse()?);
        let executed =
            (0..opened).filter(|number| number % 20 == 7).map(|number| format!("/data/x-{number}"));
        let paths = (0..opened).map(|number| format!("/data/o-{number}")).chain(executed).collect();
        let calls = CALLS.iter().take(called).map(|(name, _)| (*name).to_owned()).collect();
        Ok(Done { paths, calls })
    }
}

/// A container that lives shortly, and opens a path of its own.
pub struct Short {
    /// The container.
    pub container: Container,
    /// The path.
    pub path: String,
}

impl Short {
    /// Starts one, and does not wait for it.
    pub fn start(labels: &Labels, number: usize) -> Result<Self> {
        let path = format!("/born-{number}");
        let script = format!(": > {path}");
        let container = Container::run(BASE, &labels.options(), &["sh", "-c", &script])?;
        Ok(Self { container, path })
    }

    /// The same, and waits until it has ended.
    pub fn run(labels: &Labels, number: usize) -> Result<Self> {
        let short = Self::start(labels, number)?;
        ensure!(short.container.wait()? == 0);
        Ok(short)
    }
}

/// Removes many containers by one command: each for itself takes longer than it lived.
pub fn remove(shorts: &[Short]) -> Result<()> {
    let names = shorts.iter().map(|short| short.container.name());
    output(Command::new("docker").args(["rm", "--force"]).args(names)).map(drop)
}
