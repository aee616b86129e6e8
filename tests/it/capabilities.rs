//! Capabilities that are needed, and sockets that listen.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use slim_tests::{BASE, Container, Manifest};

use crate::phases::{Recorded, recorded};

/// Changes an owner and becomes somebody else, as entry points do.
const SWITCH: &str = "chown 1:1 /srv && exec perl -MPOSIX -e \
    'setgid(65534) or die; setuid(65534) or die; exec(@ARGV) or die'";

/// The capabilities that processes of one phase had when they were asked for them.
fn granted<'a>(manifest: &'a Manifest, phase: &str) -> BTreeSet<&'a str> {
    let in_phase = |name: &&str| manifest.capability_phases(name).contains(phase);
    manifest.capabilities().map(|(name, _)| name.as_str()).filter(in_phase).collect()
}

/// Whether a command succeeds with these capabilities alone.
fn succeeds(options: &[&str], capabilities: &BTreeSet<&str>, command: &[&str]) -> Result<bool> {
    let added: Vec<String> = capabilities.iter().map(|name| format!("--cap-add={name}")).collect();
    let mut all = [&["--network=none", "--cap-drop=ALL"], options].concat();
    all.extend(added.iter().map(String::as_str));
    Ok(Container::run(BASE, &all, command)?.wait()? == 0)
}

#[test]
fn an_application_runs_with_the_capabilities_that_were_seen_and_with_no_fewer() -> Result<()> {
    let script = |last: &str| format!("{SWITCH} {last}");
    let (long, short) = (script("sleep 300"), script("true"));
    let container = Container::create(BASE, &["--network=none"], &["sh", "-c", &long])?;
    let until = "until docker top \"$SLIM_CONTAINER_NAME\" | grep -q 'sleep 300$'; do sleep 0.1; done";
    let Recorded { manifest, .. } = recorded(&[container.name()], until)?;
    manifest.whole()?;
    let seen = granted(&manifest, "app");
    ensure!(seen == ["CAP_CHOWN", "CAP_SETGID", "CAP_SETUID"].into(), "{seen:?}");
    let (_, chown) =
        manifest.capabilities().find(|(name, _)| *name == "CAP_CHOWN").context("no CAP_CHOWN")?;
    ensure!(chown["by"] == serde_json::json!(["/usr/bin/chown"]), "{chown}");
    let command = ["sh", "-c", &short];
    ensure!(succeeds(&[], &seen, &command)?, "more than {seen:?} is needed");
    for name in &seen {
        let fewer: BTreeSet<&str> = seen.iter().copied().filter(|other| other != name).collect();
        ensure!(!succeeds(&[], &fewer, &command)?, "{name} is not needed");
    }
    Ok(())
}

#[test]
fn what_the_runtime_needs_to_change_the_user_is_its_own() -> Result<()> {
    let user = ["--user", "65534:65534"];
    let options = [&["--network=none"][..], &user].concat();
    let container = Container::create(BASE, &options, &["sleep", "300"])?;
    let Recorded { manifest, .. } = recorded(&[container.name()], "true")?;
    manifest.whole()?;
    let of_runtime = granted(&manifest, "runtime-confined");
    ensure!(of_runtime.contains("CAP_SETUID"), "{of_runtime:?}");
    ensure!(granted(&manifest, "app").is_empty(), "{:?}", granted(&manifest, "app"));
    ensure!(succeeds(&user, &BTreeSet::new(), &["true"])?, "the runtime needs capabilities of the container");
    Ok(())
}

#[test]
fn what_the_kernel_asks_for_its_own_sake_is_no_need() -> Result<()> {
    let options = ["--network=none", "--cap-add=SYS_ADMIN"];
    let container =
        Container::create(BASE, &options, &["sh", "-c", "cat /etc/issue; (ls /usr/bin); sleep 300"])?;
    let until = "until docker top \"$SLIM_CONTAINER_NAME\" | grep -q 'sleep 300$'; do sleep 0.1; done";
    let Recorded { manifest, .. } = recorded(&[container.name()], until)?;
    ensure!(granted(&manifest, "app").is_empty(), "{:?}", granted(&manifest, "app"));
    Ok(())
}

const CHOWN_INSIDE: &str = "docker exec \"$SLIM_CONTAINER_NAME\" chown 1:1 /srv";

#[test]
fn what_docker_exec_needs_is_labelled_or_ignored() -> Result<()> {
    for (options, expected) in [(&[][..], ["CAP_CHOWN"].into()), (&["--ignore-exec"], BTreeSet::new())] {
        let container = Container::create(BASE, &["--network=none"], &["sleep", "300"])?;
        let target = [&[container.name()], options].concat();
        let Recorded { manifest, .. } = recorded(&target, CHOWN_INSIDE)?;
        ensure!(granted(&manifest, "exec") == expected, "{options:?}: {:?}", granted(&manifest, "exec"));
        ensure!(granted(&manifest, "app").is_empty(), "{options:?}: {:?}", granted(&manifest, "app"));
    }
    Ok(())
}

const SERVERS: &str = r#"$| = 1; use Socket;
    sub made { my ($type, $port) = @_; socket(my $s, AF_INET, $type, 0) or die "socket: $!";
        bind($s, pack_sockaddr_in($port, INADDR_LOOPBACK)) or die "bind: $!"; push @all, $s; $s }
    $any = made(SOCK_STREAM, 0); listen($any, 5); made(SOCK_DGRAM, 5353);
    ($port) = unpack_sockaddr_in(getsockname($any)); print "port $port\n"; sleep 600"#;

#[test]
fn a_port_that_the_kernel_chose_is_told_as_it_is() -> Result<()> {
    let container = Container::create(BASE, &["--network=none"], &["perl", "-e", SERVERS])?;
    let until = "until docker logs \"$SLIM_CONTAINER_NAME\" | grep -q port; do sleep 0.1; done";
    let Recorded { manifest, .. } = recorded(&[container.name()], until)?;
    let logs = container.logs()?;
    let port = logs.trim().strip_prefix("port ").with_context(|| format!("it said {logs}"))?;
    let chosen = format!("inet 127.0.0.1:{port}");
    ensure!(manifest.socket(&chosen) == ["listen"].into(), "{:?}", manifest.socket(&chosen));
    ensure!(manifest.protocols(&chosen) == ["tcp"].into(), "{:?}", manifest.protocols(&chosen));
    ensure!(manifest.socket("inet 127.0.0.1:0") == ["bind"].into());
    let udp = "inet 127.0.0.1:5353";
    ensure!(manifest.socket(udp) == ["bind"].into() && manifest.protocols(udp) == ["udp"].into());
    Ok(())
}
