//! `show --connects`: every address that was connected to, bound or listened at.

use std::collections::BTreeMap;

use serde::Serialize;

use super::View;
use super::document::{Document, list, path, spelled, words};
use super::known::Known;
use crate::manifest::{Manifest, SocketUse};

/// The view.
#[derive(Debug, Serialize)]
pub struct Sockets<'a> {
    sockets: &'a BTreeMap<String, SocketUse>,
}

impl<'a> Sockets<'a> {
    /// All of the manifest.
    pub fn new(known: &'a Known) -> Self {
        Self { sockets: &known.manifest.sockets }
    }
}

impl View for Sockets<'_> {
    fn document(&self) -> Document {
        let mut document = Document::default();
        let row = |(address, socket): (&String, &SocketUse)| {
            vec![
                address.clone(),
                list(&socket.uses),
                list(&socket.protocols),
                list(socket.by.iter().map(path)),
                spelled(&socket.phases),
            ]
        };
        let columns = ["address", "uses", "protocols", "by", "phases"].map(words);
        document.table(&columns, self.sockets.iter().map(row).collect());
        document.line(format!("{} addresses", self.sockets.len()));
        document
    }
}

/// The ports that the container waited at, as `80/tcp`, or `80` where the protocol is not known. A TCP socket that is
/// bound and does not listen is no such port.
pub fn observed_ports(manifest: &Manifest) -> Vec<String> {
    let mut ports = std::collections::BTreeSet::new();
    for (address, socket) in &manifest.sockets {
        let Some(port) = port(address) else { continue };
        let does = |what: &str| socket.uses.contains(what);
        let waits = does("listen") || does("held");
        if socket.protocols.is_empty() && (waits || does("bind")) {
            ports.insert((port, String::new()));
        }
        for protocol in &socket.protocols {
            if waits || (does("bind") && protocol != "tcp") {
                ports.insert((port, format!("/{protocol}")));
            }
        }
    }
    ports.into_iter().map(|(port, protocol)| format!("{port}{protocol}")).collect()
}

/// The port of an internet address that is not left to the kernel.
fn port(address: &str) -> Option<u16> {
    let (_, port) = address.strip_prefix("inet ")?.rsplit_once(':')?;
    port.parse().ok().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_those_that_something_waits_at() {
        let mut manifest = Manifest::new(None);
        for (address, uses, protocols) in [
            ("inet 0.0.0.0:80", &["bind", "listen"][..], &["tcp"][..]),
            ("inet [::]:80", &["bind", "listen"], &["tcp"]),
            ("inet 10.0.0.1:4711", &["bind"], &["tcp"]),
            ("inet 0.0.0.0:53", &["bind"], &["udp"]),
            ("inet 0.0.0.0:0", &["bind"], &["udp"]),
            ("inet 0.0.0.0:8080", &["bind"], &[]),
            ("inet 127.0.0.1:443", &["connect"], &["tcp"]),
            ("unix /run/x:1", &["bind", "listen"], &["stream"]),
        ] {
            let set = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
            let (by, phases, seen_in) = Default::default();
            let socket = SocketUse { uses: set(uses), protocols: set(protocols), by, phases, seen_in };
            manifest.sockets.insert(address.to_owned(), socket);
        }
        assert_eq!(observed_ports(&manifest), ["53/udp", "80/tcp", "8080"]);
    }
}
