//! The cgroup v2 hierarchy as the file system shows it: where a process is, and who else is there.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};

/// Where the v2 hierarchy is mounted: `/sys/fs/cgroup`, or `/sys/fs/cgroup/unified` beside v1 hierarchies.
///
/// # Errors
/// It is mounted nowhere, or only a part of it is.
pub fn mount_point() -> Result<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").context("cannot read /proc/self/mountinfo")?;
    v2_mount(&table).context(
        "no cgroup v2 hierarchy is mounted: mount it with `mount -t cgroup2 none /sys/fs/cgroup/unified`",
    )
}

/// The directory of the cgroup that process `pid` is in.
///
/// # Errors
/// There is no such process, or no v2 hierarchy that it belongs to.
pub fn of_process(pid: u32) -> Result<PathBuf> {
    let file = format!("/proc/{pid}/cgroup");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
    let path = v2_path(&text).with_context(|| format!("{file} names no cgroup v2 hierarchy"))?;
    // A process in a cgroup below this program's own cgroup namespace root is spelled with `..`.
    ensure!(!path.split('/').any(|part| part == ".."), "process {pid} is outside of this cgroup namespace");
    Ok(mount_point()?.join(path.trim_start_matches('/')))
}

/// The cgroup that a runtime made for the container `id`, found by its name: for when the runtime cannot be asked.
pub fn of_container(id: &str) -> Option<PathBuf> {
    tree(&mount_point().ok()?).into_iter().find(|dir| is_of(dir, id))
}

/// The cgroup that a runtime made for the container `id`, one of whose processes is `pid`. That may be in a cgroup below:
/// crun puts it there under systemd, and a systemd in the container puts itself there.
///
/// From inside a cgroup namespace, as the agent's own pod has one, the path of a process outside cannot be told: the
/// container's name finds it, where the host's hierarchy is mounted.
///
/// # Errors
/// As [`of_process`].
pub fn around_process(pid: u32, id: &str) -> Result<PathBuf> {
    let dir = match of_process(pid) {
        Ok(dir) => dir,
        Err(error) => return of_container(id).ok_or(error),
    };
    let whole = dir.ancestors().find(|dir| is_of(dir, id)).map(Path::to_owned);
    Ok(whole.unwrap_or(dir))
}

/// Whether a cgroup is, by its name, that of the container `id`: `ID`, `RUNTIME-ID.scope`, or podman's `libpod-ID` on hosts
/// without systemd. The kernel side has the same rule. `libpod-conmon-ID.scope` and the like hold monitors, which
/// are no part of a container.
fn is_of(dir: &Path, id: &str) -> bool {
    let Some(name) = dir.file_name().and_then(OsStr::to_str) else { return false };
    let Some(before) = name.strip_suffix(".scope").unwrap_or(name).strip_suffix(id) else { return false };
    !id.is_empty() && (before.is_empty() || before.ends_with('-') && !before.ends_with("-conmon-"))
}

/// The kernel's id of a cgroup, as `bpf_get_current_cgroup_id` tells it: the inode number of its directory.
///
/// # Errors
/// The directory does not exist.
pub fn id(dir: &Path) -> Result<u64> {
    let metadata = fs::metadata(dir).with_context(|| format!("cannot look at cgroup {}", dir.display()))?;
    Ok(metadata.ino())
}

/// The directory if it is a cgroup of the v2 hierarchy, in its canonical form.
///
/// # Errors
/// It does not exist, is not a directory, or belongs to something else than cgroup v2.
pub fn validate(path: &Path) -> Result<PathBuf> {
    let dir = fs::canonicalize(path).with_context(|| format!("no such cgroup {}", path.display()))?;
    ensure!(dir.is_dir(), "{} is not a directory: name a cgroup's directory", path.display());
    let kind = statfs(&dir).with_context(|| format!("cannot look at {}", path.display()))?.filesystem_type();
    if kind != CGROUP2_SUPER_MAGIC {
        let hint =
            mount_point().map_or_else(|error| error.to_string(), |at| format!("look below {}", at.display()));
        bail!("{} is not a cgroup of the v2 hierarchy: {hint}", path.display());
    }
    Ok(dir)
}

/// The cgroup itself and all cgroups below it, parents first. One that vanishes meanwhile is left out.
pub fn tree(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![dir.to_owned()];
    let mut next = 0;
    while next < found.len() {
        let entries = fs::read_dir(&found[next]).into_iter().flatten().flatten();
        let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let mut below: Vec<_> = below.map(|entry| entry.path()).collect();
        below.sort();
        found.append(&mut below);
        next += 1;
    }
    found
}

/// The processes in the cgroup and in all below it, sorted. In a threaded cgroup they are listed at its domain root.
pub fn processes(dir: &Path) -> Vec<u32> {
    let files = tree(dir).into_iter().filter_map(|dir| fs::read_to_string(dir.join("cgroup.procs")).ok());
    let mut pids: Vec<u32> = files.flat_map(|text| parse_pids(&text)).collect();
    pids.sort_unstable();
    pids.dedup();
    pids
}

/// The path after `0::` of `/proc/PID/cgroup`: cgroups(7).
fn v2_path(text: &str) -> Option<&str> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    // The kernel says so when the cgroup was removed and the process still lives.
    Some(path.strip_suffix(" (deleted)").unwrap_or(path)).filter(|path| path.starts_with('/'))
}

