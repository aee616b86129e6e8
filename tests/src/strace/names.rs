//! Names walked in an image: the symbolic links on the way and what is at the end, as path_resolution(7) says.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use super::access::Access;
use crate::layer::Kind;
use crate::tree::Tree;

/// The kernel follows no more links than these for one name.
const MOST_LINKS: usize = 40;

/// What a container sees of its image: all but what lies under mounts.
#[derive(Debug)]
pub struct Visible<'a> {
    image: &'a Tree,
    mounts: Vec<PathBuf>,
}

impl<'a> Visible<'a> {
    /// The image of a container with these mount points.
    pub fn new(image: &'a Tree, mounts: Vec<PathBuf>) -> Self {
        Self { image, mounts }
    }

    /// Which entries of the image an access needs, from the root: none for what was made at run time.
    pub fn needed(&self, access: &Access) -> Vec<PathBuf> {
        let follow = access.follow || access.name.ends_with(b"/");
        let mut ahead = parts(&access.name);
        let (mut at, mut needed) = (PathBuf::from("/"), Vec::new());
        while let Some(part) = ahead.pop_front() {
            if part == ".." {
                at.pop();
                continue;
            }
            let here = at.join(&part);
            let Some(kind) = self.kind(&here) else { return needed };
            match kind {
                Kind::Symlink(target) if follow || !ahead.is_empty() => {
                    needed.push(here);
                    if needed.len() > MOST_LINKS {
                        return needed;
                    }
                    if target.is_absolute() {
                        at = PathBuf::from("/");
                    }
                    parts(target.as_os_str().as_bytes())
                        .into_iter()
                        .rev()
                        .for_each(|part| ahead.push_front(part));
                }
                Kind::Directory => at = here,
                // The end; or what is no directory, and so ends a walk too (ENOTDIR).
                _ => {
                    needed.push(here);
                    return needed;
                }
            }
        }
        // Every image has a root.
        if at != Path::new("/") {
            needed.push(at);
        }
        needed
    }

    fn kind(&self, path: &Path) -> Option<&Kind> {
        let hidden = self.mounts.iter().any(|mount| path.starts_with(mount));
        self.image.get(path).filter(|_| !hidden).map(|entry| &entry.kind)
    }
}

fn parts(name: &[u8]) -> VecDeque<OsString> {
    let own = |part: Component<'_>| match part {
        Component::Normal(part) => Some(part.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    Path::new(OsStr::from_bytes(name)).components().filter_map(own).collect()
}

/// The mount points of /proc/PID/mountinfo, but for the root.
pub fn mount_points(mountinfo: &str) -> Vec<PathBuf> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    points.filter(|point| *point != "/").map(|point| PathBuf::from(plain(point))).collect()
}

/// Blanks and backslashes are octal there.
fn plain(point: &str) -> OsString {
    let spelled = [(r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", r"\")];
    let plain = spelled.iter().fold(point.to_owned(), |text, (escape, plain)| text.replace(escape, plain));
    OsString::from_vec(plain.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::{layer, merged};

    fn needed(name: &str, follow: bool) -> Vec<String> {
        let links =
            [("lib", "=> usr/lib"), ("usr/lib/abs", "=> /lib/c"), ("loop", "=> loop"), ("data/l", "=> /etc")];
        let files = [
            ("usr/", ""),
            ("usr/lib/", ""),
            ("usr/lib/c", "1"),
            ("etc/", ""),
            ("data/", ""),
            ("data/f", "1"),
        ];
        let image = merged(&[layer(&files), layer(&links)]);
        let visible = Visible::new(&image, vec!["/data".into()]);
        let access = Access { name: name.as_bytes().to_vec(), follow };
        visible.needed(&access).iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn links_on_the_way_and_the_end_are_needed() {
        assert_eq!(needed("/lib/abs", true), ["/lib", "/usr/lib/abs", "/lib", "/usr/lib/c"]);
        assert_eq!(needed("/lib/abs", false), ["/lib", "/usr/lib/abs"]);
        assert_eq!(needed("/lib", false), ["/lib"]);
        assert_eq!(needed("/lib/", false), ["/lib", "/usr/lib"]);
        assert_eq!(needed("//etc/.././usr", true), ["/usr"]);
        assert_eq!(needed("/lib/../lib/c", true), ["/lib", "/usr/lib/c"]);
    }

    #[test]
    fn what_the_image_does_not_have_is_not_needed_but_what_led_there_is() {
        assert_eq!(needed("/lib/new", true), ["/lib"]);
        assert_eq!(needed("/usr/lib/c/x", true), ["/usr/lib/c"]);
        assert!(needed("/data/f", true).is_empty() && needed("/data/l", true).is_empty());
        assert!(needed("/", true).is_empty());
        assert!(needed("/loop", true).iter().all(|path| path == "/loop"));
    }

    #[test]
    fn mount_points_are_read_as_the_kernel_spells_them() {
        let table = "1 0 0:1 / / rw - overlay overlay rw\n2 1 0:2 / /my\\040data rw - ext4 /dev/vda rw\n";
        assert_eq!(mount_points(table), [PathBuf::from("/my data")]);
    }
}
