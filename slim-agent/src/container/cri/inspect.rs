//! From a CRI runtime's answers to this program's terms: no requests, only reading.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::messages::{
    ContainerState, ContainerStatus, Image, Listed, ListedSandbox, Mount, NamespaceMode, PodSandboxMetadata,
    PodSandboxStatus,
};
use crate::container::State;
use crate::manifest::{ImageRef, PathBytes};

/// Labels that the kubelet gives to containers, and CRI's own names for the same.
const POD_NAME: &str = "io.kubernetes.pod.name";
const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
const POD_UID: &str = "io.kubernetes.pod.uid";
const CONTAINER_NAME: &str = "io.kubernetes.container.name";

/// Where the kubelet keeps what it mounts as volumes.
const VOLUMES: &str = "/volumes/";

/// The JSON document of a verbose answer; null where there is none.
pub(super) fn info(info: &HashMap<String, String>) -> Value {
    info.get("info").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Where a container is in its life. One that has exited stays so: Kubernetes makes another instead.
pub(super) fn state(state: i32) -> State {
    match ContainerState::try_from(state) {
        Ok(ContainerState::Created) => State::Startable,
        Ok(ContainerState::Running) => State::Running,
        Ok(ContainerState::Exited) => {
            State::Other("one that has exited, instead of which Kubernetes makes another")
        }
        Ok(ContainerState::Unknown) | Err(_) => State::Other("in a state that the runtime does not know"),
    }
}

/// `NAMESPACE_POD_CONTAINER`: none of the three can have an underscore.
pub(super) fn name(pod: &PodSandboxMetadata, container: &str) -> String {
    format!("{}_{}_{container}", pod.namespace, pod.name)
}

/// The id of the only container that `wanted` names: by its id or the beginning of it, or by its name, which may be
/// written with slashes, and without namespace or pod.
///
/// # Errors
/// The ids of several that it could be; none when there is no such container.
pub(super) fn resolve(wanted: &str, all: &[Listed], pods: &[ListedSandbox]) -> Result<String, Vec<String>> {
    let ids = |is_meant: &dyn Fn(&Listed) -> bool| -> Vec<String> {
        all.iter().filter(|listed| is_meant(listed)).map(|listed| listed.id.clone()).collect()
    };
    let pods: HashMap<_, _> = pods.iter().filter_map(|pod| Some((&pod.id, pod.metadata.as_ref()?))).collect();
    let wanted = wanted.replace('/', "_");
    let by_name = ids(&|listed| {
        let Some(metadata) = &listed.metadata else { return false };
        let pod = pods.get(&listed.pod_sandbox_id);
        let whole = pod.map_or_else(|| metadata.name.clone(), |pod| name(pod, &metadata.name));
        whole == wanted || whole.ends_with(&format!("_{wanted}"))
    });
    let by_id = ids(&|listed| listed.id == wanted);
    let by_prefix = ids(&|listed| !wanted.is_empty() && listed.id.starts_with(&wanted));
    let mut found =
        [by_id, by_name, by_prefix].into_iter().find(|found| !found.is_empty()).unwrap_or_default();
    match found.pop() {
        Some(only) if found.is_empty() => Ok(only),
        last => Err(found.into_iter().chain(last).collect()),
    }
}

/// The address under which the host reaches the pod.
pub(super) fn ip(pod: &PodSandboxStatus) -> Option<String> {
    let namespaces = pod.linux.as_ref().and_then(|linux| linux.namespaces.as_ref()?.options.as_ref());
    if namespaces.is_some_and(|options| options.network == NamespaceMode::Node as i32) {
        return Some("127.0.0.1".into());
    }
    pod.network.as_ref().map(|network| network.ip.clone()).filter(|ip| !ip.is_empty())
}

/// The labels of image, pod and container, the more particular ones over the others, and what Kubernetes calls the
/// container, which a kubelet puts there too.
pub(super) fn labels(
    image: &Value,
    pod: &PodSandboxStatus,
    container: &ContainerStatus,
    name: &str,
) -> BTreeMap<String, String> {
    let of_image = image["imageSpec"]["config"]["Labels"].as_object().into_iter().flatten();
    let mut labels: BTreeMap<String, String> =
        of_image.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
    let own = |labels: &HashMap<String, String>| labels.clone().into_iter();
    labels.extend(own(&pod.labels).chain(own(&container.labels)));
    let known = pod
        .metadata
        .iter()
        .flat_map(|pod| [(POD_NAME, &pod.name), (POD_NAMESPACE, &pod.namespace), (POD_UID, &pod.uid)]);
    for (key, value) in known {
        labels.entry(key.to_owned()).or_insert_with(|| value.clone());
    }
    labels.entry(CONTAINER_NAME.to_owned()).or_insert_with(|| name.to_owned());
    labels
}

/// Mount point -> `volume` for what the kubelet has as a pod's volume, `bind` for other paths of the host.
pub(super) fn mounts(mounts: &[Mount]) -> BTreeMap<PathBytes, String> {
    let kind = |mount: &Mount| if mount.host_path.contains(VOLUMES) { "volume" } else { "bind" };
    let points = mounts.iter().filter(|mount| mount.container_path.starts_with('/'));
    points.map(|mount| (PathBytes::from(mount.container_path.as_str()), kind(mount).to_owned())).collect()
}

/// The TCP ports that the image exposes, lowest first. What a pod declares is known to Kubernetes only.
pub(super) fn ports(image: &Value) -> Vec<u16> {
    let exposed = image["imageSpec"]["config"]["ExposedPorts"].as_object().into_iter().flatten();
    let tcp = exposed.filter_map(|(port, _)| port.strip_suffix("/tcp").unwrap_or(port).parse().ok());
    tcp.collect::<BTreeSet<u16>>().into_iter().collect()
}

/// Which seccomp filter the container runs under, and the filter where it is its own. Only containerd tells what was
/// asked for; elsewhere a filter counts as the runtime's default.
pub(super) fn seccomp(container: &Value) -> (&'static str, Option<String>) {
    let filter = &container["runtimeSpec"]["linux"]["seccomp"];
    let asked = &container["config"]["linux"]["security_context"];
    let is_own = asked["seccomp"]["profile_type"] == 2
        || asked["seccomp_profile_path"].as_str().is_some_and(|path| path.starts_with("localhost/"));
    match (filter.is_null(), is_own) {
        (true, _) => ("unconfined", None),
        (false, true) => ("custom", Some(filter.to_string())),
        (false, false) => ("default", None),
    }
}

/// The OCI runtime, from the name of containerd's shim: `io.containerd.runc.v2`.
pub(super) fn oci(container: &Value) -> Option<&str> {
    container["runtimeType"].as_str()?.strip_prefix("io.containerd.")?.split('.').next()
}

/// The image, with the id as other engines spell it.
pub(super) fn image(image: Image) -> ImageRef {
    ImageRef {
        id: digest(&image.id),
        repo_digests: image.repo_digests.into_iter().collect(),
        names: image.repo_tags.into_iter().collect(),
    }
}

/// An image that the runtime does not have any more, if its id is known.
pub(super) fn image_gone(reference: &str) -> Option<ImageRef> {
    let id = digest(reference);
    let hex = id.strip_prefix("sha256:")?;
    let is_id = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| ImageRef { id, repo_digests: BTreeSet::new(), names: BTreeSet::new() })
}

