//! From the engine's answers to this program's terms: no requests, only reading.

use std::collections::{BTreeMap, BTreeSet};

use bollard::ClientVersion;
use bollard::models::{
    ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, HostConfig, ImageInspect,
    NetworkSettings, SystemVersion,
};

use crate::container::State;
use crate::manifest::{ImageRef, PathBytes};

/// Where the container is in its life.
pub(super) fn state(state: &ContainerState) -> State {
    match state.status {
        Some(ContainerStateStatusEnum::CREATED | ContainerStateStatusEnum::EXITED) => State::Startable,
        Some(ContainerStateStatusEnum::RUNNING) => State::Running,
        Some(ContainerStateStatusEnum::PAUSED) => State::Other("paused"),
        Some(ContainerStateStatusEnum::RESTARTING) => State::Other("restarting"),
        Some(ContainerStateStatusEnum::REMOVING) => State::Other("being removed"),
        Some(ContainerStateStatusEnum::DEAD) => State::Other("dead"),
        _ => State::Other("in a state that the engine does not tell"),
    }
}

/// The address under which the host reaches the container: that of its first network by name.
pub(super) fn ip(network_mode: &str, settings: &NetworkSettings) -> Option<String> {
    if network_mode == "host" {
        return Some("127.0.0.1".into());
    }
    let networks: BTreeMap<_, _> = settings.networks.iter().flatten().collect();
    let given = |address: &Option<String>| address.clone().filter(|text| !text.is_empty());
    let v4 = networks.values().find_map(|network| given(&network.ip_address));
    v4.or_else(|| networks.values().find_map(|network| given(&network.global_ipv6_address)))
}

/// Which seccomp filter the container runs under: `default`, `unconfined` or `custom`.
pub(super) fn seccomp(host: &HostConfig) -> &'static str {
    match seccomp_option(host) {
        Some("unconfined") => "unconfined",
        Some("builtin") => "default",
        Some(_) => "custom",
        None if host.privileged == Some(true) => "unconfined",
        None => "default",
    }
}

/// The text of a custom profile: the engine's client sends what is in the file.
pub(super) fn seccomp_profile(host: &HostConfig) -> Option<&str> {
    seccomp_option(host).filter(|option| !["unconfined", "builtin"].contains(option))
}

fn seccomp_option(host: &HostConfig) -> Option<&str> {
    let options = host.security_opt.iter().flatten();
    // The last one counts, as in the engine; `seccomp:` is the old spelling of `seccomp=`.
    let mut chosen = options
        .filter_map(|option| option.strip_prefix("seccomp=").or_else(|| option.strip_prefix("seccomp:")));
    chosen.next_back()
}

/// The words that the container's health check executes, its image's or its own; empty when it has none.
pub(super) fn healthcheck(container: &ContainerInspectResponse) -> Vec<String> {
    let config = container.config.as_ref();
    let test = config.and_then(|config| config.healthcheck.as_ref()?.test.clone()).unwrap_or_default();
    match test.split_first() {
        Some((kind, words)) if kind == "CMD" => words.to_vec(),
        Some((kind, line)) if kind == "CMD-SHELL" => {
            let shell = config.and_then(|config| config.shell.clone()).filter(|shell| !shell.is_empty());
            let shell = shell.unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into()]);
            shell.into_iter().chain(line.first().cloned()).collect()
        }
        _ => Vec::new(),
    }
}

/// Mount point -> kind, from the volumes and binds that the engine resolved and the tmpfs mounts that were asked for.
pub(super) fn mounts(container: &ContainerInspectResponse) -> BTreeMap<PathBytes, String> {
    let resolved = container.mounts.iter().flatten().filter_map(|mount| {
        let kind = match mount.typ.as_deref()? {
            kind @ ("bind" | "tmpfs") => kind,
            // A volume of a cluster, or an image: something that is not this image, like any volume.
            _ => "volume",
        };
        Some((PathBytes::from(mount.destination.as_deref()?), kind.to_owned()))
    });
    let tmpfs = container.host_config.iter().flat_map(|host| host.tmpfs.iter().flatten());
    let tmpfs = tmpfs.map(|(path, _)| (PathBytes::from(path.as_str()), "tmpfs".to_owned()));
    tmpfs.chain(resolved).collect()
}

/// The TCP ports that a container exposes, lowest first: podman tells of its own and of its image's apart.
pub(super) fn ports(container: &ContainerInspectResponse, image: &[String]) -> Vec<u16> {
    let own = container.config.iter().flat_map(|config| config.exposed_ports.iter().flatten());
    let exposed = own.chain(image);
    let tcp = exposed.filter_map(|port| port.strip_suffix("/tcp").unwrap_or(port).parse().ok());
    tcp.collect::<BTreeSet<u16>>().into_iter().collect()
}

