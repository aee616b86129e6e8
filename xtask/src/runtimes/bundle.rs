//! A bundle of the OCI runtime specification, and the ways in which a runtime can start its program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::process::{command, output, run};

/// Ends at once, or with an argument never.
const PROGRAM: &str =
    "#include <unistd.h>\nint main(int count, char **args) { if (count > 1) pause(); return 0; }\n";

/// How long a container may take to be made.
const PATIENCE: Duration = Duration::from_secs(30);

/// What changes what a runtime does after it installed the filter.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    no_new_privileges: bool,
    /// User 1000 with supplementary groups, else root.
    user: bool,
    pub terminal: bool,
    directory: &'static str,
}

impl Way {
    /// Every combination.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..16).map(|bits| Self {
            no_new_privileges: bits & 1 != 0,
            user: bits & 2 != 0,
            terminal: bits & 4 != 0,
            directory: if bits & 8 != 0 { "/tmp" } else { "/" },
        })
    }

    /// The specification's `process`.
    fn process(self, args: &[&str]) -> Value {
        // What Docker grants: programs that change their user need some of them.
        let granted = [
            "CAP_AUDIT_WRITE",
            "CAP_CHOWN",
            "CAP_DAC_OVERRIDE",
            "CAP_FOWNER",
            "CAP_FSETID",
            "CAP_KILL",
            "CAP_MKNOD",
            "CAP_NET_BIND_SERVICE",
            "CAP_NET_RAW",
            "CAP_SETFCAP",
            "CAP_SETGID",
            "CAP_SETPCAP",
            "CAP_SETUID",
            "CAP_SYS_CHROOT",
        ];
        let user = match self.user {
            true => json!({ "uid": 1000, "gid": 1000, "additionalGids": [1000, 1001] }),
            false => json!({ "uid": 0, "gid": 0, "additionalGids": [0, 1] }),
        };
        json!({
            "terminal": self.terminal, "user": user, "args": args, "env": ["PATH=/"], "cwd": self.directory,
            "capabilities": { "bounding": granted, "effective": granted, "permitted": granted },
            "noNewPrivileges": self.no_new_privileges,
        })
    }
}

/// A bundle with one static program, for one runtime, and a container of it that others are put into.
pub struct Bundle {
    runtime: &'static str,
    place: PathBuf,
    held: String,
}

impl Bundle {
    /// Makes it in `place`, where nothing else may be.
    pub fn make(runtime: &'static str, place: &Path) -> Result<Self> {
        let _absent = fs::remove_dir_all(place);
        for directory in ["bundle/rootfs/proc", "bundle/rootfs/dev", "bundle/rootfs/tmp"] {
            let path = place.join(directory);
            fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        }
        fs::write(place.join("program.c"), PROGRAM).context("cannot write the program")?;
        let mut compile = command("gcc", ["-static", "-O", "-o"]);
        run(compile.arg(place.join("bundle/rootfs/program")).arg(place.join("program.c")))?;
        let bundle =
            Self { runtime, place: place.to_owned(), held: format!("slim-xtask-{}", std::process::id()) };
        bundle.hold().context("cannot start a container to put processes into")?;
        Ok(bundle)
    }

    /// A traced `run`: where its trace is.
    pub fn run(&self, way: &Way) -> Result<PathBuf> {
        self.configure(&way.process(&["/program"]))?;
        let name = format!("{}-run", self.held);
        self.trace(way, &["run", "--bundle", &self.file("bundle"), &name])
    }

