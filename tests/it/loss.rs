//! No loss that is not said: a ring that is too small loses nothing, and every table that is too small says so.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use slim_tests::{BASE, Cgroup, Container, Manifest, agent, outcome, record_script, record_until_it_exits};

/// Two hundred threads' worth of processes that open files of their own at the same time.
const STORM: &str = "for n in $(seq 200); do (read line < /usr/share/doc/base-files/README; : > /tmp/$n) & done; wait; \
    for dir in /etc /usr/share; do find $dir -type f | xargs -P 8 -n 20 cat > /dev/null; done";

/// Records a container to its end: what the agent said, its exit code, and the manifest.
fn recorded(script: &str, limits: &[&str]) -> Result<(String, Option<i32>, Manifest)> {
    let container = Container::create(BASE, &["--network", "none"], &["sh", "-c", script])?;
    let place = tempfile::tempdir()?;
    let path = place.path().join("m.json");
    let mut target = vec![container.name()];
    limits.iter().for_each(|limit| target.extend(["--limit", limit]));
    let outcome = record_until_it_exits(&target, &path)?;
    ensure!(container.wait()? == 0, "{}", container.logs()?);
    Ok((outcome.stderr, outcome.code, Manifest::read(&path)?))
}

/// An error unless the recording says `words` of itself, in the manifest, to people, and in its exit code.
fn says(stderr: &str, code: Option<i32>, manifest: &Manifest, words: &str) -> Result<()> {
    let reasons = manifest.recording()?["incomplete"].to_string();
    ensure!(reasons.contains(words), "{words:?} is not among the reasons {reasons}");
    ensure!(manifest.recording()?["complete"] == false);
    ensure!(stderr.contains("incomplete: ") && stderr.contains(words), "{stderr}");
    ensure!(code == Some(4), "exit code {code:?}");
    Ok(())
}

#[test]
fn a_ring_of_one_page_loses_nothing_of_a_storm() -> Result<()> {
    let (said, code, manifest) = recorded(STORM, &["ring=4096"])?;
    manifest.whole()?;
    ensure!(code == Some(0), "{said}");
    println!("{}", manifest.recording()?["counters"]["sys_exit"]);
    ensure!(manifest.count("sys_exit", "deferred")? > 0, "the ring was never full: this proves nothing");
    for number in 1..=200 {
        ensure!(manifest.uses(&format!("/tmp/{number}")).contains("write"), "/tmp/{number} is missing");
    }
    Ok(())
}

#[test]
fn a_ring_of_one_page_has_every_file_that_find_hands_to_cat() -> Result<()> {
    let listing = slim_tests::docker(&[
        "run",
        "--rm",
        "--network",
        "none",
        BASE,
        "find",
        "/etc",
        "/usr/lib",
        "-type",
        "f",
    ])?;
    let script =
        "find /etc -type f -exec cat {} ; > /dev/null; find /usr/lib -type f -exec cat {} + > /dev/null";
    let script = script.replace("{} ;", "{} \\;");
    let (said, code, manifest) = recorded(&script, &["ring=4096"])?;
    manifest.whole()?;
    ensure!(code == Some(0), "{said}");
    // The engine makes these; they lie on mounts.
    let engine = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];
    let expected = listing.lines().filter(|path| !engine.contains(path));
    let missing: BTreeSet<&str> = expected.filter(|path| !manifest.uses(path).contains("open")).collect();
    ensure!(listing.lines().count() > 1000 && missing.is_empty(), "{} missing: {missing:?}", missing.len());
    Ok(())
}

#[test]
fn the_default_limits_are_never_met_by_a_storm() -> Result<()> {
    let (said, code, manifest) = recorded(STORM, &[])?;
    manifest.whole()?;
    ensure!(code == Some(0), "{said}");
    ensure!(manifest.count("sys_exit", "deferred")? == 0, "{}", manifest.recording()?["counters"]);
    Ok(())
}

#[test]
fn a_ring_and_a_backlog_that_are_both_too_small_say_what_was_lost() -> Result<()> {
    let (said, code, manifest) = recorded(STORM, &["ring=4096", "backlog=1"])?;
    says(&said, code, &manifest, "accesses were not delivered")
}

/// Its accesses find the ring full, because nobody empties it; the same are made again when the agent goes on.
#[test]
fn accesses_that_were_lost_are_recovered_when_they_are_made_again() -> Result<()> {
    let cgroup = Cgroup::new()?;
    let place = tempfile::tempdir()?;
    let (path, files) = (place.path().join("m.json"), place.path().join("files"));
    fs::create_dir(&files)?;
    (0..60).try_for_each(|number| fs::write(files.join(number.to_string()), "text"))?;
    let pass = format!(
        "{}; for file in '{}'/*; do cat \"$file\" > /dev/null; done",
        cgroup.enter(),
        files.display()
    );
    // Each pass is a shell of its own, which does nothing that the others do not do, too.
    let script = "agent=$PPID; kill -STOP $agent; sh -c \"$PASS\"; kill -CONT $agent; \
        for again in 1 2 3 4 5 6; do sh -c \"$PASS\"; done";
    let mut command = agent()?;
    command.args(["record", "--cgroup", cgroup.path(), "--limit", "ring=4096", "--limit", "backlog=1", "-o"]);
    command.arg(&path).args(["--", "sh", "-euc", script]).env("PASS", pass);
    outcome(&mut command)?.expect(0)?;
    let manifest = Manifest::read(&path)?;
    ensure!(manifest.recording()?["complete"] == true, "{:?}", manifest.reasons());
    ensure!(manifest.count("sys_exit", "ring_full")? > 20, "hardly anything was lost: this proves nothing");
    let seen =
        |number: &u32| manifest.uses(&files.join(number.to_string()).to_string_lossy()).contains("open");
    let missing: Vec<u32> = (0..60).filter(|number| !seen(number)).collect();
    ensure!(missing.is_empty(), "{missing:?}");
    Ok(())
}

