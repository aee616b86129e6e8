//! The driver in a root of its own, and how it and a recording wait for each other.

use std::io::{BufRead, BufReader, PipeReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use super::run::DONE;
use super::{DRIVER, HOME};
use crate::cgroup::Cgroup;
use crate::wait::wait_until;

/// The driver in its jail. It ends when this goes out of scope.
pub struct Jail {
    driver: Child,
    output: BufReader<PipeReader>,
}

impl Jail {
    /// Starts it, and waits until it is in the cgroup.
    pub fn open<'a>(root: &Path, cgroup: &Cgroup, names: impl Iterator<Item = &'a str>) -> Result<Self> {
        let (output, input) = std::io::pipe().context("cannot make a pipe")?;
        let path = root.join(format!("{HOME}/{DRIVER}/{DRIVER}").trim_start_matches('/'));
        let mut command = Command::new(&path);
        command.arg("--jail").arg(root).arg(Path::new(cgroup.path()).join("cgroup.procs")).args(names);
        command.stdin(Stdio::piped()).stderr(input.try_clone().context("cannot copy a pipe")?).stdout(input);
        let driver = command.spawn().with_context(|| format!("cannot run {}", path.display()))?;
        // The command holds the pipe's other end.
        drop(command);
        let mut jail = Self { driver, output: BufReader::new(output) };
        jail.read_until("ready")?;
        Ok(jail)
    }

    /// Lets the programs run; what they and the driver said.
    pub fn run(&mut self) -> Result<String> {
        let input = self.driver.stdin.as_mut().context("the driver has no standard input")?;
        input.write_all(b"\n").context("the driver is gone")?;
        self.read_until(DONE)
    }

    fn read_until(&mut self, last: &str) -> Result<String> {
        let mut said = String::new();
        let mut line = Vec::new();
        while said.lines().last() != Some(last) {
            line.clear();
            if self.output.read_until(b'\n', &mut line).context("cannot listen to the driver")? == 0 {
                bail!("the driver ended before it was {last}; it said: {said}");
            }
            said.push_str(&String::from_utf8_lossy(&line));
        }
        Ok(said)
    }
}

impl Drop for Jail {
    fn drop(&mut self) {
        // The end of its standard input ends it; a kill makes sure of it.
        drop(self.driver.stdin.take());
        let _ended = self.driver.kill();
        let _reaped = self.driver.wait();
    }
}

/// Where the recording's COMMAND says that the recording has begun.
pub struct Meeting {
    listener: UnixListener,
    address: PathBuf,
}

impl Meeting {
    /// Waits from now on, at an address in the directory `place`.
    pub fn arrange(place: &Path) -> Result<Self> {
        let address = place.join("begun");
        let listener = UnixListener::bind(&address).context("cannot listen for the recording's begin")?;
        listener.set_nonblocking(true).context("cannot listen without waiting")?;
        Ok(Self { listener, address })
    }

    /// What COMMAND is told.
    pub fn address(&self) -> &Path {
        &self.address
    }

    /// The connection to COMMAND, which ends with it.
    pub fn wait(&self, recording: &mut Child) -> Result<UnixStream> {
        let mut conductor = None;
        wait_until("the recording begins", || {
            if let Some(status) = recording.try_wait().context("cannot look at the agent")? {
                bail!("the agent ended before the programs ran: {status}");
            }
            conductor = self.listener.accept().ok().map(|(stream, _)| stream);
            Ok(conductor.is_some())
        })?;
        conductor.context("nobody said that the recording has begun")
    }
}
