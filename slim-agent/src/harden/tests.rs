//! Each finding on a small image.

use serde_json::json;

use super::*;
use crate::image::testing::Layers;
use crate::manifest::{FileUse, Origin, Phase, Recording, SocketUse, SyscallUse, Use};
use crate::plan::Policy;

/// A recording that measured capabilities.
fn recording(mounts: &serde_json::Value) -> Recording {
    serde_json::from_value(json!({
        "container_id": null, "container_name": "c", "started": "", "duration_ms": 1, "kernel": "", "runtime": null,
        "seccomp": "none", "mounts": mounts, "startup_observed": true, "complete": true, "incomplete": [],
        "hooks": {"cap_capable": "tp_btf"}, "counters": {}
    }))
    .unwrap()
}

struct Case {
    manifest: Manifest,
    user: &'static str,
}

impl Case {
    fn of(user: &'static str) -> Self {
        Self { manifest: Manifest::new(None), user }
    }

    fn file(mut self, name: &str, origin: Origin, uses: &[Use]) -> Self {
        let used = FileUse {
            origin,
            uses: uses.iter().copied().collect(),
            by: ["/bin/app".into()].into(),
            phases: [Phase::App].into(),
            first_ms: 0,
            first_seen: None,
            seen_in: [].into(),
            windows: BTreeMap::new(),
        };
        self.manifest.files.insert(name.into(), used);
        self
    }

    fn written(self, name: &str) -> Self {
        self.file(name, Origin::Image, &[Use::Write])
    }

    fn ran(self, name: &str) -> Self {
        self.file(name, Origin::Image, &[Use::Exec])
    }

    fn socket(mut self, address: &str, uses: &[&str]) -> Self {
        let used = SocketUse {
            uses: uses.iter().map(|&kind| kind.to_owned()).collect(),
            protocols: [].into(),
            by: [].into(),
            phases: [Phase::App].into(),
            seen_in: [].into(),
        };
        self.manifest.sockets.insert(address.into(), used);
        self
    }

    fn call(mut self, name: &str) -> Self {
        let used = SyscallUse {
            phases: [Phase::App].into(),
            refused: [].into(),
            first_seen: None,
            seen_in: [].into(),
        };
        self.manifest.syscalls.entry("x86_64".into()).or_default().insert(name.into(), used);
        self
    }

    fn hardening(&self) -> Hardening {
        let config = json!({"config": {"User": self.user, "ExposedPorts": {"80/tcp": {}, "81/tcp": {}}}});
        let image = Layers::new().config(&config).layer(|dir| {
            dir.file("bin/app", "")
                .mode("bin/app", 0o755)
                .file("bin/su", "")
                .mode("bin/su", 0o4755)
                .dir("tmp")
                .mode("tmp", 0o1777)
                .dir("run")
                .dir("run/app")
                .file("etc/passwd", "")
                .file("etc/app/settings", "")
                .link("etc/app/out", "/run/out")
                .link("etc/app/log", "/dev/stderr")
                .dir("srv")
                .dir("odd:name");
        });
        let source = image.overlay();
        let plan = Plan::build(&self.manifest, &source, &Policy::default()).unwrap();
        Hardening::derive(&self.manifest, &source, &plan).unwrap()
    }

