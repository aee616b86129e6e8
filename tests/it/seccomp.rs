//! Profiles in use: with every runtime, user and privilege that a container may have, and call by call.

use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use nix::libc;
use slim_tests::seccomp::{Call, errors_under};
use slim_tests::{
    BASE, Container, Manifest, Tag, agent, docker, export_seccomp, output, read_json, record_until_it_exits,
    wait_until,
};
use tempfile::{TempDir, tempdir};

use crate::main_job::Recorded;

/// How an image of the corpus is put to the test, besides the way in which the main job runs it: by runc, with new
/// privileges, as its own user.
struct Ways {
    image: &'static str,
    /// What it can execute once more, and the exit code of that.
    again: (&'static [&'static str], i64),
    /// Whether it can be run as root although its own user is another.
    root: bool,
    /// Who runs it without new privileges.
    runtime: &'static str,
}

/// nginx and switch are root's, and PostgreSQL refuses to be. The static program finds its port taken.
const WAYS: [Ways; 9] = [
    Ways { image: "nginx", again: (&["nginx", "-v"], 0), root: false, runtime: "runc" },
    Ways { image: "flask", again: (&["python3", "-V"], 0), root: true, runtime: "crun" },
    Ways { image: "redis", again: (&["redis-server", "--version"], 0), root: true, runtime: "runc" },
    Ways { image: "postgres", again: (&["postgres", "--version"], 0), root: false, runtime: "crun" },
    Ways { image: "node", again: (&["node", "--version"], 0), root: true, runtime: "runc" },
    Ways { image: "java", again: (&["java", "-version"], 0), root: true, runtime: "crun" },
    Ways { image: "pandas", again: (&["python3", "-V"], 0), root: true, runtime: "runc" },
    Ways { image: "switch", again: (&["bash", "-c", ":"], 0), root: false, runtime: "crun" },
    Ways { image: "go", again: (&["service"], 1), root: true, runtime: "runc" },
];

/// A slim image under its profile by crun, and by either runtime without new privileges; the latter as root where that
/// can be. In both, the health check and `docker exec` work. Together with the main job's own run, each image meets both
/// runtimes, either with the filter that is installed early and with the one that is installed late.
pub fn runs_in_other_ways(job: &Recorded, slim: &str) -> Result<()> {
    let ways = WAYS.iter().find(|ways| job.image.tag().contains(&format!("/{}:", ways.image)));
    let ways = ways.with_context(|| format!("{} has no row in WAYS", job.image.tag()))?;
    let profile = format!("seccomp={}", export_seccomp(&job.manifest)?.display());
    let healthy = Tag::new("healthy");
    with_health_check(slim, ways.again.0, &healthy)?;
    let early = ["--runtime", "crun", "--security-opt", &profile];
    let late = ["--runtime", ways.runtime, "--security-opt", &profile, "--security-opt", "no-new-privileges"];
    let late = [&late[..], if ways.root { &["--user", "0:0"] } else { &[] }].concat();
    let (healthy, late) = (healthy.name(), late.as_slice());
    thread::scope(|scope| {
        let run =
            move |options: &[&str]| runs(job, ways, healthy, options).with_context(|| options.join(" "));
        let other = scope.spawn(move || run(late));
        run(&early)?;
        other.join().unwrap_or_else(|_| bail!("the other thread panicked"))
    })
}

/// The image with a health check in exec form, which no option of `docker create` gives.
fn with_health_check(slim: &str, command: &[&str], tag: &Tag) -> Result<()> {
    let command = serde_json::to_string(command).context("cannot write a command")?;
    let change = format!("HEALTHCHECK --interval=1s CMD {command}");
    let container = Container::create(slim, &[], &[])?;
    docker(&["commit", "--change", &change, container.name(), tag.name()]).map(drop)
}

fn runs(job: &Recorded, ways: &Ways, image: &str, options: &[&str]) -> Result<()> {
    let container = Container::run(image, options, &[])?;
    job.image.check(&container)?;
    let (command, code) = ways.again;
    let again = container.exec(command)?;
    ensure!(again.code.map(i64::from) == Some(code), "docker exec {command:?}: {again:?}");
    wait_until("the health check has run", || {
        let log = &container.inspect()?["State"]["Health"]["Log"];
        let Some(last) = log.as_array().and_then(|log| log.last()) else { return Ok(false) };
        ensure!(last["ExitCode"] == code, "the health check: {last}");
        Ok(true)
    })?;
    let status = std::fs::read_to_string(format!("/proc/{}/status", container.pid()?))?;
    let late = options.contains(&"no-new-privileges");
    ensure!(status.contains("Seccomp:\t2"), "no seccomp filter is on:\n{status}");
    ensure!(status.contains(&format!("NoNewPrivs:\t{}", i32::from(late))), "{status}");
    if options.contains(&"0:0") {
        ensure!(status.contains("Uid:\t0\t0\t0\t0"), "it is not root:\n{status}");
    }
    Ok(())
}

/// A call that a program makes which was recorded without it, and the error numbers that its profile states.
struct Stated {
    call: Call,
    /// By the profile.
    confined: i32,
    /// On trial.
    tried: i32,
}

