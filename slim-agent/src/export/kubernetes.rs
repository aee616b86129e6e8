//! A Deployment and a NetworkPolicy: the container's security context, its writable directories, and whom it talks to.

mod network;
mod volumes;

use super::deployment::Deployment;
use super::yaml::{Entry, Item, Yaml, comments, document, entry, item};
use crate::harden::{Hardening, ports};
use volumes::Volumes;

/// The label by which Deployment and NetworkPolicy find the container.
const LABEL: &str = "app.kubernetes.io/name";
/// With this one, a container may always gain privileges, and Kubernetes refuses to be told otherwise.
const ALMIGHTY: &str = "CAP_SYS_ADMIN";

/// Both documents.
pub fn documents(deployment: &Deployment<'_>) -> String {
    let volumes = Volumes::of(deployment);
    let name = deployment.name;
    let mut lines = vec![
        deployment.headline(),
        format!("Use: copy {} to {} below the kubelet's seccomp directory on every node", deployment.profile, profile(name)),
        "(/var/lib/kubelet/seccomp), then kubectl apply. For a Deployment that is there already, the part below".into(),
        "spec.template.spec is what to take over.".into(),
    ];
    lines.extend(volumes.obstacles.iter().map(|why| format!("no read-only root: {why}")));
    lines.extend(deployment.gains());
    lines.extend(deployment.notes());
    let workload = document(workload(deployment, &volumes));
    format!("{}{workload}---\n{}", comments(&lines), document(network::policy(deployment)))
}

fn profile(name: &str) -> String {
    format!("slim-agent/{name}.json")
}

fn labels(name: &str) -> Vec<Entry> {
    vec![entry(LABEL, name)]
}

fn workload(deployment: &Deployment<'_>, volumes: &Volumes) -> Vec<Entry> {
    let name = deployment.name;
    let mut pod = pod_security(deployment.hardening);
    if !volumes.copies.is_empty() {
        pod.push(entry("initContainers", volumes.copies.clone()));
    }
    pod.push(entry("containers", vec![item(container(deployment, volumes))]));
    if !volumes.volumes.is_empty() {
        pod.push(entry("volumes", volumes.volumes.clone()));
    }
    let template = vec![entry("metadata", vec![entry("labels", labels(name))]), entry("spec", pod)];
    let selector = vec![entry("matchLabels", labels(name))];
    vec![
        entry("apiVersion", "apps/v1"),
        entry("kind", "Deployment"),
        entry("metadata", vec![entry("name", name), entry("labels", labels(name))]),
        entry("spec", vec![entry("selector", selector), entry("template", template)]),
    ]
}

/// Whoever is not root needs the network's leave for low ports.
fn pod_security(hardening: &Hardening) -> Vec<Entry> {
    let low = ports(&hardening.listens).into_keys().find(|port| *port < 1024);
    let Some(low) = low.filter(|_| !hardening.account.may_be_root()) else { return Vec::new() };
    let sysctl = vec![entry("name", "net.ipv4.ip_unprivileged_port_start"), entry("value", "0")];
    let sysctl = item(sysctl).because(format!("waits at port {low}, and is not root"));
    vec![entry("securityContext", vec![entry("sysctls", vec![sysctl])])]
}

fn container(deployment: &Deployment<'_>, volumes: &Volumes) -> Vec<Entry> {
    let name = deployment.name;
    let mut container = vec![entry("name", name), entry("image", deployment.image)];
    let ports: Vec<Item> = ports(&deployment.hardening.listens)
        .iter()
        .flat_map(|(port, protocols)| {
            protocols.iter().filter_map(|name| network::port(*port, name, "containerPort"))
        })
        .map(item)
        .collect();
    if !ports.is_empty() {
        container.push(entry("ports", ports));
    }
    container.push(entry("securityContext", security(deployment, volumes)));
    if !volumes.mounts.is_empty() {
        container.push(entry("volumeMounts", volumes.mounts.clone()));
    }
    container
}

fn security(deployment: &Deployment<'_>, volumes: &Volumes) -> Vec<Entry> {
    let Hardening { account, gains, capabilities, .. } = deployment.hardening;
    let mut context = Vec::new();
    if gains.is_empty() && !capabilities.needed.contains_key(ALMIGHTY) {
        let why = "no program that gives privileges was executed";
        context.push(entry("allowPrivilegeEscalation", false).because(why));
    }
    context.push(entry("readOnlyRootFilesystem", volumes.obstacles.is_empty()));
    if let (Some(uid), false) = (account.uid, account.may_be_root()) {
        context.push(entry("runAsNonRoot", true));
        context.push(entry("runAsUser", uid).because(format!("{} of the image", account.spelled)));
        context.extend(account.gid.map(|gid| entry("runAsGroup", gid)));
    }
    let mut lists = vec![entry("drop", vec![item("ALL")]).because(deployment.capabilities())];
    let add = capabilities.needed.iter().map(|(name, reasons)| {
        let reasons: Vec<&str> = reasons.iter().map(String::as_str).collect();
        item(name.trim_start_matches("CAP_")).because(reasons.join("; "))
    });
    let add: Vec<Item> = add.collect();
    if !add.is_empty() {
        lists.push(entry("add", Yaml::List(add)));
    }
    context.push(entry("capabilities", lists));
    let local = profile(deployment.name);
    let seccomp = vec![entry("type", "Localhost"), entry("localhostProfile", local)];
    context.push(entry("seccompProfile", seccomp));
    context
}
