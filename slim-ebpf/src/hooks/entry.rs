//! Entries of directories that were removed, made and renamed, whoever asked for it: the second tier.
//!
//! The security hooks come before the outcome is known, but after it is known that the entry is there, or can be made. mknod(2) is not
//! here: io_uring has none, and its hook also tells of files made by an open.

use aya_ebpf::macros::fentry;
use aya_ebpf::programs::FEntryContext;
use slim_common::counters::hook;
use slim_common::record::met;

use super::file::{begin, reached};

/// An entry is removed: the second argument, in the directory that is the first.
#[fentry(function = "security_path_unlink")]
pub fn security_path_unlink(ctx: FEntryContext) -> i32 {
    changes(hook::UNLINK, ctx.arg(1))
}

/// A directory is removed.
#[fentry(function = "security_path_rmdir")]
pub fn security_path_rmdir(ctx: FEntryContext) -> i32 {
    changes(hook::RMDIR, ctx.arg(1))
}

/// A directory is made.
#[fentry(function = "security_path_mkdir")]
pub fn security_path_mkdir(ctx: FEntryContext) -> i32 {
    changes(hook::MKDIR, ctx.arg(1))
}

/// A symbolic link is made.
#[fentry(function = "security_path_symlink")]
pub fn security_path_symlink(ctx: FEntryContext) -> i32 {
    changes(hook::SYMLINK, ctx.arg(1))
}

/// A hard link is made: arguments are the old entry, the new one's directory, and the new one.
#[fentry(function = "security_path_link")]
pub fn security_path_link(ctx: FEntryContext) -> i32 {
    changes(hook::HARD_LINK, ctx.arg(0));
    changes(hook::HARD_LINK, ctx.arg(2))
}

/// An entry is renamed: arguments are the old directory and entry, and the new ones.
#[fentry(function = "security_path_rename")]
pub fn security_path_rename(ctx: FEntryContext) -> i32 {
    changes(hook::RENAME, ctx.arg(1));
    changes(hook::RENAME, ctx.arg(3))
}

#[inline(always)]
fn changes(counting: u32, dentry: u64) -> i32 {
    if let Some(draft) = begin(counting, met::CHANGED) {
        reached(draft, dentry);
    }
    0
}