/// The mount point of the first complete cgroup2 mount of a mountinfo table: proc_pid_mountinfo(5). Seen from inside a
/// cgroup namespace, the host's has a root above the namespace's.
fn v2_mount(table: &str) -> Option<PathBuf> {
    let is_whole = |root: &str| root == "/" || root.split('/').skip(1).all(|part| part == "..");
    table.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        let (root, at) = (fields.next()?, fields.next()?);
        (after.split(' ').next()? == "cgroup2" && is_whole(root)).then(|| unescape(at).into())
    })
}

/// mountinfo writes space, tab, newline and backslash as three octal digits.
fn unescape(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |text, (code, char)| text.replace(code, char))
}

fn parse_pids(text: &str) -> Vec<u32> {
    // 0 stands for a process of another pid namespace.
    text.lines().filter_map(|line| line.parse().ok()).filter(|&pid| pid != 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime shared:9 - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:3 master:1 - cgroup2 cgroup2 rw
";

    #[test]
    fn the_v2_mount_of_a_hybrid_host() {
        assert_eq!(v2_mount(HYBRID), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(v2_mount("41 31 0:38 / /a\\040b rw - cgroup2 cgroup2 rw"), Some("/a b".into()));
        let above = "41 31 0:38 /../../.. /sys/fs/cgroup ro - cgroup2 cgroup rw";
        assert_eq!(v2_mount(above), Some("/sys/fs/cgroup".into()));
        assert_eq!(v2_mount("41 31 0:38 /../x /sys/fs/cgroup ro - cgroup2 cgroup rw"), None);
        assert_eq!(v2_mount("41 31 0:38 /docker/x /sys/fs/cgroup ro - cgroup2 cgroup rw"), None);
        assert_eq!(v2_mount(""), None);
    }

    #[test]
    fn the_v2_path_of_a_process() {
        assert_eq!(v2_path("12:pids:/docker/ab\n0::/docker/ab\n"), Some("/docker/ab"));
        assert_eq!(v2_path("0::/docker/ab (deleted)\n"), Some("/docker/ab"));
        assert_eq!(v2_path("1:name=systemd:/\n"), None);
    }

    #[test]
    fn this_process_is_in_its_own_cgroup() {
        let pid = std::process::id();
        // A host without the v2 hierarchy has nothing to check.
        if let Ok(dir) = of_process(pid) {
            assert_eq!(validate(&dir).unwrap(), dir.canonicalize().unwrap());
            assert!(id(&dir).unwrap() > 0);
            assert!(processes(&dir).contains(&pid));
        }
    }

    #[test]
    fn only_a_v2_cgroup_is_accepted() {
        let error = validate(Path::new("/proc")).unwrap_err().to_string();
        assert!(error.contains("not a cgroup of the v2 hierarchy"), "{error}");
        assert!(validate(Path::new("/no/such/cgroup")).unwrap_err().to_string().contains("no such cgroup"));
        assert!(validate(Path::new("/proc/self/mountinfo")).unwrap_err().to_string().contains("directory"));
    }

    #[test]
    fn names_of_a_container_s_cgroup() {
        let id = "d0".repeat(32);
        let is = |before: &str, after: &str| is_of(Path::new(&format!("/x/{before}{id}{after}")), &id);
        for (before, after) in [
            ("", ""),
            ("docker-", ".scope"),
            ("crio-", ".scope"),
            ("cri-containerd-", ".scope"),
            ("libpod-", ".scope"),
            ("libpod-", ""),
        ] {
            assert!(is(before, after), "{before}ID{after}");
        }
        for (before, after) in [
            ("libpod-conmon-", ".scope"),
            ("crio-conmon-", ".scope"),
            ("libpod_pod_", ""),
            ("machine-libpod_pod_", ".slice"),
            ("", "/container"),
            ("f", ""),
        ] {
            assert!(!is(before, after), "{before}ID{after}");
        }
    }

    #[test]
    fn a_process_outside_of_the_container_s_cgroup_is_where_it_is() {
        let pid = std::process::id();
        if let Ok(dir) = of_process(pid) {
            assert_eq!(around_process(pid, &"0".repeat(64)).unwrap(), dir);
            let name = dir.file_name().and_then(OsStr::to_str).unwrap_or_default();
            assert_eq!(around_process(pid, name).unwrap(), dir);
        }
    }

    #[test]
    fn a_tree_lists_parents_first() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("b/c")).unwrap();
        fs::create_dir(root.path().join("a")).unwrap();
        fs::write(root.path().join("cgroup.procs"), "7\n0\n").unwrap();
        fs::write(root.path().join("b/c/cgroup.procs"), "5\n7\n").unwrap();
        let names = ["", "a", "b", "b/c"].map(|name| root.path().join(name));
        assert_eq!(tree(root.path()), names);
        assert_eq!(processes(root.path()), [5, 7]);
    }

    proptest! {
        #[test]
        fn parsers_never_panic(text: String) {
            let _ = (v2_path(&text), v2_mount(&text), parse_pids(&text));
        }

        #[test]
        fn any_mount_point_is_read_back(name in "[ -~\t\n]{1,40}") {
            let escaped: String = name.chars().map(|c| match c {
                ' ' | '\t' | '\n' | '\\' => format!("\\{:03o}", u32::from(c)),
                c => c.to_string(),
            }).collect();
            let line = format!("1 2 0:3 / /{escaped} rw shared:1 - cgroup2 none rw");
            prop_assert_eq!(v2_mount(&line), Some(PathBuf::from(format!("/{name}"))));
        }

        #[test]
        fn any_pids_are_read_back(pids: Vec<u32>) {
            let text: String = pids.iter().map(|pid| format!("{pid}\n")).collect();
            let expected: Vec<u32> = pids.into_iter().filter(|&pid| pid != 0).collect();
            prop_assert_eq!(parse_pids(&text), expected);
        }
    }
}
