//! From calls to accesses: which names the application used with success, or with a failure that proves that they
//! exist.

use anyhow::{Context, Result, bail, ensure};

use super::calls::{NAMELESS, NEW_ROOTS, ON_DESCRIPTORS, PROVES_NOTHING, SOCKETS, follows, has_flag, places};
use super::line::{Call, Outcome};
use super::processes::Processes;
use super::text::{annotated, quoted};

/// A name that the application used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// From the root; symbolic links, `.` and `..` as they were given.
    pub name: Vec<u8>,
    /// Whether a symbolic link at its end was followed.
    pub follow: bool,
}

/// The accesses of the application: what comes before its first program is the container runtime's.
pub fn accesses(calls: &[Call]) -> Result<Vec<Access>> {
    let start = application(calls)?;
    let mut processes = Processes::of(calls)?;
    let mut found = Vec::new();
    for (index, call) in calls.iter().enumerate() {
        processes.note(call)?;
        if index < start {
            continue;
        }
        let succeeded = matches!(call.outcome, Outcome::Value(_));
        if succeeded && (NEW_ROOTS.contains(&call.name.as_str()) || has_flag(call, "CLONE_NEWNS")) {
            bail!(
                "the application changes its root or mounts with {call:?}: names cannot be followed any more"
            );
        }
        if proves(call) {
            found.extend(named(call, &mut processes).with_context(|| format!("in {call:?}"))?);
            found.extend(reached(call)?);
        }
    }
    Ok(found)
}

/// Where the application begins: with the program executed after the step into the container's root.
fn application(calls: &[Call]) -> Result<usize> {
    let succeeded = |call: &&Call| matches!(call.outcome, Outcome::Value(_));
    let find = |name: &str, from: usize| {
        let mut after = calls.iter().enumerate().skip(from);
        after.find(|(_, call)| call.name == name && succeeded(call)).map(|(index, _)| index)
    };
    let root =
        find("pivot_root", 0).context("no pivot_root: the trace does not show how the container began")?;
    find("execve", root).context("no program was executed in the container")
}

fn proves(call: &Call) -> bool {
    match &call.outcome {
        Outcome::Value(_) => true,
        Outcome::Error(error) => !PROVES_NOTHING.contains(&error.as_str()),
        Outcome::Unknown => false,
    }
}

