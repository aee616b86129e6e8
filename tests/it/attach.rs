//! Attaching to a container that runs: what /proc tells of its past, and of whom.

use std::net::TcpListener;

use anyhow::{Context, Result, ensure};
use slim_tests::{BASE, Container, Manifest, Tag, agent, docker, export_image, outcome, wait_until};

use crate::phases::{Recorded, recorded};

/// A container whose first process runs a Perl program, which the base image can, and has got to where it prints
/// `ready`.
fn perl(options: &[&str], program: &str) -> Result<Container> {
    let program = format!("$| = 1; use Socket; {program}; print \"ready\\n\"; sleep 600");
    let container = Container::run(BASE, options, &["perl", "-e", &program])?;
    is_ready(&container)?;
    Ok(container)
}

fn is_ready(container: &Container) -> Result<()> {
    wait_until("the container is ready", || {
        let logs = container.logs()?;
        ensure!(container.inspect()?["State"]["Running"] == true, "it does not run: {logs}");
        Ok(logs.contains("ready"))
    })
}

fn attached(container: &Container) -> Result<Recorded> {
    let attached = recorded(&[container.name()], "true")?;
    attached.manifest.lossless()?;
    ensure!(attached.manifest.recording()?["startup_observed"] == false);
    Ok(attached)
}

/// No path that has not been one of the container's.
fn no_false_paths(manifest: &Manifest) -> Result<()> {
    let words = ["deleted", "memfd", "SYSV", "socket:", "/overlay2/", "#"];
    let found = manifest.paths().find(|path| words.iter().any(|word| path.contains(word)));
    ensure!(found.is_none(), "a false path: {found:?}");
    Ok(())
}

const SOCKETS: &str = r#"
    sub made { my ($family, $type, $address) = @_; socket(my $s, $family, $type, 0) or die "socket: $!";
        bind($s, $address) or die "bind: $!"; push @all, $s; $s }
    listen(made(AF_INET, SOCK_STREAM, pack_sockaddr_in(8080, inet_aton("127.0.0.1"))), 5);
    listen(made(AF_INET6, SOCK_STREAM, pack_sockaddr_in6(8081, Socket::IN6ADDR_ANY)), 5);
    made(AF_INET, SOCK_DGRAM, pack_sockaddr_in(5353, INADDR_ANY));
    connect(made(AF_INET, SOCK_DGRAM, pack_sockaddr_in(5354, INADDR_ANY)), pack_sockaddr_in(9, INADDR_LOOPBACK));
    listen(made(AF_UNIX, SOCK_STREAM, pack_sockaddr_un("/var/run/it.sock")), 5);
    listen(made(AF_UNIX, SOCK_STREAM, pack_sockaddr_un("\0of a test")), 5);
    chdir "/var/tmp"; made(AF_UNIX, SOCK_DGRAM, pack_sockaddr_un("relative.sock"));
    made(AF_UNIX, SOCK_DGRAM, pack_sockaddr_un("/run/gone.sock")); unlink "/run/gone.sock""#;

#[test]
fn unix_sockets_and_listening_ports_that_a_container_holds_are_recorded() -> Result<()> {
    let container = perl(&["--network", "none"], SOCKETS)?;
    let Recorded { manifest, .. } = attached(&container)?;
    let listens = ["held", "listen"].as_slice();
    let expected = [
        ("inet 127.0.0.1:8080", listens, "tcp"),
        ("inet [::]:8081", listens, "tcp"),
        ("inet 0.0.0.0:5353", &["held"], "udp"),
        ("unix /run/it.sock", &["held"], "stream"),
        ("unix @of a test", &["held"], "stream"),
        ("unix /var/tmp/relative.sock", &["held"], "dgram"),
        ("unix /run/gone.sock", &["held"], "dgram"),
    ];
    for (address, uses, protocol) in expected {
        let (found, spoken) = (manifest.socket(address), manifest.protocols(address));
        ensure!(found.iter().eq(uses) && spoken == [protocol].into(), "{address}: {found:?}, {spoken:?}");
    }
    ensure!(manifest.addresses().count() == expected.len(), "{:?}", manifest.addresses().collect::<Vec<_>>());
    for path in ["/run/it.sock", "/var/tmp/relative.sock"] {
        ensure!(manifest.uses(path) == ["socket"].into(), "{path}: {:?}", manifest.uses(path));
        ensure!(manifest.by(path) == ["/usr/bin/perl"].into(), "{path}: {:?}", manifest.by(path));
    }
    ensure!(manifest.uses("/var/run") == ["hop"].into(), "{:?}", manifest.uses("/var/run"));
    ensure!(manifest.uses("/run/gone.sock").is_empty(), "a socket file that is gone");
    no_false_paths(&manifest)
}

