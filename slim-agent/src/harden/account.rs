//! The account that a container of the image starts with, as the engine makes it out of `User`.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::image::{Entry, ImageSource, Kind, Names};

/// Longest file of users or groups that is read; the engine has no limit, real ones have a few KB.
const MAX_TEXT: u64 = 1 << 20;

/// Who the first process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// `User` of the image as it stands there; empty for root.
    pub spelled: String,
    /// Its id; none when the image's files do not know the name, so that no container would start.
    pub uid: Option<u32>,
    /// Its group's id.
    pub gid: Option<u32>,
    /// The groups that it is a member of besides.
    pub groups: BTreeSet<u32>,
}

impl Account {
    /// The account that `user`, an image's `User`, means in `image`.
    ///
    /// # Errors
    /// The image cannot be read.
    pub fn of(user: &str, image: &dyn ImageSource) -> Result<Self> {
        let (name, group) = user.split_once(':').map_or((user, None), |(name, group)| (name, Some(group)));
        let name = if name.is_empty() { "root" } else { name };
        let users = text(image, b"/etc/passwd")?;
        let found = rows(&users).find(|row| row.first() == Some(&name) || row.get(2) == Some(&name));
        let number = |at: usize| found.as_ref().and_then(|row| row.get(at)?.parse().ok());
        let by_itself = if name == "root" { Some(0) } else { name.parse().ok() };
        let uid = number(2).or(by_itself);
        let groups = text(image, b"/etc/group")?;
        let gid = match group {
            Some(group) => group_id(&groups, group),
            None => number(3).or(uid.map(|_| 0)),
        };
        let called = found.as_ref().and_then(|row| row.first()).copied().unwrap_or(name);
        // The engine gives no groups besides to a user whose group is named.
        let groups = if group.is_some() { BTreeSet::new() } else { memberships(&groups, called) };
        Ok(Self { spelled: user.to_owned(), uid, gid, groups })
    }

    /// Whether it is root, or may be.
    pub fn may_be_root(&self) -> bool {
        self.uid.is_none_or(|uid| uid == 0)
    }

    /// Whether permissions let it write to `entry`: as a file, or new names as a directory.
    pub fn can_write(&self, entry: &Entry) -> bool {
        let shift = match (self.uid, self.gid) {
            (None | Some(0), _) => return true,
            (Some(uid), _) if uid == entry.uid => 6,
            (_, gid) if gid.is_none_or(|gid| gid == entry.gid) || self.groups.contains(&entry.gid) => 3,
            _ => 0,
        };
        // An access list may say more than the mode.
        entry.mode >> shift & 0o2 != 0 || entry.xattrs.contains_key(b"system.posix_acl_access".as_slice())
    }

    /// Whether it may change mode and owner of `entry`.
    pub fn owns(&self, entry: &Entry) -> bool {
        self.uid.is_none_or(|uid| uid == 0 || uid == entry.uid)
    }
}

/// The rows of `/etc/passwd` and its like.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.trim().split(':').collect())
}

fn group_id(groups: &str, group: &str) -> Option<u32> {
    let found = rows(groups).find(|row| row.first() == Some(&group));
    found.and_then(|row| row.get(2)?.parse().ok()).or_else(|| group.parse().ok())
}

fn memberships(groups: &str, name: &str) -> BTreeSet<u32> {
    let of = |row: &Vec<&str>| row.get(3).is_some_and(|members| members.split(',').any(|one| one == name));
    rows(groups).filter(of).filter_map(|row| row.get(2)?.parse().ok()).collect()
}

/// A small text of the image, links followed; empty when there is none.
fn text(image: &dyn ImageSource, name: &[u8]) -> Result<String> {
    let walked = Names::new(image).walk(name, true)?;
    let found = if walked.exists { image.lookup(&walked.end)? } else { None };
    let Some(entry) = found.filter(|entry| entry.kind == Kind::File && entry.size <= MAX_TEXT) else {
        return Ok(String::new());
    };
    let bytes = image.read_at(&entry, 0, usize::try_from(entry.size)?)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::testing::Layers;

    fn image() -> Layers {
        Layers::new().layer(|dir| {
            dir.file("etc/passwd", "root:x:0:0::/:/bin/sh\nweb:x:33:34::/:/bin/sh\n")
                .file("etc/group", "root:x:0:\nweb:x:34:\nlog:x:4:adm,web\n")
                .file("own", "")
                .mode("own", 0o644)
                .dir("open")
                .mode("open", 0o1777);
        })
    }

    fn ids(user: &str) -> (Option<u32>, Option<u32>, Vec<u32>) {
        let account = Account::of(user, &image().overlay()).unwrap();
        (account.uid, account.gid, account.groups.into_iter().collect())
    }

    #[test]
    fn users_of_every_form() {
        assert_eq!(ids(""), (Some(0), Some(0), vec![]));
        assert_eq!(ids("web"), (Some(33), Some(34), vec![4]));
        assert_eq!(ids("33"), (Some(33), Some(34), vec![4]));
        assert_eq!(ids("web:log"), (Some(33), Some(4), vec![]));
        assert_eq!(ids("1000"), (Some(1000), Some(0), vec![]));
        assert_eq!(ids("1000:5"), (Some(1000), Some(5), vec![]));
        assert_eq!(ids("nobody"), (None, None, vec![]));
    }

    #[test]
    fn who_may_write() {
        let image = image();
        let source = image.overlay();
        let entry = |path: &str| source.lookup(&path.into()).unwrap().unwrap();
        for (user, own, open) in [("", true, true), ("web", false, true), ("nobody", true, true)] {
            let account = Account::of(user, &source).unwrap();
            assert_eq!(
                (account.can_write(&entry("/own")), account.can_write(&entry("/open"))),
                (own, open),
                "{user}"
            );
            assert_eq!(account.owns(&entry("/own")), own, "{user}");
        }
    }
}
