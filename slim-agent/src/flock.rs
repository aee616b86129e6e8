//! Locks on files, which the kernel gives back however their holder ends.

use std::fs::File;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// How long to wait for a holder that ends. A process that was killed has its files for a moment longer, and on a busy
/// host its successor may be there first.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// Takes the lock of a file.
///
/// # Errors
/// Another process has it (`EWOULDBLOCK`), or the kernel refuses.
pub fn lock(mut file: File) -> Result<Flock<File>, Errno> {
    let began = Instant::now();
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((again, Errno::EWOULDBLOCK)) if began.elapsed() < PATIENCE => file = again,
            Err((_, error)) => return Err(error),
        }
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_that_ends_is_waited_for_and_one_that_stays_is_not() {
        let place = tempfile::NamedTempFile::new().unwrap();
        let open = || File::options().write(true).open(place.path()).unwrap();
        let first = lock(open()).unwrap();
        assert_eq!(lock(open()).unwrap_err(), Errno::EWOULDBLOCK);
        let ending = thread::spawn(move || {
            thread::sleep(PAUSE * 5);
            drop(first);
        });
        assert!(lock(open()).is_ok());
        ending.join().unwrap();
    }
}