#[test]
fn with_the_host_s_network_only_the_container_s_own_ports_are_recorded() -> Result<()> {
    let not_its_own = TcpListener::bind("127.0.0.1:0")?;
    let program = r#"socket(S, AF_INET, SOCK_STREAM, 0); bind(S, pack_sockaddr_in(0, inet_aton("127.0.0.1")));
        listen(S, 5); print "port ", (unpack_sockaddr_in(getsockname(S)))[0], "\n""#;
    let container = perl(&["--network", "host"], program)?;
    let logs = container.logs()?;
    let port = logs.lines().find_map(|line| line.strip_prefix("port ")).context("it names no port")?;
    let Recorded { manifest, .. } = attached(&container)?;
    ensure!(manifest.addresses().collect::<Vec<_>>() == [format!("inet 127.0.0.1:{port}")]);
    ensure!(
        !manifest
            .addresses()
            .any(|address| address.ends_with(&not_its_own.local_addr().unwrap().to_string()))
    );
    Ok(())
}

/// Its library, a file it reads, and files that are only its own.
const REPLACED: &str = r#"
    open(A, "<", "/etc/debian_version"); ($lib) = grep { -f } glob("/usr/lib/*-linux-gnu/libcrypt.so.1.*");
    for ("/etc/debian_version", $lib) { system("cp $_ $_.new && mv $_.new $_") == 0 or die }
    open(B, ">", "/tmp/removed"); unlink "/tmp/removed";
    open(C, ">", "/tmp/is (deleted)"); open(D, "<", "/etc/issue"); rename "/etc/issue", "/etc/moved";
    syscall(319, my $name = "a memory file", 0) > 0 or die "memfd_create: $!";
    mkdir "/opt/left"; chdir "/opt/left"; rmdir "/opt/left"; print "$lib\n""#;

#[test]
fn files_that_were_replaced_keep_their_names_and_files_without_one_get_none() -> Result<()> {
    let container = perl(&["--network", "none"], REPLACED)?;
    let logs = container.logs()?;
    let library = logs.lines().next().context("it names no library")?;
    let Recorded { manifest, stderr, .. } = attached(&container)?;
    for path in
        ["/etc/debian_version", library, "/tmp/removed", "/tmp/is (deleted)", "/etc/moved", "/opt/left"]
    {
        ensure!(manifest.uses(path) == ["held"].into(), "{path}: {:?}", manifest.uses(path));
    }
    let deleted: Vec<_> = manifest.paths().filter(|path| path.contains("(deleted)")).collect();
    ensure!(deleted == ["/tmp/is (deleted)"], "{deleted:?}");
    ensure!(!manifest.paths().any(|path| path.contains("memfd")));
    ensure!(
        stderr.contains("2 files that processes hold have been replaced since, such as /etc/debian_version"),
        "{stderr}"
    );
    Ok(())
}

#[test]
fn a_first_process_that_changed_its_root_is_seen_from_the_container_s() -> Result<()> {
    let program = r#"mkdir "/etc/run"; chroot "/etc"; chdir "/"; open(A, "<", "/debian_version") or die;
        socket(S, AF_UNIX, SOCK_STREAM, 0); bind(S, pack_sockaddr_un("/run/s")) or die; listen(S, 5)"#;
    let container = perl(&["--network", "none"], program)?;
    let Recorded { manifest, .. } = attached(&container)?;
    ensure!(manifest.uses("/etc/debian_version") == ["held"].into());
    ensure!(manifest.uses("/debian_version").is_empty() && manifest.uses("/run/s").is_empty());
    ensure!(
        manifest.uses("/etc/run/s") == ["socket"].into(),
        "{:?}",
        manifest.addresses().collect::<Vec<_>>()
    );
    ensure!(manifest.socket("unix /etc/run/s") == ["held"].into());
    ensure!(manifest.origin("/usr/bin/perl") == "image" && manifest.origin("/dev/null") == "kernel");
    Ok(())
}

#[test]
fn names_in_a_mount_namespace_below_the_container_s_are_turned_into_its_own_or_left_out() -> Result<()> {
    let options = ["--network", "none", "--cap-add", "SYS_ADMIN", "--security-opt", "apparmor=unconfined"];
    let script = "echo outer > /opt/same; exec unshare --mount sh -euc '\
        mount --bind /etc /mnt; mount -t tmpfs none /opt; echo inner > /opt/same; echo x > /opt/own; \
        exec 6< /mnt/debian_version 7< /opt/same 8< /opt/own; echo ready; exec sleep 600'";
    let container = Container::run(BASE, &options, &["sh", "-euc", &format!("({script}) & exec sleep 601")])?;
    is_ready(&container)?;
    let Recorded { manifest, .. } = attached(&container)?;
    ensure!(manifest.uses("/etc/debian_version") == ["held"].into());
    for path in ["/mnt/debian_version", "/opt/same", "/opt/own"] {
        ensure!(manifest.uses(path).is_empty(), "{path} is not the container's");
    }
    ensure!(manifest.uses("/usr/bin/sleep").contains("exec"));
    Ok(())
}

