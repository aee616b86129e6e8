//! Ground truth: each program of `tests/programs` is in the manifest with what its comment says, and with nothing
//! else. All run in one recording; each has a test of its own, so that a failure has a name.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Result, anyhow, bail, ensure};
use slim_tests::oddities::{self, Recorded, Verdict};
use slim_tests::{agent, outcome};

/// The recording, made by whichever test comes first.
fn recorded() -> Result<&'static Recorded> {
    static RECORDED: OnceLock<Result<Recorded, String>> = OnceLock::new();
    let recorded = RECORDED.get_or_init(|| oddities::in_container().map_err(|error| format!("{error:#}")));
    recorded.as_ref().map_err(|error| anyhow!("the programs were not recorded: {error}"))
}

fn is_seen(name: &str) -> Result<()> {
    match recorded()?.verdicts.get(name) {
        Some(Verdict::Passed) => Ok(()),
        Some(Verdict::Absent(since)) => bail!("{name} needs Linux {since}: run the tests on a newer kernel"),
        Some(Verdict::Failed(faults)) => bail!("{name}:\n  {}", faults.join("\n  ")),
        None => bail!("there is no tests/programs/{name}.c"),
    }
}

/// One test for each program, under the name of its source.
macro_rules! programs {
    ($($name:ident)+) => {
        const PROGRAMS: &[&str] = &[$(stringify!($name)),+];
        $(#[test]
        fn $name() -> Result<()> {
            is_seen(stringify!($name))
        })+
    };
}

programs! {
    access_denied
    bind_over
    capability_files
    capability_ids
    capability_memory
    capability_port
    chroot_inside
    chroot_relative
    connect_inet6
    connect_nonblocking
    creat
    cwd_deleted
    cwd_moved
    dangling_link
    dlopen
    dotdot_past_link
    exclusive_exists
    exec_refused
    exec_relative
    exec_script_chain
    exec_script_link
    execveat_memfd
    execveat_path_fd
    fd_passing
    flags_differ
    fork_chain
    getdents
    hard_links
    held_by_parent
    i386
    inotify
    link
    links_three
    listen_any_port
    listen_tcp6
    metadata
    mkdir_exists
    mmap_after_close
    musl
    name_255
    name_bytes
    open
    open_by_handle
    open_path_only
    openat2_beneath
    openat2_in_root
    openat2_no_symlinks
    openat2_write
    openat_dirfd
    path_4095
    readlink
    relative_chdir
    relative_fchdir
    rename
    reopened
    sendmmsg
    sendmsg
    sendto
    setns_child
    short_lives
    slashes_repeated
    stat_empty_path
    stat_family
    statfs
    temporary_file
    threads_200
    tmpfs_over
    trailing_slash
    truncate
    unix_abstract
    unix_refused
    unix_socket
    udp_server
    unlink
    unshare_bind
    uring_connect
    uring_entries
    uring_hard_links
    uring_open
    uring_open_how
    uring_polled
    uring_refused
    uring_send
    uring_statx
    utimensat
    vfork_exec
    wrong_kinds
    xattr
}

#[test]
fn nothing_is_seen_that_no_program_did() -> Result<()> {
    is_seen("driver")
}

#[test]
fn every_program_has_a_test() -> Result<()> {
    let programs: BTreeSet<String> = oddities::all()?.into_iter().map(|oddity| oddity.name).collect();
    let tests = PROGRAMS.iter().map(|name| (*name).to_owned()).collect();
    ensure!(programs == tests, "only one of both has {:?}", programs.symmetric_difference(&tests));
    Ok(())
}

#[test]
fn a_bare_cgroup_with_a_root_of_its_own_gives_the_same() -> Result<()> {
    let root = tempfile::tempdir()?;
    oddities::lay_down(root.path())?;
    let mut program = Command::new(env!("CARGO_BIN_EXE_oddities"));
    program.arg("--agent").arg(agent()?.get_program()).arg("--root").arg(root.path());
    let outcome = outcome(&mut program)?;
    let faults: Vec<&str> = outcome.stdout.lines().filter(|line| !line.starts_with("ok ")).collect();
    ensure!(outcome.code == Some(0), "{}\n{}", faults.join("\n"), outcome.stderr);
    Ok(())
}
