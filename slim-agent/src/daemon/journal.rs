//! What a recording has seen since its last checkpoint: a fact a line, in the order in which they came.
//!
//! A fact is in the journal before the kernel's record of it is taken as read. write(2) to a file outlives the process
//! that made it, so nothing is lost when the daemon is killed; what the disk has when the host loses power is the last
//! checkpoint, and whatever of the journal the kernel had written back.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use crate::resolve::Fact;

/// Longest line that is read back: a fact with two paths, each byte escaped, is far shorter.
const LONGEST: usize = 1 << 20;

/// The journal of one recording. It is begun anew with each checkpoint; what an older one holds stays until the
/// checkpoint is on the disk.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    number: u64,
    /// Opened when there is something to write.
    file: Option<File>,
    bytes: u64,
    /// Why the last facts are not in it.
    broken: Option<io::Error>,
}

impl Journal {
    /// The journal in a recording's directory, behind those that are there already.
    pub fn in_dir(dir: &Path) -> Self {
        let number = numbers(dir).last().map_or(0, |last| last + 1);
        Self { dir: dir.to_owned(), number, file: None, bytes: 0, broken: None }
    }

    /// Bytes written since the last checkpoint.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Why facts since the last checkpoint are in memory only.
    pub fn broken(&self) -> Option<&io::Error> {
        self.broken.as_ref()
    }

    /// Adds facts. Should the disk not take them, they are in memory only until the next checkpoint, and so are all that
    /// follow: a journal with a gap would pass for a whole one.
    pub fn append(&mut self, facts: &[Fact]) {
        if self.broken.is_some() || facts.is_empty() {
            return;
        }
        if let Err(error) = self.write(facts) {
            self.broken = Some(error);
        }
    }

    fn write(&mut self, facts: &[Fact]) -> io::Result<()> {
        let mut lines = Vec::new();
        for fact in facts {
            serde_json::to_writer(&mut lines, fact)?;
            lines.push(b'\n');
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(File::create_new(path(&self.dir, self.number))?),
        };
        file.write_all(&lines)?;
        self.bytes += lines.len() as u64;
        Ok(())
    }

    /// Begins a new one, for what comes after a checkpoint that is being put together; the number up to which
    /// journals are in that checkpoint.
    pub fn begin_next(&mut self) -> u64 {
        let last = self.number;
        self.number += 1;
        (self.file, self.bytes, self.broken) = (None, 0, None);
        last
    }

    /// Says that a checkpoint did not reach the disk: what it held is in memory only, if a journal before had a gap.
    pub fn still_broken(&mut self, error: io::Error) {
        self.broken.get_or_insert(error);
    }
}

/// Removes the journals up to `last`: a checkpoint on the disk has what they hold.
pub fn remove_up_to(dir: &Path, last: u64) {
    for number in numbers(dir).into_iter().filter(|number| *number <= last) {
        let _gone = fs::remove_file(path(dir, number));
    }
}

/// All facts in a recording's journals. A last line without its end was being written when the daemon was killed: the
/// kernel side still has the record, and tells it again.
///
/// # Errors
/// A journal cannot be read.
pub fn replay(dir: &Path, mut take: impl FnMut(Fact)) -> io::Result<()> {
    for number in numbers(dir) {
        let mut lines = BufReader::new(File::open(path(dir, number))?);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = io::Read::take(&mut lines, LONGEST as u64).read_until(b'\n', &mut line)?;
            if read == 0 || line.last() != Some(&b'\n') {
                break;
            }
            match serde_json::from_slice(&line) {
                Ok(fact) => take(fact),
                Err(error) => tracing::warn!("a line of journal {number} was left out: {error}"),
            }
        }
    }
    Ok(())
}

fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("journal.{number}"))
}

/// Numbers of the journals in a directory, in their order.
fn numbers(dir: &Path) -> Vec<u64> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let number = |entry: fs::DirEntry| {
        let name = entry.file_name();
        name.to_str()?.strip_prefix("journal.")?.parse::<u64>().ok()
    };
    let mut numbers: Vec<u64> = entries.filter_map(number).collect();
    numbers.sort_unstable();
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Origin, PathBytes, Phase, Use};
    use crate::resolve::Object;
    use proptest::prelude::*;

    fn opened(path: &[u8]) -> Fact {
        let path = PathBytes::new(path);
        let by = Some(path.clone());
        let object = Object::Path { path, origin: Origin::Image, usage: Use::Open };
        Fact { object, by, phase: Phase::App, time_ns: 7 }
    }

    fn replayed(dir: &Path) -> Vec<Fact> {
        let mut facts = Vec::new();
        replay(dir, |fact| facts.push(fact)).unwrap();
        facts
    }

    #[test]
    fn facts_come_back_in_their_order_without_what_a_checkpoint_has() {
        let dir = tempfile::tempdir().unwrap();
        let socket = Object::Socket {
            address: "inet 127.0.0.1:80".into(),
            usage: "bind".into(),
            protocol: Some("tcp".into()),
        };
        let socket = Fact { object: socket, ..opened(b"/a") };
        let capability = Fact { object: Object::Capability("CAP_CHOWN".into()), ..opened(b"/a") };
        let mut journal = Journal::in_dir(dir.path());
        journal.append(&[opened(b"/a"), socket.clone()]);
        let last = journal.begin_next();
        journal.append(std::slice::from_ref(&capability));
        assert_eq!(replayed(dir.path()), [opened(b"/a"), socket, capability.clone()]);
        remove_up_to(dir.path(), last);
        assert_eq!(replayed(dir.path()), [capability]);
    }

    #[test]
    fn a_line_that_was_cut_by_a_kill_is_left_out_and_the_next_daemon_goes_on_behind_it() {
        let dir = tempfile::tempdir().unwrap();
        Journal::in_dir(dir.path()).append(&[opened(b"/a"), opened(b"/b")]);
        let file = path(dir.path(), 0);
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, &bytes[..bytes.len() - 3]).unwrap();
        Journal::in_dir(dir.path()).append(&[opened(b"/c")]);
        assert_eq!(replayed(dir.path()), [opened(b"/a"), opened(b"/c")]);
    }

    #[test]
    fn a_journal_that_the_disk_did_not_take_says_so_until_the_next_begins() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("gone");
        let mut journal = Journal::in_dir(&gone);
        journal.append(&[opened(b"/a")]);
        assert!(journal.broken().is_some());
        fs::create_dir(&gone).unwrap();
        journal.append(&[opened(b"/b")]);
        assert_eq!(replayed(&gone), []);
        journal.begin_next();
        journal.append(&[opened(b"/c")]);
        assert_eq!(replayed(&gone), [opened(b"/c")]);
    }

    proptest! {
        #[test]
        fn any_name_comes_back(names in proptest::collection::vec(proptest::collection::vec(1..=255_u8, 1..40), 1..5)) {
            let dir = tempfile::tempdir().unwrap();
            let facts: Vec<Fact> = names.iter().map(|name| opened(name)).collect();
            Journal::in_dir(dir.path()).append(&facts);
            prop_assert_eq!(replayed(dir.path()), facts);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let dir = tempfile::tempdir().unwrap();
            fs::write(path(dir.path(), 0), bytes).unwrap();
            replayed(dir.path());
        }
    }
}