/// The labels that the engine has for a container: its image's and its own.
pub(super) fn labels(container: &ContainerInspectResponse) -> BTreeMap<String, String> {
    let labels = container.config.iter().flat_map(|config| config.labels.iter().flatten());
    labels.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// What the first process returned; `None` while it runs, and when it never ran.
pub(super) fn exit_code(state: &ContainerState) -> Option<i64> {
    let ended =
        matches!(state.status, Some(ContainerStateStatusEnum::EXITED | ContainerStateStatusEnum::DEAD));
    state.exit_code.filter(|_| ended)
}

/// The image by its id, with the names that the engine has for it.
pub(super) fn image(id: String, known: Option<ImageInspect>) -> ImageRef {
    let known = known.unwrap_or_default();
    ImageRef {
        id,
        repo_digests: known.repo_digests.into_iter().flatten().collect(),
        names: known.repo_tags.into_iter().flatten().collect(),
    }
}

/// Engine and OCI runtime with versions, as `docker 20.10.24, runc 1.1.5`. The engine tells the version of runc only.
pub(super) fn runtime(version: &SystemVersion, oci: Option<&str>) -> String {
    let engine = name(version);
    if is_podman(version) {
        return podman(&engine, version);
    }
    let oci = match oci {
        // containerd's name for its runc shim.
        None | Some("" | "io.containerd.runc.v2") => "runc",
        Some(name) => name,
    };
    let component = version.components.iter().flatten().find(|component| component.name == oci);
    match component {
        Some(component) => format!("{engine}, {oci} {}", component.version),
        None => format!("{engine}, {oci}"),
    }
}

/// `1.41`, as engines tell of their API.
pub(super) fn api_version(text: &str) -> Option<ClientVersion> {
    let (major, minor) = text.split_once('.')?;
    Some(ClientVersion { major_version: major.parse().ok()?, minor_version: minor.parse().ok()? })
}

/// The engine with its version: `docker 20.10.24`.
pub(super) fn name(version: &SystemVersion) -> String {
    format!("{} {}", engine_name(version), version.version.as_deref().unwrap_or("?"))
}

/// `docker`, or `podman` behind its docker-compatible socket.
fn engine_name(version: &SystemVersion) -> &'static str {
    if is_podman(version) { "podman" } else { "docker" }
}

/// Whether it is podman that speaks Docker's API.
pub(super) fn is_podman(version: &SystemVersion) -> bool {
    version.components.iter().flatten().any(|component| component.name == "Podman Engine")
}

