//! One recording from the hooks to the manifest on the disk, for whoever decides what goes on meanwhile.

use std::path::{Path, PathBuf};

use anyhow::{Error, Result, bail};

use super::facts::{Reading, Used};
use super::lock;
use super::session::{Checkpoint, Session};
use super::target::Target;
use crate::commands::interrupt::Interrupt;
use crate::manifest::{ImageRef, Manifest, io};
use crate::probe::{Limits, Probe, Purpose, Tally, Tier};

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
    /// For a watch: the image that the manifest is about, and what is read out of the records.
    pub watch: Option<(ImageRef, Box<dyn Reading>)>,
}

/// What was recorded; the manifest is on the disk, too.
pub struct Recorded<T> {
    /// The manifest.
    pub manifest: Manifest,
    /// What became of all calls.
    pub tally: Tally,
    /// What the work beside it came to; `None` when it did not begin, because of a signal or `failure`.
    pub end: Option<T>,
    /// Why the target of a watch did not start.
    pub failure: Option<Error>,
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
    let mut session = match watch {
        None => {
            let probe = Probe::attach(Purpose::Record, &limits, tier)?;
            Session::begin(probe, target, Box::new(Used), ignore_exec, &limits)?
        }
        Some((image, reading)) => {
            let probe = Probe::attach(Purpose::Watch, &limits, tier)?;
            let mut session = Session::begin(probe, target, reading, ignore_exec, &limits)?;
            session.is_about(image);
            session
        }
    };
    let checkpoint = Checkpoint::beside(&output)?;
    let started = tokio::select! {
        biased;
        () = interrupt.arrived() => None,
        started = session.start(restart) => Some(started),
    };
    let (end, failure) = match started {
        Some(Ok(())) => {
            session.begin_checkpoints(checkpoint);
            let work = work(&session);
            (Some(session.drive(work).await?), None)
        }
        // What keeps a container from starting may be the first thing that a watch finds.
        Some(Err(error)) if session.is_watch() => (None, Some(error)),
        Some(Err(error)) => return Err(error),
        None => (None, None),
    };
    let checkpoint = session.end_checkpoints().await;
    let (manifest, tally) = session.finish()?;
    save(&output, &io::to_bytes(&manifest)?)?;
    if let Some(checkpoint) = checkpoint {
        checkpoint.remove();
    }
    Ok(Recorded { manifest, tally, end, failure })
}

/// What was recorded for days is not given up because the disk got full meanwhile.
fn save(output: &Path, bytes: &[u8]) -> Result<()> {
    let Err(error) = io::write(output, bytes) else { return Ok(()) };
    match io::rescue(bytes) {
        Ok(path) => bail!("{error:#}; the manifest was saved as {} instead", path.display()),
        Err(why) => bail!("{error:#}; {why:#}"),
    }
}
