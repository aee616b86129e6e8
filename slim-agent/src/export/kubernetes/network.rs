//! Whom the pod may talk to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::labels;
use crate::export::deployment::Deployment;
use crate::export::yaml::{Entry, Item, entry, item};
use crate::harden::{Address, Connection, ports};

/// The NetworkPolicy.
pub(super) fn policy(deployment: &Deployment<'_>) -> Vec<Entry> {
    let hardening = deployment.hardening;
    let ingress: Vec<Item> = ports(&hardening.listens)
        .iter()
        .flat_map(|(number, protocols)| protocols.iter().filter_map(|name| port(*number, name, "port")))
        .map(item)
        .collect();
    let ingress = if ingress.is_empty() { Vec::new() } else { vec![item(vec![entry("ports", ingress)])] };
    let mut egress = Vec::new();
    if hardening.resolves {
        egress.push(names());
    }
    egress.extend(rules(&hardening.connects));
    let spec = vec![
        entry("podSelector", vec![entry("matchLabels", labels(deployment.name))]),
        entry("policyTypes", vec![item("Ingress"), item("Egress")]),
        entry("ingress", ingress).because("the ports at which it was seen waiting"),
        entry("egress", egress).because("what it was seen connecting to"),
    ];
    vec![
        entry("apiVersion", "networking.k8s.io/v1"),
        entry("kind", "NetworkPolicy"),
        entry("metadata", vec![entry("name", deployment.name)]),
        entry("spec", spec),
    ]
}

/// A port, if Kubernetes knows the protocol.
pub(super) fn port(number: u16, protocol: &str, key: &str) -> Option<Vec<Entry>> {
    let known = ["TCP", "UDP", "SCTP"].into_iter().find(|known| known.eq_ignore_ascii_case(protocol))?;
    Some(vec![entry(key, u32::from(number)), entry("protocol", known)])
}

/// The cluster's name server.
fn names() -> Item {
    let pods = vec![entry("matchLabels", vec![entry("k8s-app", "kube-dns")])];
    let to = vec![item(vec![entry("namespaceSelector", Vec::<Entry>::new()), entry("podSelector", pods)])];
    let ports = ["UDP", "TCP"].map(|protocol| item(vec![entry("port", 53), entry("protocol", protocol)]));
    item(vec![entry("to", to), entry("ports", Vec::from(ports))]).because("it asks for names of hosts")
}

/// A rule for each public address, and one for each port of private ones: those were the recording's, and the cluster has
/// others.
fn rules(connects: &[Connection]) -> Vec<Item> {
    let mut public: BTreeMap<IpAddr, BTreeSet<(u16, &str)>> = BTreeMap::new();
    let mut private: BTreeMap<(u16, &str), BTreeSet<IpAddr>> = BTreeMap::new();
    for connection in connects.iter().filter(|connection| connection.leaves()) {
        let Address::Inet(ip, number) = connection.address else { continue };
        let ip = ip.to_canonical();
        for protocol in &connection.protocols {
            if is_private(ip) {
                private.entry((number, protocol)).or_default().insert(ip);
            } else {
                public.entry(ip).or_default().insert((number, protocol));
            }
        }
    }
    let to_public = public.into_iter().map(|(ip, ends)| {
        let bits = if ip.is_ipv4() { 32 } else { 128 };
        let block = vec![entry("ipBlock", vec![entry("cidr", format!("{ip}/{bits}"))])];
        Some(rule(ends, Some(block))?.because(format!("it connected to {ip}")))
    });
    let to_private = private.into_iter().map(|(end, ips)| {
        let ips: Vec<String> = ips.iter().map(ToString::to_string).collect();
        let why = format!("it connected to {} where it was recorded: add who that is here", ips.join(", "));
        Some(rule([end].into(), None)?.because(why))
    });
    to_public.chain(to_private).flatten().collect()
}

/// None when Kubernetes knows none of the protocols: without ports, a rule would allow them all.
fn rule(ends: BTreeSet<(u16, &str)>, to: Option<Vec<Entry>>) -> Option<Item> {
    let ports: Vec<Item> =
        ends.into_iter().filter_map(|(number, protocol)| port(number, protocol, "port")).map(item).collect();
    let to = to.map(|block| entry("to", vec![item(block)]));
    let rule = |ports| item(to.into_iter().chain([entry("ports", ports)]).collect::<Vec<_>>());
    (!ports.is_empty()).then_some(ports).map(rule)
}

/// Whether an address means something else in another network.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            ip.is_private() || ip.is_link_local() || ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}