    /// A traced `create`, and a `start` once that waits for it, as engines do it: where its trace is. Not for ways with a
    /// terminal, which somebody would have to receive.
    pub fn create(&self, way: &Way) -> Result<PathBuf> {
        self.configure(&way.process(&["/program"]))?;
        let name = format!("{}-create", self.held);
        let (line, traces) = self.strace(&["create", "--bundle", &self.file("bundle"), &name])?;
        let mut traced = command(&line[0], &line[1..]);
        let mut traced =
            traced.stdin(Stdio::null()).stdout(Stdio::null()).spawn().context("cannot run strace")?;
        let began = Instant::now();
        let is_created = || {
            let state =
                output(command(self.runtime, ["state", &name]).stderr(Stdio::null())).unwrap_or_default();
            serde_json::from_str::<Value>(&state).is_ok_and(|state| state["status"] == "created")
        };
        while !is_created() {
            ensure!(began.elapsed() < PATIENCE, "{name} is not created after {} s", PATIENCE.as_secs());
            std::thread::sleep(Duration::from_millis(20));
        }
        run(&mut command(self.runtime, ["start", &name]))?;
        // It ends with the container's program.
        ensure!(
            traced.wait().context("cannot wait for strace")?.success(),
            "strace of {} failed",
            self.runtime
        );
        run(&mut command(self.runtime, ["delete", "--force", &name]))?;
        Ok(traces)
    }

    /// A traced `exec`: where its trace is.
    pub fn exec(&self, way: &Way) -> Result<PathBuf> {
        let process = self.file("process.json");
        fs::write(&process, way.process(&["/program"]).to_string()).context("cannot write process.json")?;
        self.trace(way, &["exec", "--process", &process, &self.held])
    }

    /// Starts the container that stays.
    fn hold(&self) -> Result<()> {
        let still = Way { no_new_privileges: false, user: false, terminal: false, directory: "/" };
        self.configure(&still.process(&["/program", "stay"]))?;
        let mut start = Command::new(self.runtime);
        start.args(["run", "--detach", "--bundle", &self.file("bundle"), &self.held]);
        // What it inherits it holds open, and a pipe to us would never end.
        run(start.stdin(Stdio::null()).stdout(Stdio::null()))
    }

    fn configure(&self, process: &Value) -> Result<()> {
        let mount = |kind: &str, at: &str| json!({ "destination": at, "type": kind, "source": kind });
        let config = json!({
            "ociVersion": "1.0.2",
            "process": process,
            "root": { "path": "rootfs" },
            "mounts": [
                mount("proc", "/proc"), mount("tmpfs", "/dev"),
                { "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance", "ptmxmode=0666"] },
            ],
            "linux": {
                "namespaces": [{ "type": "pid" }, { "type": "mount" }, { "type": "ipc" }, { "type": "uts" }, { "type": "network" }],
                // A filter that lets everything through that a runtime could need.
                "seccomp": {
                    "defaultAction": "SCMP_ACT_ALLOW",
                    "syscalls": [{ "names": ["kexec_load"], "action": "SCMP_ACT_ERRNO" }],
                },
            },
        });
        fs::write(self.file("bundle/config.json"), config.to_string()).context("cannot write config.json")
    }

    /// Runs the runtime under strace, with a terminal of its own where the way asks for one.
    fn trace(&self, way: &Way, words: &[&str]) -> Result<PathBuf> {
        let (line, traces) = self.strace(words)?;
        let mut traced = match way.terminal {
            // None of the words has a space in it.
            true => command("script", ["--quiet", "--return", "--command", &line.join(" "), "/dev/null"]),
            false => command(&line[0], &line[1..]),
        };
        output(traced.stdin(Stdio::null())).map(|_| traces)
    }

    /// The command line, and where its traces will be.
    fn strace(&self, words: &[&str]) -> Result<(Vec<String>, PathBuf)> {
        let traces = self.place.join("traces");
        let _absent = fs::remove_dir_all(&traces);
        fs::create_dir_all(&traces).context("cannot make a directory for traces")?;
        let into = traces.join("t").display().to_string();
        let strace =
            ["strace", "-ff", "-ttt", "--decode-pids=pidns", "--signal=none", "-o", &into, self.runtime];
        let line = strace.iter().chain(words).map(|&word| word.to_owned()).collect();
        Ok((line, traces))
    }

    fn file(&self, name: &str) -> String {
        self.place.join(name).display().to_string()
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        if let Err(error) = run(&mut command(self.runtime, ["delete", "--force", &self.held])) {
            eprintln!("warning: {error:#}");
        }
    }
}
