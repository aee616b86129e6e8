//! A daemon of a test's own: its state, socket and pins are nobody else's, and it records only containers with its label.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::agent::agent;
use crate::command::{Outcome, outcome};
use crate::docker::unique;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A daemon. It is killed with this, and its kernel programs are taken away.
#[derive(Debug)]
pub struct Daemon {
    place: TempDir,
    label: String,
    pins: PathBuf,
    manager: UnixDatagram,
    child: Option<Child>,
}

impl Daemon {
    /// A place for a daemon; `more` goes before the tables of its configuration, `tables` behind.
    pub fn prepare(more: &str, tables: &str) -> Result<Self> {
        let place = tempfile::tempdir()?;
        // Others than root are to reach the socket.
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755))?;
        let label = format!("slim.test={}", unique("daemon"));
        let at = |name: &str| place.path().join(name).display().to_string();
        let pins = Path::new("/sys/fs/bpf").join(unique("pins"));
        let config = format!(
            "state = {:?}\nsocket = {:?}\npins = {:?}\ncheckpoint = \"1s\"\n{more}\n[[watch]]\nlabel = {label:?}\n{tables}",
            at("state"),
            at("run/control.sock"),
            pins.display().to_string(),
        );
        fs::write(place.path().join("config.toml"), config)?;
        let manager = UnixDatagram::bind(place.path().join("notify"))?;
        manager.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { place, label, pins, manager, child: None })
    }

    /// Starts it with words before it (`setpriv ...`), as a service whose log is a file; ready when this returns.
    pub fn start(&mut self, before: &[&str]) -> Result<()> {
        self.begin(before)?;
        self.told("READY=1").map(drop)
    }

    /// The same without waiting until it is ready.
    pub fn begin(&mut self, before: &[&str]) -> Result<()> {
        self.forget_messages()?;
        let agent = agent()?;
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let words =
            [before, &[agent.get_program().to_str().context("the agent's path is no text")?]].concat();
        let (first, rest) = words.split_first().context("nothing to start")?;
        let mut command = Command::new(first);
        command.args(rest).args(["daemon", "--config"]).arg(self.config());
        command.env("NOTIFY_SOCKET", self.place.path().join("notify")).env("JOURNAL_STREAM", journal(&log)?);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().context("cannot start the daemon")?);
        Ok(())
    }

    /// Messages of a daemon that was killed are none of the next.
    fn forget_messages(&self) -> Result<()> {
        self.manager.set_nonblocking(true)?;
        while self.manager.recv(&mut [0; 64]).is_ok() {}
        self.manager.set_nonblocking(false).context("cannot wait for messages")
    }

    /// Whether it has told that it is ready; for a test that does not wait for it.
    pub fn is_ready(&self) -> Result<bool> {
        let mut bytes = [0; 64];
        self.manager.set_nonblocking(true)?;
        let mut ready = false;
        while let Ok(length) = self.manager.recv(&mut bytes) {
            ready |= bytes[..length].starts_with(b"READY=1");
        }
        self.manager.set_nonblocking(false)?;
        Ok(ready)
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("no daemon was started")?;
        child.kill().context("cannot kill the daemon")?;
        child.wait().context("cannot wait for the daemon").map(drop)
    }

    /// Writes its configuration anew, with `from` replaced by `to`.
    pub fn change(&self, from: &str, to: &str) -> Result<()> {
        let text = fs::read_to_string(self.config())?;
        anyhow::ensure!(text.contains(from), "no {from:?} in\n{text}");
        fs::write(self.config(), text.replace(from, to)).context("cannot write the configuration")
    }

    /// What is pinned is in this directory of a bpffs.
    pub fn pins(&self) -> &Path {
        &self.pins
    }

    /// The next message to the service manager that begins with `word`; others before it are passed over.
    pub fn told(&mut self, word: &str) -> Result<String> {
        let mut bytes = [0; 4096];
        loop {
            let length = self.manager.recv(&mut bytes).with_context(|| {
                format!("the daemon did not tell {word}; it logged:\n{}", self.log().unwrap_or_default())
            })?;
            let message = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if message.starts_with(word) {
                return Ok(message);
            }
        }
    }

    /// The label that its containers have, as an option of `docker create`.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Its configuration.
    pub fn config(&self) -> PathBuf {
        self.place.path().join("config.toml")
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.place.path().join("run/control.sock")
    }

    /// Where it keeps what it records.
    pub fn state(&self) -> PathBuf {
        self.place.path().join("state")
    }

    fn log_path(&self) -> PathBuf {
        self.place.path().join("log")
    }

    /// What it has logged, since it was started for the first time.
    pub fn log(&self) -> Result<String> {
        fs::read_to_string(self.log_path()).context("cannot read the daemon's log")
    }

    /// Its process.
    pub fn pid(&self) -> Result<u32> {
        self.child.as_ref().map(Child::id).context("no daemon was started")
    }

    /// Sends it a signal, by its name without SIG. What it told before is forgotten.
    pub fn signal(&self, name: &str) -> Result<()> {
        self.forget_messages()?;
        let words = ["-s", name, &self.pid()?.to_string()];
        outcome(Command::new("kill").args(words))?.expect(0).map(drop)
    }

    /// Waits until it ends; its exit code.
    pub fn end(&mut self) -> Result<Option<i32>> {
        let mut child = self.child.take().context("no daemon was started")?;
        Ok(child.wait().context("cannot wait for the daemon")?.code())
    }

    /// Runs a verb: `slim-agent VERB WORDS --socket SOCKET`.
    pub fn verb(&self, words: &[&str]) -> Result<Outcome> {
        outcome(agent()?.args(words).arg("--socket").arg(self.socket()))
    }

    /// Asks by curl, with words of its own besides; the HTTP status, and the body.
    pub fn curl(&self, before: &[&str], path: &str, words: &[&str]) -> Result<(u16, String)> {
        curl(before, &[&["--unix-socket", text(&self.socket())?], words].concat(), path)
    }
}

/// Asks a server; `before` is what starts curl.
pub fn curl(before: &[&str], words: &[&str], path: &str) -> Result<(u16, String)> {
    let common = ["curl", "--silent", "--show-error", "--max-time", "60", "--write-out", "\n%{http_code}"];
    let url = if path.starts_with("http") { path.to_owned() } else { format!("http://localhost{path}") };
    let words = [before, &common, words, &[&url]].concat();
    let (first, rest) = words.split_first().context("nothing to start")?;
    let said = outcome(Command::new(first).args(rest))?.expect(0)?;
    let Some((body, status)) = said.rsplit_once('\n') else { bail!("curl gave no status: {said:?}") };
    Ok((status.parse().with_context(|| format!("{status:?} is no status"))?, body.to_owned()))
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path is no text")
}

/// How systemd tells that a file is the journal.
fn journal(log: &File) -> Result<String> {
    use std::os::unix::fs::MetadataExt;
    let file = log.metadata()?;
    Ok(format!("{}:{}", file.dev(), file.ino()))
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ended = child.kill();
            let _reaped = child.wait();
        }
        // What it pinned would go on recording.
        let config = self.config();
        let _gone = agent().and_then(|mut agent| outcome(agent.args(["uninstall", "--config"]).arg(config)));
    }
}
