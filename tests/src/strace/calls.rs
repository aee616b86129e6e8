//! What strace shows of each call: which arguments are names, and whether a link at their end is followed.

use super::line::Call;

/// Where a call has a name: the descriptor it starts from, if there is one, and the name itself.
pub type Place = (Option<usize>, usize);

const PLACES: &[(&str, &[Place])] = &[
    ("open creat stat lstat access chdir chroot readlink mkdir mknod rmdir unlink", &[(None, 0)]),
    ("chmod chown lchown utime utimes truncate statfs execve", &[(None, 0)]),
    ("getxattr lgetxattr listxattr llistxattr", &[(None, 0)]),
    ("setxattr lsetxattr removexattr lremovexattr", &[(None, 0)]),
    ("openat openat2 newfstatat statx faccessat faccessat2 readlinkat execveat", &[(Some(0), 1)]),
    ("mkdirat mknodat unlinkat fchmodat fchmodat2 fchownat futimesat utimensat", &[(Some(0), 1)]),
    ("name_to_handle_at", &[(Some(0), 1)]),
    ("link rename", &[(None, 0), (None, 1)]),
    ("linkat renameat renameat2", &[(Some(0), 1), (Some(2), 3)]),
    ("symlink inotify_add_watch", &[(None, 1)]),
    ("symlinkat", &[(Some(1), 2)]),
];

/// Calls that do not follow a symbolic link at the end of a name.
const KEEPING: &str = "lstat readlink readlinkat lchown lgetxattr llistxattr lsetxattr lremovexattr link linkat \
    rename renameat renameat2 unlink unlinkat rmdir mkdir mkdirat mknod mknodat symlink symlinkat name_to_handle_at";

/// Calls that use or list what is open.
pub const ON_DESCRIPTORS: &[&str] = &["getdents", "getdents64", "fchdir"];
/// Calls with something in quotes that the kernel does not look up.
pub const NAMELESS: &[&str] = &["getcwd"];
/// Calls whose address may be a path.
pub const SOCKETS: &[&str] = &["connect", "bind", "sendto", "sendmsg"];
/// Failures that do not prove that a name exists.
pub const PROVES_NOTHING: &[&str] =
    &["ENOENT", "EBADF", "EFAULT", "ENAMETOOLONG", "ENOSYS", "EINTR", "EMFILE", "ENFILE", "ENOMEM"];
/// After these, names would mean something else than what the image's names say.
pub const NEW_ROOTS: &[&str] = &["chroot", "pivot_root", "setns", "mount", "move_mount", "umount2"];

/// Where a call has its names; `None` for a call that is not known to have any.
pub fn places(name: &str) -> Option<&'static [Place]> {
    PLACES.iter().find(|(names, _)| is_one_of(names, name)).map(|(_, places)| *places)
}

/// Whether a call follows a symbolic link at the end of its name.
pub fn follows(call: &Call) -> bool {
    if is_one_of(KEEPING, &call.name) {
        return has_flag(call, "AT_SYMLINK_FOLLOW");
    }
    let exclusive = has_flag(call, "O_CREAT") && has_flag(call, "O_EXCL");
    !(exclusive || has_flag(call, "AT_SYMLINK_NOFOLLOW") || has_flag(call, "O_NOFOLLOW"))
}

/// Whether a flag stands in an argument that is no name.
pub fn has_flag(call: &Call, flag: &str) -> bool {
    let mut flags = call.args.iter().filter(|arg| !arg.starts_with('"') && !arg.contains('<'));
    flags.any(|arg| arg.split(['|', '=', ',', ' ', '{', '}']).any(|word| word == flag))
}

fn is_one_of(names: &str, name: &str) -> bool {
    names.split_whitespace().any(|one| one == name)
}
