//! Profiles in use: with every runtime, user and privilege that a container may have, and call by call.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use nix::libc;
use slim_tests::seccomp::{Call, confine, errors_under};
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

/// The recording of a program that makes no such calls.
fn recorded() -> Result<(TempDir, PathBuf)> {
    let place = tempdir()?;
    let path = place.path().join("m.json");
    let container = Container::create(BASE, &["--network", "none"], &["perl", "-e", CALLS])?;
    record_until_it_exits(&[container.name()], &path)?.expect(0)?;
    Manifest::read(&path)?.whole()?;
    Ok((place, path))
}

/// `export seccomp OPTION MANIFEST`, written beside the manifest.
fn export(manifest: &Path, option: &str) -> Result<PathBuf> {
    let profile = manifest.with_extension(format!("{}.json", option.trim_start_matches('-')));
    output(agent()?.args(["export", "seccomp", option]).arg(manifest).arg("-o").arg(&profile))?;
    Ok(profile)
}

/// The program, told of every call.
fn program() -> Vec<String> {
    let calls = STATED.iter().map(|stated| format!("{},{}", stated.call.number, stated.call.args[0]));
    ["perl", "-e", CALLS].map(str::to_owned).into_iter().chain(calls).collect()
}

fn answered(said: &str, expected: &[i32]) -> Result<()> {
    let expected: Vec<_> = expected.iter().map(i32::to_string).collect();
    let found: Vec<_> = said.lines().collect();
    ensure!(found == expected, "expected {expected:?}, found {found:?} of {:?}", program());
    Ok(())
}

fn runs_as_stated(runtime: &str, profile: &Path, expected: &[i32]) -> Result<()> {
    let profile = format!("seccomp={}", profile.display());
    let options = ["--network", "none", "--runtime", runtime, "--security-opt", &profile];
    let program = program();
    let program: Vec<_> = program.iter().map(String::as_str).collect();
    let container = Container::run(BASE, &options, &program)?;
    ensure!(container.wait()? == 0, "{}", container.logs()?);
    answered(&container.logs()?, expected).with_context(|| format!("{runtime}, {profile}"))
}

#[test]
fn a_call_that_is_not_listed_gets_the_stated_error_with_both_runtimes() -> Result<()> {
    let (_place, manifest) = recorded()?;
    let calls: Vec<_> = STATED.iter().map(|stated| stated.call).collect();
    let confined: Vec<_> = STATED.iter().map(|stated| stated.confined).collect();
    let tried: Vec<_> = STATED.iter().map(|stated| stated.tried).collect();
    for (profile, expected) in
        [(export_seccomp(&manifest)?, confined), (export(&manifest, "--trial")?, tried)]
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

#[test]
fn a_filter_that_is_installed_last_needs_no_calls_of_a_runtime() -> Result<()> {
    let (_place, manifest) = recorded()?;
    let profile = read_json(&export(&manifest, "--no-runtime-calls")?)?;
    let holder = Container::run(BASE, &["--network", "none"], &["sleep", "600"])?;
    let program = program();
    let mut command = Command::new(&program[0]);
    confine(
        command.args(&program[1..]),
        &Path::new("/proc").join(holder.pid()?.to_string()).join("root"),
        &profile,
    );
    // Nothing needs clone then, whatever its flags.
    let answer = |stated: &Stated| match stated.call.number {
        libc::SYS_clone => libc::ENOSYS,
        _ => stated.confined,
    };
    answered(&output(&mut command)?, &STATED.iter().map(answer).collect::<Vec<_>>())
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