/// podman calls every container's runtime `oci`, and tells of its default one: `OCI Runtime (crun)`, whose version
/// begins with `crun version 1.8.1` or `runc version 1.1.5`.
fn podman(engine: &str, version: &SystemVersion) -> String {
    let default = version.components.iter().flatten().find(|part| part.name.starts_with("OCI Runtime"));
    let words = default.and_then(|part| {
        let (name, number) = part.version.lines().next()?.split_once(" version ")?;
        Some(format!("{engine}, {name} {number}"))
    });
    words.unwrap_or_else(|| engine.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn host(options: &[&str], privileged: bool) -> HostConfig {
        HostConfig {
            security_opt: Some(options.iter().map(|&option| option.to_owned()).collect()),
            privileged: Some(privileged),
            ..Default::default()
        }
    }

    #[test]
    fn the_filter_that_is_on() {
        assert_eq!(seccomp(&host(&[], false)), "default");
        assert_eq!(seccomp(&host(&[], true)), "unconfined");
        assert_eq!(seccomp(&host(&["label=disable", "seccomp=unconfined"], false)), "unconfined");
        assert_eq!(seccomp(&host(&["seccomp={\"defaultAction\":1}"], true)), "custom");
        assert_eq!(seccomp(&HostConfig::default()), "default");
        let profile = "{\"defaultAction\":1}";
        let custom = host(&["seccomp=unconfined", &format!("seccomp={profile}")], false);
        assert_eq!(seccomp_profile(&custom), Some(profile));
        assert_eq!(seccomp_profile(&host(&["seccomp=builtin"], false)), None);
    }

    #[test]
    fn addresses_of_networks() {
        let settings = |networks| -> NetworkSettings {
            serde_json::from_value(json!({ "Networks": networks })).unwrap()
        };
        let two = json!({ "b": { "IPAddress": "10.0.0.2" }, "a": { "IPAddress": "" } });
        assert_eq!(ip("bridge", &settings(two)).as_deref(), Some("10.0.0.2"));
        let v6 = json!({ "a": { "IPAddress": "", "GlobalIPv6Address": "fd00::2" } });
        assert_eq!(ip("a", &settings(v6)).as_deref(), Some("fd00::2"));
        assert_eq!(ip("host", &settings(json!({}))).as_deref(), Some("127.0.0.1"));
        assert_eq!(ip("none", &settings(json!({ "none": { "IPAddress": "" } }))), None);
    }

    #[test]
    fn mounts_of_every_kind() {
        let container: ContainerInspectResponse = serde_json::from_value(json!({
            "Mounts": [
                { "Type": "bind", "Destination": "/etc/hosts.d" },
                { "Type": "volume", "Name": "v", "Destination": "/data" },
            ],
            "HostConfig": { "Tmpfs": { "/run": "size=1m" } },
        }))
        .unwrap();
        let found: Vec<_> = mounts(&container).into_iter().map(|(p, kind)| format!("{p} {kind}")).collect();
        assert_eq!(found, ["/data volume", "/etc/hosts.d bind", "/run tmpfs"]);
    }

    #[test]
    fn the_words_of_a_health_check() {
        let words = |test: serde_json::Value, shell: serde_json::Value| {
            let config = json!({ "Config": { "Healthcheck": { "Test": test }, "Shell": shell } });
            healthcheck(&serde_json::from_value(config).unwrap()).join("|")
        };
        assert_eq!(words(json!(["CMD", "curl", "-f"]), json!(null)), "curl|-f");
        assert_eq!(words(json!(["CMD-SHELL", "a b"]), json!(null)), "/bin/sh|-c|a b");
        assert_eq!(words(json!(["CMD-SHELL", "a b"]), json!(["bash", "-ec"])), "bash|-ec|a b");
        assert_eq!(words(json!(["NONE"]), json!(null)), "");
        assert_eq!(healthcheck(&ContainerInspectResponse::default()), [""; 0]);
    }

    #[test]
    fn exposed_tcp_ports_come_lowest_first() {
        let container = |ports: serde_json::Value| -> ContainerInspectResponse {
            serde_json::from_value(json!({ "Config": { "ExposedPorts": ports } })).unwrap()
        };
        let exposed = json!({ "443/tcp": {}, "80/tcp": {}, "53/udp": {}, "8080": {}, "x/tcp": {} });
        assert_eq!(ports(&container(exposed), &["81/tcp".into(), "80/tcp".into()]), [80, 81, 443, 8080]);
        assert_eq!(ports(&container(json!(null)), &[]), [0; 0]);
        assert_eq!(ports(&ContainerInspectResponse::default(), &[]), [0; 0]);
    }

    #[test]
    fn only_what_ran_has_an_exit_code() {
        let code = |status: &str| {
            exit_code(&serde_json::from_value(json!({ "Status": status, "ExitCode": 3 })).unwrap())
        };
        assert_eq!(code("exited"), Some(3));
        assert_eq!(code("created"), None);
        assert_eq!(code("running"), None);
    }

    #[test]
    fn the_runtime_with_its_version() {
        let version: SystemVersion = serde_json::from_value(json!({
            "Version": "20.10.24",
            "Components": [
                { "Name": "Engine", "Version": "20.10.24" },
                { "Name": "runc", "Version": "1.1.5" },
            ],
        }))
        .unwrap();
        assert_eq!(runtime(&version, Some("runc")), "docker 20.10.24, runc 1.1.5");
        assert_eq!(runtime(&version, Some("io.containerd.runc.v2")), "docker 20.10.24, runc 1.1.5");
        assert_eq!(runtime(&version, Some("crun")), "docker 20.10.24, crun");
    }

    #[test]
    fn versions_of_the_api_are_numbers() {
        let older = api_version("1.9").unwrap();
        assert!(older < api_version("1.41").unwrap());
        assert!(["", "1", "1.x", "v1.41"].iter().all(|text| api_version(text).is_none()));
    }

    #[test]
    fn podman_tells_of_its_default_runtime() {
        let version = |oci: &str| -> SystemVersion {
            serde_json::from_value(json!({
                "Version": "4.3.1",
                "Components": [
                    { "Name": "Podman Engine", "Version": "4.3.1" },
                    { "Name": "OCI Runtime (crun)", "Version": oci },
                ],
            }))
            .unwrap()
        };
        let told = version("crun version 1.8.1\ncommit: f8a0\nspec: 1.0.0");
        assert_eq!(runtime(&told, Some("oci")), "podman 4.3.1, crun 1.8.1");
        assert_eq!(runtime(&version("?"), Some("oci")), "podman 4.3.1");
    }
}
