//! One recording of all programs: in a container, or in a bare cgroup with a directory as root.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::check::{Verdict, check};
use super::directive::Oddity;
use super::jail::{Jail, Meeting};
use super::kernel::Version;
use super::{DRIVER, HOME, all, laid};
use crate::agent::record_script;
use crate::cgroup::Cgroup;
use crate::command::Outcome;
use crate::container::Container;
use crate::docker::{Tag, docker};
use crate::manifest::Manifest;

/// Exit code of a recording that is not complete: programs use what no hook sees, and say so.
const INCOMPLETE: i32 = 4;
/// What the driver says when all programs have ended.
pub const DONE: &str = "done";

/// A recording of all programs, compared with what they say.
#[derive(Debug)]
pub struct Recorded {
    /// Each program by its name; what belongs to none is the driver's.
    pub verdicts: BTreeMap<String, Verdict>,
}

/// Records all programs of `tests/programs` in a container of their own image.
///
/// # Errors
/// They cannot be compiled, or the recording fails as a whole.
pub fn in_container() -> Result<Recorded> {
    let oddities = all()?;
    let place = tempfile::tempdir().context("cannot make a temporary directory")?;
    let (archive, path) = (place.path().join("root.tar"), place.path().join("m.json"));
    laid::write_archive(&oddities, &archive)?;
    let image = Tag::new("oddities");
    docker(&["import", &archive.to_string_lossy(), image.name()])?;
    let possible = possible(&oddities)?;
    let options = [
        "--network=none",
        "--cap-add=SYS_ADMIN",
        "--cap-add=DAC_READ_SEARCH",
        "--security-opt=seccomp=unconfined",
        "--security-opt=apparmor=unconfined",
    ];
    let driver = format!("{HOME}/{DRIVER}/{DRIVER}");
    let command: Vec<&str> = [driver.as_str()].into_iter().chain(names(&possible)).collect();
    let container = Container::create(image.name(), &options, &command)?;
    let wait = format!(
        "until docker logs \"$SLIM_CONTAINER_ID\" 2>&1 | grep -qx {DONE}; do \
        test \"$(docker inspect --format '{{{{.State.Running}}}}' \"$SLIM_CONTAINER_ID\")\" = true; sleep 0.1; done"
    );
    let outcome = record_script(&[container.name()], &path, &wait)?;
    let said = container.logs()?;
    judged(&oddities, &possible, outcome, &path, &said, None)
}

/// Records all programs of a root directory made by [`super::lay_down`], in a bare cgroup, with the agent at `agent`
/// and `record --tier TIER`; a copy of the manifest goes to `dump`.
///
/// # Errors
/// The recording fails as a whole.
pub fn in_jail(agent: &Path, root: &Path, tier: Option<&str>, dump: Option<&Path>) -> Result<Recorded> {
    let oddities = laid::read_laid_down(root)?;
    let possible = possible(&oddities)?;
    let place = tempfile::tempdir().context("cannot make a temporary directory")?;
    let path = place.path().join("m.json");
    let cgroup = Cgroup::new()?;
    let mut jail = Jail::open(root, &cgroup, names(&possible))?;
    let meeting = Meeting::arrange(place.path())?;
    let mut command = Command::new(agent);
    command.args(["record", "--cgroup", cgroup.path(), "-o"]).arg(&path);
    command.args(tier.iter().flat_map(|tier| ["--tier", tier]));
    command.arg("--").arg(std::env::current_exe().context("cannot tell where this program is")?);
    command.arg("--conduct").arg(meeting.address());
    let mut recording = command.spawn().with_context(|| format!("cannot run {}", agent.display()))?;
    let conductor = meeting.wait(&mut recording)?;
    let said = jail.run()?;
    drop(conductor);
    let code = recording.wait().context("cannot wait for the agent")?.code();
    drop(jail);
    if let Some(dump) = dump {
        std::fs::copy(&path, dump).with_context(|| format!("cannot write {}", dump.display()))?;
    }
    let outcome = Outcome { code, stdout: String::new(), stderr: "see above".to_owned() };
    judged(&oddities, &possible, outcome, &path, &said, tier)
}

/// What a recording has as its COMMAND: it says that the recording has begun, and ends when the programs have.
///
/// # Errors
/// Nobody waits at `address`.
pub fn conduct(address: &Path) -> Result<()> {
    let mut meeting = UnixStream::connect(address).context("cannot say that the recording has begun")?;
    meeting.read_to_end(&mut Vec::new()).context("cannot wait for the programs").map(drop)
}

/// The programs that this kernel can run.
fn possible(oddities: &[Oddity]) -> Result<Vec<&Oddity>> {
    let kernel = Version::running()?;
    Ok(oddities.iter().filter(|oddity| oddity.since.is_none_or(|since| since <= kernel)).collect())
}

fn names<'a>(oddities: &'a [&Oddity]) -> impl Iterator<Item = &'a str> {
    oddities.iter().map(|oddity| oddity.name.as_str())
}

fn judged(
    oddities: &[Oddity],
    possible: &[&Oddity],
    outcome: Outcome,
    manifest: &Path,
    said: &str,
    tier: Option<&str>,
) -> Result<Recorded> {
    ensure!(
        matches!(outcome.code, Some(0 | INCOMPLETE)),
        "the recording failed: {outcome:?}; the driver said: {said}"
    );
    ensure!(said.lines().any(|line| line == DONE), "the driver broke off; it said: {said}");
    let manifest = Manifest::read(manifest)?;
    let tier = tier.unwrap_or(manifest.tier()?);
    let mut faults = check(possible, &manifest, tier)?;
    let of_driver = faults.pop().unwrap_or_default();
    let absent = oddities
        .iter()
        .filter_map(|oddity| Some((oddity.name.clone(), Verdict::Absent(oddity.since?.to_string()))));
    let mut verdicts: BTreeMap<String, Verdict> = absent.collect();
    for (oddity, mut faults) in possible.iter().zip(faults) {
        faults.splice(0..0, failure(&oddity.name, said));
        verdicts.insert(oddity.name.clone(), verdict(faults));
    }
    verdicts.insert(DRIVER.to_owned(), verdict(of_driver));
    Ok(Recorded { verdicts })
}

fn verdict(faults: Vec<String>) -> Verdict {
    if faults.is_empty() { Verdict::Passed } else { Verdict::Failed(faults) }
}

/// How a program failed by itself, from what the driver and it said.
fn failure(name: &str, said: &str) -> Option<String> {
    if said.lines().any(|line| line == format!("{name} exited 0")) {
        return None;
    }
    let about = |line: &&str| line.starts_with(&format!("{name}: ")) || line.starts_with(&format!("{name} "));
    let lines: Vec<&str> = said.lines().filter(about).collect();
    Some(format!("the program itself failed: {}", lines.join("; ")))
}