#[test]
fn more_accesses_than_can_be_told_apart_are_delivered_and_said() -> Result<()> {
    let (said, code, manifest) = recorded("cat /etc/passwd > /dev/null", &["seen=8"])?;
    says(&said, code, &manifest, "more than can be told apart")?;
    ensure!(manifest.uses("/etc/passwd").contains("open"));
    Ok(())
}

#[test]
fn more_cgroups_than_can_be_traced_are_said() -> Result<()> {
    let cgroup = Cgroup::new()?;
    let place = tempfile::tempdir()?;
    let path = place.path().join("m.json");
    let script = format!("for n in 1 2 3; do mkdir {0}/$n; done; rmdir {0}/1 {0}/2 {0}/3", cgroup.path());
    let outcome = record_script(&["--cgroup", cgroup.path(), "--limit", "scopes=2"], &path, &script)?;
    says(&outcome.stderr, outcome.code, &Manifest::read(&path)?, "2 cgroups were not traced")
}

#[test]
fn cgroups_that_are_removed_make_room_for_others() -> Result<()> {
    let cgroup = Cgroup::new()?;
    let place = tempfile::tempdir()?;
    let path = place.path().join("m.json");
    let script = format!(
        "for n in $(seq 300); do mkdir {0}/$n; [ $n = 300 ] && sh -c 'echo $$ > {0}/300/cgroup.procs; exec cat /etc/issue' \
         > /dev/null; rmdir {0}/$n; done",
        cgroup.path()
    );
    record_script(&["--cgroup", cgroup.path(), "--limit", "scopes=3"], &path, &script)?.expect(0)?;
    let manifest = Manifest::read(&path)?;
    manifest.lossless()?;
    ensure!(manifest.uses("/etc/issue").contains("open"), "the last cgroup was not traced");
    Ok(())
}

#[test]
fn more_processes_beside_the_application_than_can_be_told_from_it_are_said() -> Result<()> {
    let container = Container::create(BASE, &["--network", "none"], &["sleep", "300"])?;
    let place = tempfile::tempdir()?;
    let path = place.path().join("m.json");
    let script = "docker exec $SLIM_CONTAINER_ID sh -c 'for n in 1 2 3 4; do sleep 0.1 & done; wait'";
    let outcome = record_script(&[container.name(), "--limit", "tasks=1"], &path, script)?;
    says(
        &outcome.stderr,
        outcome.code,
        &Manifest::read(&path)?,
        "processes were not told from the application",
    )
}

#[test]
fn a_path_deeper_than_the_kernel_side_follows_is_said_and_is_not_a_wrong_path() -> Result<()> {
    let script = "cd /tmp; n=0; while [ $n -lt 170 ]; do mkdir d; cd -P d; n=$((n + 1)); done; : > leaf";
    let (said, code, manifest) = recorded(script, &[])?;
    says(&said, code, &manifest, "paths were too long to follow")?;
    let wrong = manifest.paths().find(|path| path.ends_with("leaf") && path.matches("/d").count() != 170);
    ensure!(wrong.is_none(), "{wrong:?}");
    Ok(())
}

#[test]
fn a_system_call_beyond_the_map_is_said() -> Result<()> {
    let script = "perl -e 'syscall(5000)'";
    let (said, code, manifest) = recorded(script, &[])?;
    says(&said, code, &manifest, "system calls had numbers beyond")
}

#[test]
fn more_names_than_the_agent_is_to_hold_are_said() -> Result<()> {
    let script = "for n in 1 2 3 4 5 6 7 8 9; do : > /tmp/$n; done; cat /etc/passwd > /dev/null";
    let (said, code, manifest) = recorded(script, &["paths=12"])?;
    says(&said, code, &manifest, "uses of new names were left out")?;
    ensure!(manifest.paths().count() == 12, "{:?}", manifest.paths().collect::<Vec<_>>());
    Ok(())
}

#[test]
fn a_limit_that_no_kernel_takes_is_refused_before_anything_starts() -> Result<()> {
    let container = Container::create(BASE, &["--network", "none"], &["true"])?;
    let outcome = record_until_it_exits(&[container.name(), "--limit", "ring=5000"], Path::new("/dev/null"))?;
    ensure!(outcome.stderr.contains("power of two"), "{}", outcome.stderr);
    outcome.expect(2).map(drop)
}