/// The names that a call was given.
fn named(call: &Call, processes: &mut Processes) -> Result<Vec<Access>> {
    let name = call.name.as_str();
    if ON_DESCRIPTORS.contains(&name) {
        return Ok(open_path(argument(call, 0)?)?.into_iter().collect());
    }
    if SOCKETS.contains(&name) {
        return socket(call, processes);
    }
    let Some(places) = places(name) else {
        let spelled = call.args.iter().find(|arg| arg.starts_with('"'));
        ensure!(
            spelled.is_none() || NAMELESS.contains(&name),
            "a call with a name that this harness does not know"
        );
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for (start, place) in places {
        let start = start.map(|start| argument(call, start)).transpose()?;
        let spelled = argument(call, *place)?;
        let is_null = spelled == "NULL" || spelled == "\"\"";
        if is_null {
            found.extend(start.map(open_path).transpose()?.flatten());
        } else {
            let name = absolute(call.pid, start, quoted(spelled)?, processes)?;
            found.push(Access { name, follow: follows(call) });
        }
    }
    Ok(found)
}

fn absolute(pid: u32, start: Option<&str>, name: Vec<u8>, processes: &mut Processes) -> Result<Vec<u8>> {
    if name.starts_with(b"/") {
        return Ok(name);
    }
    let directory = match start {
        Some(start) => annotated(start)?.with_context(|| format!("a name that starts from {start}"))?,
        None => processes.directory(pid)?.to_vec(),
    };
    Ok([&directory, b"/".as_slice(), &name].concat())
}

/// A socket's path: `{sa_family=AF_UNIX, sun_path="/run/x"}`; abstract ones begin with `@` before the quotes.
fn socket(call: &Call, processes: &mut Processes) -> Result<Vec<Access>> {
    let address = call.args.iter().find_map(|arg| arg.split_once("sun_path=\""));
    let Some((_, rest)) = address else { return Ok(Vec::new()) };
    let (path, _) = rest.split_once("\"}").context("expected the end of a socket's address")?;
    let name = absolute(call.pid, None, quoted(&format!("\"{path}\""))?, processes)?;
    Ok(vec![Access { name, follow: true }])
}

/// What a call opened: the kernel tells the file behind every name.
fn reached(call: &Call) -> Result<Option<Access>> {
    match &call.outcome {
        Outcome::Value(value) => open_path(value),
        Outcome::Error(_) | Outcome::Unknown => Ok(None),
    }
}

fn open_path(descriptor: &str) -> Result<Option<Access>> {
    Ok(annotated(descriptor)?.map(|name| Access { name, follow: false }))
}

fn argument(call: &Call, index: usize) -> Result<&str> {
    call.args.get(index).map(String::as_str).with_context(|| format!("no argument {index}"))
}

#[cfg(test)]
mod tests {
    use super::super::line::calls;
    use super::*;

    /// The accesses of an application that makes these calls, `~` before a name whose last link is kept.
    fn used(trace: &str) -> Result<Vec<String>> {
        let runtime = "1 openat(AT_FDCWD</host>, \"/host/x\", 0) = 3</host/x>\n1 pivot_root(\".\", \".\") = 0\n\
                       1 chdir(\"/srv\") = 0\n1 execve(\"/app\", [...], 0x1) = 0\n";
        let found = accesses(&calls((runtime.to_owned() + trace).as_bytes())?)?;
        let spelled = |access: &Access| {
            let mark = if access.follow { "" } else { "~" };
            format!("{mark}{}", String::from_utf8_lossy(&access.name))
        };
        Ok(found.iter().skip(1).map(spelled).collect())
    }

    #[test]
    fn the_runtimes_own_accesses_do_not_count_and_the_first_program_does() {
        let trace = "1 access(\"/host\", 0) = 0\n1 pivot_root(\".\", \".\") = 0\n1 access(\"/runtime\", 0) = 0\n\
                     1 execve(\"/absent\", [...]) = -1 ENOENT (No)\n1 execve(\"/app\", [...]) = 0";
        let found = accesses(&calls(trace.as_bytes()).unwrap()).unwrap();
        assert_eq!(found, [Access { name: b"/app".to_vec(), follow: true }]);
        assert!(accesses(&calls(b"1 execve(\"/app\", [...]) = 0".as_slice()).unwrap()).is_err());
    }

    #[test]
    fn an_open_tells_its_name_and_the_file_reached() {
        let open = "1 openat(4</etc>, \"a\", O_RDONLY|O_CLOEXEC) = 3</usr/b>\n1 open(\"c\", O_RDONLY|O_NOFOLLOW) = 3";
        assert_eq!(used(open).unwrap(), ["/etc/a", "~/usr/b", "~/srv/c"]);
    }

    #[test]
    fn failures_count_when_they_prove_that_the_name_exists() {
        let trace = "1 mkdir(\"/run\", 0755) = -1 EEXIST (File exists)\n1 access(\"/x\", 0) = -1 ENOENT (No)\n\
                     1 readlink(\"/bin\", 0x1, 9) = -1 EINVAL (Invalid argument)\n1 exit(0) = ?";
        assert_eq!(used(trace).unwrap(), ["~/run", "~/bin"]);
    }

    #[test]
    fn calls_with_two_names_empty_names_and_lists_are_understood() {
        let trace = "1 linkat(5</a>, \"x\", AT_FDCWD</srv>, \"y\", AT_SYMLINK_FOLLOW) = 0\n\
                     1 newfstatat(5</a/f>, \"\", {st_mode=0}, AT_EMPTY_PATH) = 0\n\
                     1 getdents64(5</a>, 0x1 /* 3 entries */, 9) = 96\n1 symlink(\"to\", \"at\") = 0\n\
                     1 utimensat(6</a/g>, NULL, NULL, 0) = 0";
        let expected = ["/a/x", "/srv/y", "~/a/f", "~/a", "~/srv/at", "~/a/g"];
        assert_eq!(used(trace).unwrap(), expected);
    }

    #[test]
    fn a_socket_is_known_by_its_path() {
        let trace = "1 connect(4<socket:[1]>, {sa_family=AF_UNIX, sun_path=\"run/x\"}, 110) = 0\n\
                     1 connect(4<socket:[1]>, {sa_family=AF_UNIX, sun_path=@\"abstract\"}, 20) = 0\n\
                     1 bind(5<socket:[2]>, {sa_family=AF_INET, sin_port=htons(80)}, 16) = 0";
        assert_eq!(used(trace).unwrap(), ["/srv/run/x"]);
    }

    #[test]
    fn what_cannot_be_followed_is_an_error() {
        assert!(used("1 chroot(\"/jail\") = 0").is_err());
        assert!(used("1 unshare(CLONE_NEWNS|CLONE_FS) = 0").is_err());
        assert!(used("1 newcall(\"/x\") = 0").is_err());
        assert!(used("1 chroot(\"/jail\") = -1 EPERM (Operation not permitted)").is_ok());
    }
}