/// CRI-O leaves out the algorithm.
fn digest(id: &str) -> String {
    if id.contains(':') { id.to_owned() } else { format!("sha256:{id}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::cri::messages::{
        ContainerMetadata, LinuxPodSandboxStatus, Namespace, NamespaceOption,
    };
    use serde_json::json;

    fn pod(namespace: &str, name: &str) -> PodSandboxMetadata {
        PodSandboxMetadata { name: name.into(), uid: "u1".into(), namespace: namespace.into() }
    }

    fn listed(id: &str, sandbox: &str, name: &str) -> Listed {
        Listed {
            id: id.into(),
            pod_sandbox_id: sandbox.into(),
            metadata: Some(ContainerMetadata { name: name.into() }),
            image_ref: String::new(),
        }
    }

    #[test]
    fn a_container_is_found_by_id_or_by_as_much_of_its_name_as_is_needed() {
        let pods =
            [("p1", pod("shop", "web-7f")), ("p2", pod("shop", "web-8a")), ("p3", pod("test", "web-7f"))];
        let pods = pods.map(|(id, metadata)| ListedSandbox { id: id.into(), metadata: Some(metadata) });
        let all = [listed("aa1", "p1", "nginx"), listed("aa2", "p2", "nginx"), listed("bb3", "p3", "proxy")];
        let found = |wanted: &str| resolve(wanted, &all, &pods).map_err(|several| several.len());
        assert_eq!(found("aa1"), Ok("aa1".into()));
        assert_eq!(found("b"), Ok("bb3".into()));
        assert_eq!(found("proxy"), Ok("bb3".into()));
        assert_eq!(found("web-8a/nginx"), Ok("aa2".into()));
        assert_eq!(found("shop/web-7f/nginx"), Ok("aa1".into()));
        assert_eq!(found("shop_web-7f_nginx"), Ok("aa1".into()));
        assert_eq!(found("nginx"), Err(2));
        assert_eq!(found("aa"), Err(2));
        assert_eq!(found("ginx"), Err(0));
        assert_eq!(found(""), Err(0));
    }

    #[test]
    fn a_pod_in_the_host_s_network_is_reached_at_loopback() {
        let mut status = PodSandboxStatus::default();
        assert_eq!(ip(&status), None);
        let options = Some(NamespaceOption { network: NamespaceMode::Node as i32 });
        status.linux = Some(LinuxPodSandboxStatus { namespaces: Some(Namespace { options }) });
        assert_eq!(ip(&status).as_deref(), Some("127.0.0.1"));
    }

    #[test]
    fn the_more_particular_label_wins_and_kubernetes_names_are_there() {
        let image = json!({ "imageSpec": { "config": { "Labels": { "a": "image", "b": "image" } } } });
        let pod = PodSandboxStatus {
            metadata: Some(pod("shop", "web")),
            labels: HashMap::from([("b".into(), "pod".into()), (POD_NAME.into(), "told".into())]),
            ..PodSandboxStatus::default()
        };
        let labels = labels(&image, &pod, &ContainerStatus::default(), "nginx");
        let label = |key: &str| labels.get(key).map(String::as_str);
        assert_eq!((label("a"), label("b")), (Some("image"), Some("pod")));
        assert_eq!((label(POD_NAME), label(POD_NAMESPACE)), (Some("told"), Some("shop")));
        assert_eq!(label(CONTAINER_NAME), Some("nginx"));
    }

    #[test]
    fn the_filter_that_is_on() {
        let spec = json!({ "linux": { "seccomp": { "defaultAction": "SCMP_ACT_ERRNO" } } });
        let asked =
            |kind: u8| json!({ "linux": { "security_context": { "seccomp": { "profile_type": kind } } } });
        assert_eq!(seccomp(&json!({ "runtimeSpec": {} })), ("unconfined", None));
        assert_eq!(seccomp(&json!({ "runtimeSpec": spec, "config": asked(0) })), ("default", None));
        let (kind, text) = seccomp(&json!({ "runtimeSpec": spec, "config": asked(2) }));
        assert_eq!((kind, text.unwrap().contains("SCMP_ACT_ERRNO")), ("custom", true));
    }

    #[test]
    fn ids_of_images_are_spelled_as_elsewhere() {
        let hex = "0".repeat(64);
        assert_eq!(image_gone(&hex).unwrap().id, format!("sha256:{hex}"));
        assert_eq!(image_gone("docker.io/library/nginx:1"), None);
        assert_eq!(oci(&json!({ "runtimeType": "io.containerd.runc.v2" })), Some("runc"));
        assert_eq!(oci(&json!({})), None);
    }
}
