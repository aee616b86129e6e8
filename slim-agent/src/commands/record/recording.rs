//! One recording from the hooks to the manifest on the disk, for whoever decides what goes on meanwhile.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::lock;
use super::session::{Checkpoint, Session};
use super::target::Target;
use crate::commands::interrupt::Interrupt;
use crate::manifest::{ImageRef, Manifest, io};
use crate::probe::{Limits, Probe, Purpose, Tally, Tier};
use crate::recording::{Reading, Used};

/// What is to be recorded, and how.
pub struct Request {
    /// The container or cgroup.
    pub target: Target,
    /// Where the manifest goes.
    pub output: PathBuf,
    /// Whether a running container is restarted.
    pub restart: bool,
    /// Whether what is put into the container later is left out.
    pub ignore_exec: bool,
    /// Which hooks serve.
    pub tier: Tier,
    /// What the recording can hold.
    pub limits: Limits,
    /// What is read out of the records instead of what was used.
    pub watch: Option<Watch>,
}

/// What a watch is after.
pub struct Watch {
    /// What it reads out of the records.
    pub reading: Box<dyn Reading>,
    /// The image that its manifest is about.
    pub original: ImageRef,
}

/// What was recorded; the manifest is on the disk, too.
pub struct Recorded<T> {
    /// The manifest.
    pub manifest: Manifest,
    /// What became of all calls.
    pub tally: Tally,
    /// What the work beside it came to; `None` when a signal came before it began, and an error when the target of a
    /// watch could not be started: what is missing may be the reason.
    pub end: Result<Option<T>>,
}

/// Records until the future that `work` makes ends. It is made once the target runs, and goes on beside the recording.
///
/// # Errors
/// The host cannot record, the target cannot be started, or the manifest cannot be written.
pub async fn record<T, W: Future<Output = T>>(
    request: Request,
    interrupt: &Interrupt,
    work: impl FnOnce(&Session) -> W,
) -> Result<Recorded<T>> {
    let Request { target, output, restart, ignore_exec, tier, limits, watch } = request;
    io::check_writable(&output)?;
    let _lock = lock::acquire(target.key(), target.name())?;
    let (purpose, reading, original): (_, Box<dyn Reading>, _) = match watch {
        None => (Purpose::Record, Box::new(Used), None),
        Some(Watch { reading, original }) => (Purpose::Watch, reading, Some(original)),
    };
    let probe = Probe::attach(purpose, &limits, tier)?;
    let mut session = Session::begin(probe, target, reading, ignore_exec, &limits)?;
    if let Some(original) = original {
        session.is_about(original);
    }
    let end = match observe(&mut session, restart, &output, interrupt, work).await {
        Err(error) if purpose != Purpose::Watch => return Err(error),
        end => end,
    };
    let checkpoint = session.end_checkpoints().await;
    let (manifest, tally) = session.finish()?;
    save(&output, &io::to_bytes(&manifest)?)?;
    if let Some(checkpoint) = checkpoint {
        checkpoint.remove();
    }
    Ok(Recorded { manifest, tally, end })
}

/// Starts the target, and what goes on beside it.
async fn observe<T, W: Future<Output = T>>(
    session: &mut Session,
    restart: bool,
    output: &Path,
    interrupt: &Interrupt,
    work: impl FnOnce(&Session) -> W,
) -> Result<Option<T>> {
    let checkpoint = Checkpoint::beside(output)?;
    tokio::select! {
        biased;
        () = interrupt.arrived() => return Ok(None),
        started = session.start(restart) => started?,
    }
    session.begin_checkpoints(checkpoint);
    let work = work(session);
    session.drive(work).await.map(Some)
}

/// What was recorded for days is not given up because the disk got full meanwhile.
fn save(output: &Path, bytes: &[u8]) -> Result<()> {
    let Err(error) = io::write(output, bytes) else { return Ok(()) };
    match io::rescue(bytes) {
        Ok(path) => bail!("{error:#}; the manifest was saved as {} instead", path.display()),
        Err(why) => bail!("{error:#}; {why:#}"),
    }
}
