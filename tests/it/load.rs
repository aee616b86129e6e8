//! Recording under load: many containers at once, busy programs, and nothing lost.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use slim_tests::{
    BASE, Background, Container, Manifest, Tag, corpus, export_image, record_script, record_until_it_exits,
};

/// What the containers of the burst run, in turn: programs that end at once.
const PROGRAMS: [&str; 5] = ["true", "echo", "date", "pwd", "hostname"];

#[test]
fn fifty_containers_started_in_a_burst_each_have_their_first_exec_in_their_manifest() -> Result<()> {
    let containers = (0..50)
        .map(|index| {
            let program = PROGRAMS[index % PROGRAMS.len()];
            let container = Container::create(BASE, &["--network", "none"], &[&format!("/bin/{program}")])?;
            Ok((container, program))
        })
        .collect::<Result<Vec<_>>>()?;
    let began = Instant::now();
    let mut recordings = Vec::new();
    for (container, program) in &containers {
        recordings.push((Background::record(&[container.name()], &[])?, program));
    }
    for (recording, program) in &mut recordings {
        recording.end()?.expect(0)?;
        let manifest = Manifest::read(&recording.manifest())?;
        manifest.whole()?;
        first_exec_is(&manifest, program)?;
    }
    println!("50 containers, each with its own agent: {:.1} s", began.elapsed().as_secs_f32());
    Ok(())
}

/// The program, by the file reached and by the name asked for, whose directory is a symbolic link; and no other.
fn first_exec_is(manifest: &Manifest, program: &str) -> Result<()> {
    for other in PROGRAMS {
        let uses = manifest.uses(&format!("/usr/bin/{other}"));
        ensure!(uses.contains("exec") == (other == program), "{program} ran; {other} has {uses:?}");
    }
    let phases = manifest.phases(&format!("/usr/bin/{program}"));
    ensure!(phases.contains("app"), "{program} ran in the phases {phases:?}");
    let link = manifest.uses("/bin").contains("hop");
    let name = manifest.uses(&format!("/bin/{program}")).contains("exec");
    ensure!(link || name, "nothing tells that {program} was asked for in /bin");
    Ok(())
}

#[test]
fn a_container_that_ends_at_once_is_exported_with_the_links_that_its_names_pass() -> Result<()> {
    let place = tempfile::tempdir()?;
    let manifest = place.path().join("m.json");
    let container = Container::create(BASE, &["--network", "none"], &["/bin/true"])?;
    record_until_it_exits(&[container.name()], &manifest)?.expect(0)?;
    let slim = Tag::new("true");
    export_image(&manifest, slim.name(), &[])?.expect(0)?;
    let tree = slim_tests::image_tree(slim.name())?;
    for link in ["/bin", "/lib", "/lib64"] {
        ensure!(tree.get(link).is_some(), "{link} is missing");
    }
    let again = Container::run(slim.name(), &["--network", "none"], &["/bin/true"])?;
    ensure!(again.wait()? == 0, "{}", again.logs()?);
    Ok(())
}

#[test]
fn a_file_opened_a_hundred_thousand_times_costs_a_handful_of_records() -> Result<()> {
    let place = tempfile::tempdir()?;
    let manifest = place.path().join("m.json");
    let script = "i=0; while [ $i -lt 100000 ]; do read line < /etc/passwd; i=$((i + 1)); done";
    let container = Container::create(BASE, &["--network", "none"], &["sh", "-c", script])?;
    record_until_it_exits(&[container.name()], &manifest)?.expect(0)?;
    let manifest = Manifest::read(&manifest)?;
    manifest.whole()?;
    ensure!(manifest.uses("/etc/passwd").contains("open"));
    let (duplicate, sent) = (manifest.count("sys_exit", "duplicate")?, manifest.count("sys_exit", "sent")?);
    println!("100,000 opens: {duplicate} duplicates, {sent} records");
    ensure!(duplicate >= 99_990, "only {duplicate} of 100,000 opens were known already");
    ensure!(sent <= 80, "{sent} records");
    Ok(())
}

#[test]
fn a_redis_at_full_speed_loses_nothing() -> Result<()> {
    let benchmark = "redis-benchmark -h \"$SLIM_CONTAINER_IP\" -q -n 50000 -c 50 -t set,get,lpush,incr";
    under_load("redis", &format!("exec {benchmark}"), "/usr/bin/redis-check-rdb")
}

#[test]
fn an_nginx_at_full_speed_loses_nothing() -> Result<()> {
    under_load("nginx", "exec wrk -t 2 -c 32 -d 2 \"http://$SLIM_CONTAINER_IP/\"", "/usr/sbin/nginx")
}

/// Records a container of the corpus: its check first, to know that it serves, then `load`.
fn under_load(name: &str, load: &str, program: &str) -> Result<()> {
    let image = corpus(name)?;
    let place = tempfile::tempdir()?;
    let manifest = place.path().join("m.json");
    let container = Container::create(&image.tag(), &[], &[])?;
    let script = format!("{}; {load}", image.check_program().display());
    let said = record_script(&[container.name()], &manifest, &script)?.expect(0)?;
    let manifest = Manifest::read(&manifest)?;
    manifest.whole().with_context(|| said.clone())?;
    ensure!(manifest.uses(program).contains("exec"), "{program} was not seen running");
    println!("{name}: {}", manifest.recording()?["counters"]);
    Ok(())
}
