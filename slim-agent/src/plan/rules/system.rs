//! Rules about what system libraries load or read by themselves, at moments that a recording need not reach.

use anyhow::Result;

use super::{Work, reason};
use crate::manifest::PathBytes;
use crate::plan::keeper::Fresh;

/// Read by getaddrinfo(3), getservbyname(3) and their kin.
const NAME_SERVICE_FILES: [&str; 5] =
    ["/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/services", "/etc/protocols"];

/// Beginnings of the names of libraries that check certificates.
const TLS_LIBRARIES: [&[u8]; 6] =
    [b"libssl.so", b"libgnutls.so", b"libnss3.so", b"libmbedtls.so", b"libwolfssl.so", b"libjvm.so"];

/// Where distributions have certificate authorities, and the settings of OpenSSL and p11-kit.
const CERTIFICATES: [&str; 12] = [
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/openssl.cnf",
    "/etc/pki/ca-trust/extracted",
    "/usr/lib/ssl/cert.pem",
    "/usr/lib/ssl/certs",
    "/usr/lib/ssl/openssl.cnf",
    "/var/lib/ca-certificates/ca-bundle.pem",
];

/// Where a Java runtime has them, seen from the directory of its libjvm.so.
const JAVA_CERTIFICATES: [&str; 2] = ["../security", "../../conf/security"];

/// What a Java runtime has beside its libraries for parts of it that nothing may have asked for so far.
const JAVA_FILES: [&[u8]; 3] = [b"jspawnhelper", b"tzdb.dat", b"jvm.cfg"];

pub(super) fn unwinder(work: &mut Work<'_, '_>, file: &Fresh) -> Result<()> {
    if is_glibc(file) { library(work, "unwinder", file, b"libgcc_s.so.1") } else { Ok(()) }
}

pub(super) fn name_service(work: &mut Work<'_, '_>, file: &Fresh) -> Result<()> {
    if !is_glibc(file) {
        return Ok(());
    }
    for name in NAME_SERVICE_FILES {
        work.keeper.keep_if_there(&name.into(), &reason("name-service", &file.entry.path))?;
    }
    let config = work.keeper.text(b"/etc/nsswitch.conf")?.map(|(_, text)| text);
    for service in services(config.as_deref().unwrap_or(b"all: files dns")) {
        library(work, "name-service", file, &[b"libnss_", &service[..], b".so.2"].concat())?;
    }
    Ok(())
}

pub(super) fn certificates(work: &mut Work<'_, '_>, file: &Fresh) -> Result<()> {
    let name = file.entry.path.file_name();
    let known = TLS_LIBRARIES.iter().any(|start| name.starts_with(start));
    // A static program may have any library in it.
    let mut is_static = || {
        let linking = work.libraries.linking(work.keeper, &file.entry)?;
        anyhow::Ok(linking.is_some_and(|linking| linking.is_static_program))
    };
    if !known && !is_static()? {
        return Ok(());
    }
    let reason = reason("certificates", &file.entry.path);
    for name in CERTIFICATES {
        work.keeper.keep_tree(&name.into(), &reason)?;
    }
    if name.starts_with(b"libjvm.so")
        && let Some(dir) = file.entry.path.parent()
    {
        for name in JAVA_CERTIFICATES {
            work.keeper.keep_tree(&dir.join(name.as_bytes()), &reason)?;
        }
    }
    Ok(())
}

/// Classes of the runtime load its libraries by name, and read its settings, when they are used first.
pub(super) fn java(work: &mut Work<'_, '_>, file: &Fresh) -> Result<()> {
    let path = &file.entry.path;
    let is_machine = path.file_name() == b"libjvm.so";
    // lib/server/libjvm.so
    let Some(lib) = path.parent().and_then(|dir| dir.parent()).filter(|_| is_machine) else { return Ok(()) };
    let reason = reason("java", path);
    for name in work.keeper.list(&lib)? {
        let wanted = [&b".so"[..], b".properties"].iter().any(|end| name.ends_with(end));
        if wanted || JAVA_FILES.contains(&&name[..]) {
            work.keeper.keep_if_there(&lib.join(&name), &reason)?;
        }
    }
    let Some(home) = lib.parent() else { return Ok(()) };
    work.keeper.keep_tree(&home.join(b"conf"), &reason).map(drop)
}

/// The names after the colons of `nsswitch.conf`, without what stands in brackets (nsswitch.conf(5)); sorted.
fn services(text: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for line in text.split(|&byte| byte == b'\n') {
        let line = line.split(|&byte| byte == b'#').next().unwrap_or_default();
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let mut in_brackets = false;
        for word in line[colon + 1..].split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
            in_brackets |= word.starts_with(b"[");
            if !in_brackets && !word.contains(&b'/') {
                found.push(word.to_vec());
            }
            in_brackets &= !word.ends_with(b"]");
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Whether this is the C library of glibc, by its own name or by that of old versions.
fn is_glibc(file: &Fresh) -> bool {
    let name = file.entry.path.file_name();
    name == b"libc.so.6" || name.starts_with(b"libc-2.")
}

/// Keeps a library that can be linked with `file`, if the image has one.
fn library(work: &mut Work<'_, '_>, rule: &'static str, file: &Fresh, name: &[u8]) -> Result<()> {
    let Some(linking) = work.libraries.linking(work.keeper, &file.entry)? else { return Ok(()) };
    let found: Vec<PathBytes> = work.libraries.find(work.keeper, linking.form, file, name)?;
    for name in found {
        work.keeper.keep_if_there(&name, &reason(rule, &file.entry.path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn services_without_actions() {
        let text = b"# c\npasswd: files systemd\nhosts: files mdns4 [NOTFOUND=return] dns [ !UNAVAIL = return ] myhostname\nbad\n";
        let names = services(text);
        assert_eq!(names.join(&b' '), b"dns files mdns4 myhostname systemd");
    }

    proptest! {
        #[test]
        fn any_text_is_fine(text: Vec<u8>) {
            prop_assert!(services(&text).iter().all(|name| !name.contains(&b'/')));
        }
    }
}