    /// The directories that must be writable, with `+` where they must begin with something.
    fn writable(&self) -> String {
        let spell = |dir: &Writable| {
            let mark = if dir.holds == Holds::Nothing { "" } else { "+" };
            format!("{}{mark}", dir.path)
        };
        self.hardening().read_only.writable.iter().map(spell).collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn what_is_written_needs_the_nearest_directory_that_the_image_has() {
    assert_eq!(Case::of("").written("/tmp/a/b/c").written("/run/x").writable(), "/run /tmp");
    assert_eq!(Case::of("").written("/run/app/x").writable(), "/run/app");
}

#[test]
fn a_directory_that_holds_what_is_needed_must_begin_with_it() {
    assert_eq!(Case::of("").written("/etc/passwd").writable(), "/etc+");
    assert_eq!(Case::of("").written("/run/app/x").written("/run/y").writable(), "/run+");
}

#[test]
fn only_what_begins_anew_with_the_host_is_temporary() {
    let case = Case::of("").written("/tmp/x").written("/run/x").written("/etc/app/x").written("/srv/x");
    let found = case.hardening().read_only.writable;
    let temporary: Vec<_> = found.iter().map(|dir| (dir.path.to_string(), dir.is_temporary())).collect();
    let expected = [("/etc/app", false), ("/run", true), ("/srv", false), ("/tmp", true)];
    assert_eq!(temporary, expected.map(|(path, is)| (path.to_owned(), is)));
}

#[test]
fn what_was_a_tmpfs_stays_one() {
    let mut case = Case::of("").file("/etc/app/x", Origin::Tmpfs, &[Use::Write]).file(
        "/etc/app/settings",
        Origin::Image,
        &[Use::Open],
    );
    case.manifest.recordings.insert("r".into(), recording(&json!({"/etc/app": "tmpfs"})));
    let found = case.hardening().read_only.writable;
    assert!(found.len() == 1 && found[0].is_temporary(), "{found:?}");
}

#[test]
fn what_is_written_through_a_link_lies_where_the_link_leads() {
    assert_eq!(Case::of("").written("/etc/app/out").writable(), "/run");
    let removed = Case::of("").file("/etc/app/out", Origin::Image, &[Use::Entry]);
    assert_eq!(removed.writable(), "/etc/app+");
    assert_eq!(Case::of("").written("/etc/app/log").writable(), "");
}

#[test]
fn to_make_a_directory_that_is_there_writes_nothing() {
    assert_eq!(Case::of("").file("/run/app", Origin::Image, &[Use::Entry]).writable(), "");
    assert_eq!(Case::of("").file("/run/app", Origin::Image, &[Use::Change]).writable(), "/run/app");
}

#[test]
fn what_is_on_volumes_or_the_kernels_is_writable_anyway() {
    let case = Case::of("").file("/data/x", Origin::Volume, &[Use::Write]);
    assert_eq!(case.file("/proc/x", Origin::Kernel, &[Use::Write]).writable(), "");
}

#[test]
fn a_unix_socket_is_written_by_who_binds_it() {
    let case = |uses| Case::of("").file("/run/s", Origin::Image, &[Use::Socket]).socket("unix /run/s", uses);
    assert_eq!((case(&["bind"]).writable(), case(&["connect"]).writable()), ("/run".into(), String::new()));
}

#[test]
fn what_permissions_forbid_needs_nothing() {
    let case = Case::of("12345:12345").written("/etc/app/cache").written("/tmp/x");
    assert_eq!(case.writable(), "/tmp");
    assert_eq!(case.hardening().read_only.refused, [PathBytes::from("/etc/app/cache")]);
    // With a program that makes it root, nothing is sure.
    assert_eq!(case.ran("/bin/su").writable(), "/etc/app /tmp");
}

#[test]
fn some_writes_forbid_a_read_only_root() {
    let obstacles = |case: Case| case.hardening().read_only.obstacles.len();
    assert_eq!(obstacles(Case::of("").written("/x")), 1);
    assert_eq!(obstacles(Case::of("").written("/odd:name/x")), 1);
    assert_eq!(obstacles(Case::of("").file("/etc/hosts", Origin::Volume, &[Use::Write])), 1);
    assert_eq!(obstacles(Case::of("").file("/etc/hosts", Origin::Volume, &[Use::Open])), 0);
    assert_eq!(obstacles(Case::of("").written("/tmp/x")), 0);
}

#[test]
fn programs_that_give_privileges_are_found() {
    let gains = |case: Case| case.ran("/bin/app").hardening().gains.len();
    assert_eq!(gains(Case::of("12345")), 0);
    assert_eq!(gains(Case::of("12345").ran("/bin/su")), 1);
    // Root gains nothing from root's files while it stays root, and the test's image may not be root's.
    let owner = nix::unistd::getuid().is_root();
    assert_eq!(gains(Case::of("").ran("/bin/su")), usize::from(!owner));
    assert_eq!(gains(Case::of("").ran("/bin/su").call("setuid")), 1);
    let made = Case::of("").file("/run/tool", Origin::Image, &[Use::Exec, Use::Change]);
    assert_eq!(gains(made), 1);
}

#[test]
fn capabilities_by_what_is_known() {
    let of = |case: &Case| case.hardening().capabilities;
    let names = |found: &Capabilities| found.needed.keys().cloned().collect::<Vec<_>>().join(" ");
    let other = of(&Case::of("12345").call("chown"));
    assert_eq!((other.basis, names(&other)), (Basis::NotRoot, String::new()));
    let root = of(&Case::of("").call("setuid"));
    assert_eq!((root.basis, names(&root)), (Basis::Calls, "CAP_KILL CAP_SETUID".into()));
    let gives = |case: Case| names(&of(&case.call("chown"))).replace("CAP_", "");
    assert_eq!(gives(Case::of("")), "CHOWN DAC_OVERRIDE FSETID");
    assert_eq!(gives(Case::of("").call("fchmod")), "CHOWN DAC_OVERRIDE FOWNER FSETID");
    let low = of(&Case::of("").socket("inet 0.0.0.0:80", &["bind"]));
    assert_eq!(names(&low), "CAP_NET_BIND_SERVICE");
    let mut measured = Case::of("").call("chown");
    measured.manifest.recordings.insert("r".into(), recording(&json!({})));
    assert_eq!((of(&measured).basis, names(&of(&measured))), (Basis::Measured, String::new()));
}

#[test]
fn declared_and_observed_ports_are_compared() {
    let case = Case::of("")
        .socket("inet 0.0.0.0:80", &["bind"])
        .socket("inet [::1]:9000", &["bind"])
        .socket("inet 127.0.0.1:0", &["bind"])
        .socket("inet [::]:8080", &["bind"]);
    let found = case.hardening();
    assert_eq!(found.unused_ports, ["81/tcp"]);
    let known: Vec<_> = found.listens.iter().map(|one| (one.port(), one.declared)).collect();
    assert_eq!(known, [(Some(80), true), (None, false), (Some(8080), false)]);
}

#[test]
fn what_stays_in_the_container_is_no_connection_to_outside() {
    let case = Case::of("")
        .socket("inet 127.0.0.1:80", &["connect"])
        .socket("inet 0.0.0.0:80", &["connect"])
        .socket("inet 10.0.0.1:0", &["connect"])
        .socket("inet 10.0.0.1:53", &["send"])
        .socket("inet 10.0.0.2:5432", &["connect"]);
    let found = case.hardening();
    let leaving = found.connects.iter().filter(|one| one.leaves()).map(|one| one.address.to_string());
    assert_eq!(leaving.collect::<Vec<_>>(), ["10.0.0.2:5432"]);
    assert!(found.resolves && !Case::of("").hardening().resolves);
}
