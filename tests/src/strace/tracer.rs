//! strace on a container, from the container's first instruction to the end of a check.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::access::{Access, accesses};
use super::freezer::Freezer;
use super::line::calls;
use super::names::mount_points;
use crate::command::output;
use crate::container::Container;
use crate::corpus::Corpus;
use crate::wait::wait_until;

/// What is traced: all calls with names, what makes processes, and what uses a directory that is open.
const CALLS: &str =
    "trace=%file,%process,fchdir,getdents,getdents64,connect,bind,sendto,sendmsg,setns,unshare";

/// What a container did under strace while its check ran.
#[derive(Debug)]
pub struct Traced {
    /// The names that the application used.
    pub accesses: Vec<Access>,
    /// Where something was mounted over the image.
    pub mounts: Vec<PathBuf>,
}

/// Runs a container of `image` under strace, and its check; the trace is left in `trace`.
pub fn traced(image: &Corpus, trace: &Path) -> Result<Traced> {
    let freezer = Freezer::new()?;
    let container = Container::create(&image.tag(), &[&freezer.option()], &[])?;
    let frozen = freezer.freeze()?;
    let mut starting = Starting::of(&container)?;
    let strace = Strace::attach(freezer.first_process()?, trace)?;
    frozen.thaw()?;
    starting.end()?;
    image.check(&container)?;
    let mountinfo = format!("/proc/{}/mountinfo", container.pid()?);
    let mounts = fs::read_to_string(&mountinfo).with_context(|| format!("cannot read {mountinfo}"))?;
    strace.detach()?;
    let file = File::open(trace).with_context(|| format!("cannot open {}", trace.display()))?;
    let calls = calls(BufReader::new(file))?;
    Ok(Traced { accesses: accesses(&calls)?, mounts: mount_points(&mounts) })
}

/// `docker start`, which does not end before the frozen container goes on.
struct Starting(Child);

impl Starting {
    fn of(container: &Container) -> Result<Self> {
        let mut command = Command::new("docker");
        command.args(["start", container.name()]).stdin(Stdio::null()).stdout(Stdio::null());
        command.spawn().map(Self).context("cannot run docker")
    }

    fn end(&mut self) -> Result<()> {
        let status = self.0.wait().context("cannot wait for docker start")?;
        ensure!(status.success(), "docker start ended with {status}");
        Ok(())
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        // Only the client: what it asked for goes on. It has ended already unless something failed before.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// A running strace. It lets go of its processes when this goes out of scope; should it be killed, the kernel does.
struct Strace {
    child: Child,
}

impl Strace {
    /// Attaches to a process, and returns once the kernel says that it is traced.
    fn attach(pid: u32, trace: &Path) -> Result<Self> {
        // setpriv becomes strace, and has it let go when this process is killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "INT", "strace"]);
        // Names are printed whole whatever -s says; the content of buffers is of no interest.
        command.args(["-f", "-y", "--decode-pids=pidns", "-s", "0", "--quiet=attach,personality"]);
        command.args(["-e", "signal=none", "-e", CALLS, "-o"]).arg(trace).args(["-p", &pid.to_string()]);
        let child = command.stdin(Stdio::null()).spawn().context("cannot run strace: cargo xtask setup")?;
        let mut strace = Self { child };
        let tracer = format!("TracerPid:\t{}\n", strace.child.id());
        let status = format!("/proc/{pid}/status");
        wait_until("strace attaches to the container", || {
            if let Some(ended) = strace.child.try_wait().context("cannot ask for strace's state")? {
                bail!("strace ended with {ended}: may this user trace other processes?");
            }
            Ok(fs::read_to_string(&status).is_ok_and(|text| text.contains(&tracer)))
        })?;
        Ok(strace)
    }

    fn detach(mut self) -> Result<()> {
        self.let_go()
    }

    fn let_go(&mut self) -> Result<()> {
        if self.child.try_wait().context("cannot ask for strace's state")?.is_none() {
            output(Command::new("kill").args(["-s", "INT", &self.child.id().to_string()]))?;
        }
        self.child.wait().map(drop).context("cannot wait for strace")
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        let _ended = self.let_go();
    }
}