const fn stated(number: i64, first: u64, confined: i32, tried: i32) -> Stated {
    Stated { call: Call { number, args: [first, 0] }, confined, tried }
}

const STATED: [Stated; 7] = [
    // Not observed, and no relative of what was.
    stated(libc::SYS_inotify_init1, 0, libc::ENOSYS, 0),
    stated(libc::SYS_getpriority, 0, libc::ENOSYS, 0),
    // Denied by the engine's default profile.
    stated(libc::SYS_bpf, 0, libc::EPERM, libc::EPERM),
    stated(libc::SYS_unshare, libc::CLONE_NEWUTS as u64, libc::EPERM, libc::EPERM),
    stated(libc::SYS_clone, libc::CLONE_NEWUTS as u64, libc::EPERM, libc::EPERM),
    stated(libc::SYS_clone3, 0, libc::ENOSYS, libc::ENOSYS),
    // Allowed.
    stated(libc::SYS_getppid, 0, 0, 0),
];

/// Makes each call that it is told, and prints its error number, or 0.
const CALLS: &str = r#"for (@ARGV) { my ($number, $first) = map { $_ + 0 } split /,/; $! = 0;
    print syscall($number, $first, 0, 0, 0, 0, 0) < 0 ? $! + 0 : 0, "\n" }"#;

/// The profiles of a program that makes no such calls: as it is, and on trial.
fn profiles() -> Result<(TempDir, [PathBuf; 2])> {
    let place = tempdir()?;
    let path = place.path().join("m.json");
    let container = Container::create(BASE, &["--network", "none"], &["perl", "-e", CALLS])?;
    record_until_it_exits(&[container.name()], &path)?.expect(0)?;
    Manifest::read(&path)?.whole()?;
    let trial = place.path().join("trial.json");
    output(agent()?.args(["export", "seccomp", "--trial"]).arg(&path).arg("-o").arg(&trial))?;
    Ok((place, [export_seccomp(&path)?, trial]))
}

fn runs_as_stated(runtime: &str, profile: &Path, expected: &[i32]) -> Result<()> {
    let profile = format!("seccomp={}", profile.display());
    let options = ["--network", "none", "--runtime", runtime, "--security-opt", &profile];
    let calls: Vec<_> =
        STATED.iter().map(|stated| format!("{},{}", stated.call.number, stated.call.args[0])).collect();
    let mut command = vec!["perl", "-e", CALLS];
    command.extend(calls.iter().map(String::as_str));
    let container = Container::run(BASE, &options, &command)?;
    ensure!(container.wait()? == 0, "{}", container.logs()?);
    let found: Vec<_> = container.logs()?.lines().map(str::to_owned).collect();
    let expected: Vec<_> = expected.iter().map(i32::to_string).collect();
    ensure!(found == expected, "{runtime}, {profile}: expected {expected:?}, found {found:?} for {calls:?}");
    Ok(())
}

#[test]
fn a_call_that_is_not_listed_gets_the_stated_error_with_both_runtimes_and_in_libseccomps_filter() -> Result<()>
{
    let (_place, [confined, trial]) = profiles()?;
    let expected = |of: fn(&Stated) -> i32| STATED.iter().map(of).collect::<Vec<_>>();
    let calls: Vec<_> = STATED.iter().map(|stated| stated.call).collect();
    for (profile, expected) in
        [(confined, expected(|stated| stated.confined)), (trial, expected(|stated| stated.tried))]
    {
        let found = errors_under(&read_json(&profile)?, &calls)?;
        ensure!(
            found == expected,
            "libseccomp, {}: expected {expected:?}, found {found:?}",
            profile.display()
        );
        ["runc", "crun"].iter().try_for_each(|runtime| runs_as_stated(runtime, &profile, &expected))?;
    }
    Ok(())
}

/// Every shape that a profile can have, loaded by libseccomp on this kernel: several ABIs, conditions, a base.
#[test]
fn profiles_load_through_libseccomp() -> Result<()> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let manifest = fixtures.join("web.manifest.json");
    let place = tempdir()?;
    let profile = |name: &str, options: &[&str]| -> Result<PathBuf> {
        let path = place.path().join(name);
        output(agent()?.args(["export", "seccomp"]).args(options).arg(&manifest).arg("-o").arg(&path))?;
        Ok(path)
    };
    let plain = profile("plain.json", &[])?;
    let base = plain.display().to_string();
    let all = [
        plain,
        profile("trial.json", &["--trial"])?,
        profile("without.json", &["--no-relatives", "--no-runtime-calls"])?,
        profile("base.json", &["--base", &base, "--trial"])?,
    ];
    let calls =
        [Call { number: libc::SYS_getppid, args: [0, 0] }, Call { number: libc::SYS_acct, args: [0, 0] }];
    for path in all {
        let found = errors_under(&read_json(&path)?, &calls).with_context(|| path.display().to_string())?;
        ensure!(found == [0, libc::EPERM], "{}: {found:?}", path.display());
    }
    Ok(())
}
