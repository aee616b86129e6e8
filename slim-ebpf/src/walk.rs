//! Walks from a directory entry up to a root, written into a record as the components met on the way.

use slim_common::limits::{CURSOR_MASK, MAX_COMPONENTS, NAME_MAX};
use slim_common::record::{ELSEWHERE, Scratch};

use crate::config::constant;
use crate::memory::{kernel_string, load, memory, probe};

/// Mounts on top of each other that are climbed before giving up.
const MAX_MOUNTS: usize = 32;
/// What one walk may write: longer than any path that a name can spell (PATH_MAX).
const MAX_BYTES: usize = 4096;

/// What a walk left behind it, besides the bytes.
#[derive(Clone, Copy)]
pub struct Walked {
    /// Bytes written.
    pub length: u16,
    /// Device of the filesystem at the top.
    pub device: u32,
    /// The walk was given up: what is written is not a path.
    pub truncated: bool,
}

/// Walks a `struct path` at `path` through mounts, up to the root of the mount tree.
#[inline(always)]
pub fn through_mounts(scratch: *mut Scratch, path: u64) -> Walked {
    let start = cursor_of(scratch);
    let dentry = probe(path, constant!(path_dentry));
    let mount = mount_of(probe(path, constant!(path_mnt)));
    climb(scratch, dentry, mount);
    let top = memory!(scratch.top);
    Walked {
        length: (cursor_of(scratch) - start) as u16,
        device: if top == 0 { 0 } else { device_of_mount(top) },
        truncated: top == 0,
    }
}

/// Walks from `dentry` up to the root of the mount tree if it lies below that on the same filesystem, else up to the
/// root of its own filesystem. A storage driver may keep the roots of all containers on one filesystem.
#[inline(always)]
pub fn in_filesystem(scratch: *mut Scratch, dentry: u64) -> Walked {
    let start = cursor_of(scratch);
    let device = device_of(dentry);
    climb(scratch, dentry, 0);
    let top = memory!(scratch.top);
    let outside = device == memory!(scratch.header.root_dev) && top != memory!(scratch.root);
    Walked {
        length: (cursor_of(scratch) - start) as u16,
        device: if outside { ELSEWHERE } else { device },
        truncated: top == 0,
    }
}

/// Device of the filesystem that a directory entry is in.
#[inline(always)]
pub fn device_of(dentry: u64) -> u32 {
    // Not by the inode: an entry that is about to be made has none.
    probe(probe(dentry, constant!(dentry_sb)), constant!(sb_dev))
}

/// Where the next byte goes.
#[inline(always)]
pub fn cursor_of(scratch: *mut Scratch) -> usize {
    memory!(scratch.cursor) as usize & CURSOR_MASK
}

/// The one loop behind both walks; `mount` is 0 to stay inside the filesystem. Leaves the top that it reached, or 0
/// when it was given up, in the scratch value. A subprogram, so that the programs' size does not grow with its
/// callers.
#[inline(never)]
fn climb(scratch: *mut Scratch, mut dentry: u64, mut mount: u64) {
    let limit = cursor_of(scratch) + MAX_BYTES;
    memory!(scratch.top = 0);
    for _ in 0..MAX_COMPONENTS + MAX_MOUNTS {
        if mount != 0 && dentry == root_of_mount(mount) {
            let above: u64 = probe(mount, constant!(mount_parent));
            if is_top(mount, above) {
                memory!(scratch.top = mount);
                break;
            }
            dentry = probe(mount, constant!(mount_mountpoint));
            mount = above;
            continue;
        }
        let parent: u64 = probe(dentry, constant!(dentry_parent));
        if dentry == parent || dentry == 0 || mount == 0 && dentry == memory!(scratch.root) {
            memory!(scratch.top = if mount == 0 { dentry } else { 0 });
            break;
        }
        let cursor = cursor_of(scratch);
        let name = probe(dentry, constant!(dentry_name));
        // SAFETY: `data` has NAME_MAX bytes behind every cursor that CURSOR_MASK lets through.
        let written = unsafe {
            let to = (&raw mut (*scratch).data).cast::<u8>().add(cursor);
            kernel_string(to, NAME_MAX as u32, name)
        };
        if written <= 0 || cursor > limit || cursor > CURSOR_MASK - NAME_MAX {
            break;
        }
        memory!(scratch.cursor = (cursor + written as usize) as u64);
        dentry = parent;
    }
}

/// The mount that is the root of a task's mount tree. Not the mount of the task's root directory, which differs after
/// chroot(2) into another mount.
#[inline(always)]
pub fn root_mount_of(task: u64) -> u64 {
    let fs: u64 = load(task, constant!(task_fs));
    root_mount(mount_of(load(fs, constant!(fs_root) + constant!(path_mnt))))
}

#[inline(never)]
fn root_mount(mut mount: u64) -> u64 {
    for _ in 0..MAX_MOUNTS {
        let above: u64 = probe(mount, constant!(mount_parent));
        if is_top(mount, above) {
            break;
        }
        mount = above;
    }
    mount
}

/// The directory entry that is the root of a mount.
#[inline(always)]
pub fn root_of_mount(mount: u64) -> u64 {
    probe(mount, constant!(mount_mnt) + constant!(vfsmount_root))
}

/// Whether a task's mount tree is the host's: the same directory of the same filesystem is its root.
#[inline(always)]
pub fn has_host_root(task: u64) -> bool {
    let mount = root_mount_of(task);
    let inode: u64 = probe(root_of_mount(mount), constant!(dentry_inode));
    device_of_mount(mount) == constant!(host_root_dev)
        && probe::<u64>(inode, constant!(inode_ino)) == constant!(host_root_ino)
}

/// Whether nothing a process can name lies above `mount`. pivot_root(2) hangs the new root over the namespace's
/// own first mount, which nobody can reach: that one does not count. MS_MOVE hangs it over the host's root, which may
/// hang over the first mount itself.
#[inline(always)]
fn is_top(mount: u64, above: u64) -> bool {
    if above == mount || above == 0 {
        return true;
    }
    let second: u64 = probe(above, constant!(mount_parent));
    covers(mount, above)
        && (second == above
            || covers(above, second) && probe::<u64>(second, constant!(mount_parent)) == second)
}

/// Whether `mount` hides all of the mount below it.
#[inline(always)]
fn covers(mount: u64, below: u64) -> bool {
    probe::<u64>(mount, constant!(mount_mountpoint)) == root_of_mount(below)
}

/// Device of the filesystem that is mounted.
#[inline(always)]
pub fn device_of_mount(mount: u64) -> u32 {
    let sb: u64 = probe(mount, constant!(mount_mnt) + constant!(vfsmount_sb));
    probe(sb, constant!(sb_dev))
}

/// The `struct mount` around a `struct vfsmount` (real_mount, fs/mount.h).
#[inline(always)]
fn mount_of(vfsmount: u64) -> u64 {
    vfsmount.wrapping_sub(u64::from(constant!(mount_mnt)))
}
