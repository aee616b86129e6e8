//! Who is at the other end of a unix socket, and whether they may ask.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::libc;
use nix::unistd::geteuid;
use tokio::net::UnixStream;

/// Groups that are read at first; more are read when there are.
const FEW: usize = 64;

/// The user and groups that a peer had when it connected. What it does with its process afterwards changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    uid: u32,
    groups: Vec<u32>,
}

impl Peer {
    /// Asks the kernel.
    ///
    /// # Errors
    /// The socket is none that has a peer.
    pub fn of(stream: &UnixStream) -> io::Result<Self> {
        let known = stream.peer_cred()?;
        // The primary group is not among the supplementary ones as a rule.
        let mut groups = supplementary(std::os::fd::AsFd::as_fd(stream))?;
        groups.push(known.gid());
        Ok(Self { uid: known.uid(), groups })
    }

    /// Root may ask, so may the user that the daemon runs as, and members of `group`.
    pub fn may_ask(&self, group: Option<u32>) -> bool {
        self.uid == 0
            || self.uid == geteuid().as_raw()
            || group.is_some_and(|group| self.groups.contains(&group))
    }
}

/// `SO_PEERGROUPS` of unix(7).
fn supplementary(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups = vec![0_u32; FEW];
    loop {
        let mut bytes = u32::try_from(size_of_val(groups.as_slice())).map_err(io::Error::other)?;
        // SAFETY: the buffer has as many bytes as are told, and the kernel writes no more; both outlive the call.
        let result = unsafe {
            let to = groups.as_mut_ptr().cast();
            libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERGROUPS, to, &mut bytes)
        };
        let count = bytes as usize / size_of::<u32>();
        if result == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        // The length tells what it would have taken.
        if error.raw_os_error() != Some(libc::ERANGE) || count <= groups.len() {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::{getegid, getgroups};

    #[test]
    fn only_root_the_own_user_and_the_group_may_ask() {
        let peer = |uid, groups: &[u32]| Peer { uid, groups: groups.to_vec() };
        assert!(peer(0, &[]).may_ask(None));
        assert!(peer(geteuid().as_raw(), &[]).may_ask(None));
        let other = u32::MAX - 7;
        assert!(!peer(other, &[0, 5]).may_ask(None));
        assert!(!peer(other, &[0, 5]).may_ask(Some(6)));
        assert!(peer(other, &[0, 5]).may_ask(Some(5)));
    }

    #[tokio::test]
    async fn the_kernel_tells_who_it_is() {
        let (one, _other) = UnixStream::pair().unwrap();
        let peer = Peer::of(&one).unwrap();
        assert_eq!(peer.uid, geteuid().as_raw());
        let mut own: Vec<u32> = getgroups().unwrap().into_iter().map(|group| group.as_raw()).collect();
        own.push(getegid().as_raw());
        assert_eq!(peer.groups, own);
    }
}
