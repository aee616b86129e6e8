//! An override file for docker compose: what the service is denied, beside the file that says how it is run.

use super::deployment::{Deployment, writable};
use super::docker_run::tmpfs;
use super::yaml::{Entry, Item, comments, document, entry, item};

/// The file.
pub fn file(deployment: &Deployment<'_>) -> String {
    let name = deployment.name;
    let mut lines = vec![
        deployment.headline(),
        format!("Use: docker compose --file YOURS --file FILE up, where YOURS has a service {name}"),
    ];
    if !deployment.hardening.read_only.is_possible() {
        lines.extend(deployment.read_only_obstacles());
    }
    lines.extend(deployment.gains());
    lines.extend(deployment.notes());
    let mut service = vec![entry("image", verbatim(deployment.image))];
    service.extend(read_only(deployment));
    service.push(entry("cap_drop", vec![item("ALL")]).because(deployment.capabilities()));
    service.extend(capabilities(deployment));
    service.push(entry("security_opt", security(deployment)));
    let services = vec![entry("services", vec![entry(name, service)])];
    comments(&lines) + &document(services)
}

fn read_only(deployment: &Deployment<'_>) -> Vec<Entry> {
    let read_only = &deployment.hardening.read_only;
    if !read_only.is_possible() {
        return Vec::new();
    }
    let (mut empty, mut copied) = (Vec::new(), Vec::new());
    for dir in &read_only.writable {
        if dir.is_temporary() {
            empty.push(item(verbatim(&tmpfs(dir))).because(writable(dir)));
        } else {
            let target = String::from_utf8_lossy(dir.path.as_bytes());
            let volume = vec![entry("type", "volume"), entry("target", verbatim(&target))];
            copied.push(item(volume).because(writable(dir)));
        }
    }
    let lists = [("tmpfs", empty), ("volumes", copied)];
    let filled = lists.into_iter().filter(|(_, items)| !items.is_empty());
    let lists = filled.map(|(key, items)| entry(key, items));
    [entry("read_only", true)].into_iter().chain(lists).collect()
}

fn capabilities(deployment: &Deployment<'_>) -> Option<Entry> {
    let needed = &deployment.hardening.capabilities.needed;
    let add = needed.iter().map(|(name, reasons)| {
        let reasons: Vec<&str> = reasons.iter().map(String::as_str).collect();
        item(name.trim_start_matches("CAP_")).because(reasons.join("; "))
    });
    let add: Vec<Item> = add.collect();
    (!add.is_empty()).then(|| entry("cap_add", add))
}

fn security(deployment: &Deployment<'_>) -> Vec<Item> {
    let profile = item(verbatim(&format!("seccomp={}", deployment.profile)));
    let profile = profile.because("made by slim-agent export seccomp");
    let gains = deployment.hardening.gains.is_empty();
    let no_gain = item("no-new-privileges:true").because("no program that gives privileges was executed");
    gains.then_some(no_gain).into_iter().chain([profile]).collect()
}

/// A text in which nothing is a variable.
fn verbatim(text: &str) -> String {
    text.replace('$', "$$")
}
