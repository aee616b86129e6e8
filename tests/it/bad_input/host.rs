//! Hosts and users that cannot record: exit code 3, with the cause by its name.

use anyhow::{Result, ensure};
use serde_json::Value;
use slim_tests::{Container, Proxy, refused, told};

use super::{BASE, ENOUGH, Public, slim_after, slim_under};

#[test]
fn a_user_who_is_not_root_is_told_which_capabilities_are_missing() -> Result<()> {
    let words = ["CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH", "run as root"];
    refused(&mut Public::new()?.as_nobody(&[], &["record", "web"]), 3, &words).map(drop)
}

#[test]
fn the_four_capabilities_and_the_engines_group_are_enough() -> Result<()> {
    let container = Container::create(BASE, &[], &["cat", "/etc/debian_version"])?;
    let public = Public::new()?;
    let mut agent = public.as_nobody(&ENOUGH, &["record", container.name(), "-o", "-"]);
    // Instead of the engine's group, whose name differs from host to host.
    let proxy = Proxy::open()?;
    proxy.allow_everyone()?;
    let recorded = told(agent.env("DOCKER_HOST", proxy.host()), 0, &[])?;
    let manifest: Value = serde_json::from_str(&recorded.stdout)?;
    ensure!(manifest["files"]["/etc/debian_version"]["origin"] == "image", "{}", manifest["files"]);
    Ok(())
}

#[test]
fn root_with_fewer_capabilities_is_told_only_those_that_are_missing() -> Result<()> {
    let wrapper = ["setpriv", "--bounding-set", "-sys_admin,-perfmon"];
    let said = refused(&mut slim_under(&wrapper, &["record", "web"])?, 3, &["CAP_PERFMON"])?;
    ensure!(
        !said.stderr.contains("CAP_BPF"),
        "a capability that is there is called missing: {}",
        said.stderr
    );
    Ok(())
}

#[test]
fn a_kernel_that_is_too_old_is_named_with_its_version() -> Result<()> {
    let old = ["setarch", "--uname-2.6"];
    refused(&mut slim_under(&old, &["record", "web"])?, 3, &["kernel 2.6.", "too old", "5.10"]).map(drop)
}

#[test]
fn a_kernel_without_btf_is_told_what_it_was_built_without() -> Result<()> {
    let mut agent = slim_after("mount -t tmpfs none /sys/kernel/btf", &["record", "web"])?;
    refused(&mut agent, 3, &["/sys/kernel/btf/vmlinux", "CONFIG_DEBUG_INFO_BTF"]).map(drop)
}

#[test]
fn a_host_without_cgroup_v2_is_told_how_to_mount_it() -> Result<()> {
    let mut agent = slim_after("umount --recursive /sys/fs/cgroup", &["record", "web"])?;
    refused(&mut agent, 3, &["no cgroup v2 hierarchy is mounted", "mount -t cgroup2"]).map(drop)
}

#[test]
fn doctor_tells_a_host_that_cannot_record_by_its_exit_code_and_still_writes_json() -> Result<()> {
    let said = told(&mut Public::new()?.as_nobody(&[], &["doctor", "--format", "json"]), 3, &[])?;
    let report: Value = serde_json::from_str(&said.stdout)?;
    ensure!(report["recording"] == false, "{report}");
    let named = report["checks"].as_array().into_iter().flatten().any(|check| {
        check["name"] == "capabilities"
            && check["status"] == "missing"
            && check["detail"].as_str().is_some_and(|detail| detail.contains("CAP_BPF"))
    });
    ensure!(named, "the missing capabilities are not in {report}");
    Ok(())
}