#[test]
fn processes_that_fork_and_exit_all_the_time_hide_nothing_that_is_held() -> Result<()> {
    let script = "exec 7< /etc/debian_version; echo ready; \
        while :; do /bin/true & (/bin/true &); wait; done";
    let container = Container::run(BASE, &["--network", "none"], &["sh", "-c", script])?;
    is_ready(&container)?;
    let Recorded { manifest, .. } = recorded(&[container.name()], "true")?;
    manifest.lossless()?;
    ensure!(manifest.uses("/etc/debian_version").contains("held"));
    ensure!(manifest.phases("/etc/debian_version") == ["app"].into());
    Ok(())
}

/// Runs in a container until it is told, does something then, and tells.
const WAITS: &str = "exec 7< /etc/issue; until [ -e /tmp/go ]; do sleep 0.02; done; \
    (cat /etc/debian_version > /dev/null); : > /tmp/done; exec sleep 602";
/// Tells it.
const TELL: &str = "pid=$(docker inspect --format '{{.State.Pid}}' \"$SLIM_CONTAINER_ID\"); \
    touch /proc/$pid/root/tmp/go; until [ -e /proc/$pid/root/tmp/done ]; do sleep 0.02; done";

/// Phases of what a `docker exec` from before holds, and of what it and its children do then.
fn phases_of_an_earlier_exec(options: &[&str]) -> Result<Vec<Vec<String>>> {
    let options = [&["--network", "none"], options].concat();
    let container = Container::run(BASE, &options, &["sleep", "600"])?;
    docker(&["exec", "--detach", container.name(), "sh", "-c", WAITS])?;
    wait_until("the shell of docker exec waits", || {
        Ok(docker(&["top", container.name()])?.contains("sleep 0.02"))
    })?;
    let Recorded { manifest, .. } = recorded(&[container.name()], TELL)?;
    manifest.lossless()?;
    ensure!(manifest.phases("/usr/bin/sleep").contains("app"));
    let phases = |path: &&str| manifest.phases(path).into_iter().map(str::to_owned).collect();
    Ok(["/etc/issue", "/usr/bin/dash", "/usr/bin/cat", "/etc/debian_version"].iter().map(phases).collect())
}

#[test]
fn what_an_earlier_docker_exec_holds_and_does_is_told_from_the_application() -> Result<()> {
    let found = phases_of_an_earlier_exec(&[])?;
    ensure!(found == [["exec"]; 4], "{found:?}");
    Ok(())
}

/// There, nothing tells it from a daemon of the application.
#[test]
fn with_the_host_s_processes_an_earlier_docker_exec_counts_as_the_application() -> Result<()> {
    let found = phases_of_an_earlier_exec(&["--pid", "host"])?;
    ensure!(found == [["app"]; 4], "{found:?}");
    Ok(())
}

#[test]
fn a_later_recording_with_start_up_clears_that_it_was_not_observed() -> Result<()> {
    let container = Container::run(BASE, &["--network", "none"], &["sleep", "600"])?;
    let first = attached(&container)?;
    let later = recorded(&[container.name(), "--restart"], "true")?;
    later.manifest.whole()?;
    let merged = first.path.with_file_name("merged.json");
    let mut merge = agent()?;
    merge.arg("merge").args([&first.path, &later.path]).arg("--output").arg(&merged);
    outcome(&mut merge)?.expect(0)?;

    let slim = Tag::new("merged");
    export_image(&first.path, slim.name(), &[])?.expect(4)?;
    export_image(&merged, slim.name(), &[])?.expect(0)?;
    let again = Container::run(slim.name(), &["--network", "none"], &["sleep", "0"])?;
    ensure!(again.wait()? == 0, "{}", again.logs()?);
    Ok(())
}

#[test]
fn attaching_to_a_running_container_says_that_its_start_was_not_observed() -> Result<()> {
    let container = Container::create(BASE, &["--network", "none"], &["sleep", "300"])?;
    container.start()?;
    let attached = recorded(&[container.name()], "true")?;
    ensure!(attached.manifest.recording()?["startup_observed"] == false);
    attached.manifest.lossless()?;
    let held = attached.manifest.uses("/usr/bin/sleep");
    ensure!(held.contains("exec"), "the running program is {held:?}");

    let slim = Tag::new("attached");
    let refused = export_image(&attached.path, slim.name(), &[])?;
    ensure!(refused.stderr.contains("start-up was not observed"), "{}", refused.stderr);
    refused.expect(4)?;
    ensure!(docker(&["image", "inspect", slim.name()]).is_err(), "refused, and exported all the same");
    export_image(&attached.path, slim.name(), &["--allow-incomplete"])?.expect(0)?;

    let restarted = recorded(&[container.name(), "--restart"], "true")?;
    restarted.manifest.whole()?;
    export_image(&restarted.path, slim.name(), &[])?.expect(0)?;
    let again = Container::run(slim.name(), &["--network", "none"], &["sleep", "0"])?;
    ensure!(again.wait()? == 0, "{}", again.logs()?);
    Ok(())
}
