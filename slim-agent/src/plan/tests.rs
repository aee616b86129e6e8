//! Plans for small images, each rule seen at work.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::*;
use crate::image::testing::Layers;
use crate::manifest::{Observed, Recording};

/// A manifest in which the application used `files` in these ways.
pub(super) fn manifest(files: &[(&str, Use)]) -> Manifest {
    let mut manifest = Manifest::new(None);
    for &(name, kind) in files {
        manifest
            .files
            .entry(name.into())
            .or_insert_with(|| used(Origin::Image, Phase::App))
            .uses
            .insert(kind);
    }
    manifest
}

fn used(origin: Origin, phase: Phase) -> FileUse {
    FileUse {
        origin,
        uses: BTreeSet::new(),
        by: BTreeSet::new(),
        phases: [phase].into(),
        first_ms: 0,
        first_seen: None,
        seen_in: BTreeSet::new(),
        windows: BTreeMap::new(),
    }
}

fn recording(mounts: &[(&str, &str)]) -> Recording {
    let mounts: BTreeMap<_, _> = mounts.iter().map(|&(point, kind)| (point, kind)).collect();
    serde_json::from_value(json!({
        "container_id": null, "container_name": "c", "started": "", "duration_ms": 1, "kernel": "", "runtime": null,
        "seccomp": "none", "mounts": mounts, "startup_observed": true, "complete": true, "incomplete": [],
        "hooks": {}, "counters": {}
    }))
    .unwrap()
}

fn build(manifest: &Manifest, image: &Layers) -> Plan {
    Plan::build(manifest, &image.overlay(), &Policy::default()).unwrap()
}

pub(super) fn kept(plan: &Plan) -> Vec<String> {
    plan.kept.keys().map(ToString::to_string).collect()
}

pub(super) fn why(plan: &Plan, path: &str) -> String {
    serde_json::to_string(&plan.kept[&PathBytes::from(path)]).unwrap()
}

#[test]
fn names_bring_their_links_and_parents() {
    let image = Layers::new().layer(|dir| {
        dir.file("usr/lib/libc.so.6", "libc").file("usr/lib/other", "").link("lib", "usr/lib");
        dir.link("usr/lib/libc.so", "libc.so.6").link("dangling", "usr/nowhere");
    });
    let plan = build(&manifest(&[("/lib/libc.so", Use::Open), ("/dangling", Use::Stat)]), &image);
    assert_eq!(
        kept(&plan),
        ["/dangling", "/lib", "/usr", "/usr/lib", "/usr/lib/libc.so", "/usr/lib/libc.so.6"]
    );
    assert_eq!(why(&plan, "/lib"), r#"[{"symlink-hop":"/lib/libc.so"}]"#);
    assert_eq!(why(&plan, "/usr/lib/libc.so"), r#"[{"used":{"uses":["open"],"by":[]}}]"#);
    assert_eq!(why(&plan, "/dangling"), r#"[{"used":{"uses":["stat"],"by":[]}}]"#);
    assert_eq!(why(&plan, "/usr/lib"), r#"[{"parent":"/usr/lib/libc.so"}]"#);
    assert_eq!(why(&plan, "/usr"), r#"[{"above-missing":"/dangling"}]"#);
    assert_eq!((plan.totals.files, plan.totals.bytes), (4, 4));
    assert!(plan.left_out.is_empty());
}

#[test]
fn files_made_at_run_time_keep_only_the_directory() {
    let image = Layers::new().layer(|dir| {
        dir.dir("var").dir("var/log");
    });
    let plan = build(&manifest(&[("/var/log/app/today", Use::Write)]), &image);
    assert_eq!(kept(&plan), ["/var", "/var/log"]);
    assert_eq!(plan.left_out[&"/var/log/app/today".into()], LeftOut::NotInImage);
}

#[test]
fn scripts_bring_their_interpreters() {
    let image = Layers::new().layer(|dir| {
        dir.file("run", "#!/bin/one\n").file("bin/one", "#! /bin/two -x\n").file("bin/two", "\x7fELF");
        dir.file("bin/three", "").file("read", "#!/bin/three\n").file("lost", "#!/bin/none\n");
    });
    let plan = build(&manifest(&[("/run", Use::Exec), ("/read", Use::Open), ("/lost", Use::Exec)]), &image);
    assert_eq!(kept(&plan), ["/bin", "/bin/one", "/bin/two", "/lost", "/read", "/run"]);
    assert_eq!(why(&plan, "/bin/two"), r#"[{"script-interpreter":"/bin/one"}]"#);
}

#[test]
fn scripts_that_run_each_other_come_to_an_end() {
    let image = Layers::new().layer(|dir| {
        dir.file("a", "#!/b\n").file("b", "#!/a\n");
    });
    assert_eq!(kept(&build(&manifest(&[("/a", Use::Exec)]), &image)), ["/a", "/b"]);
}

#[test]
fn the_engine_gets_what_it_needs() {
    let image = Layers::new().config(&json!({"config": {
        "Entrypoint": ["start"], "Cmd": ["serve", "-x"], "WorkingDir": "/srv", "Volumes": {"/data": {}},
        "Env": ["PATH=/none:/opt"], "Healthcheck": {"Test": ["CMD-SHELL", "true"]},
    }}));
    let image = image.layer(|dir| {
        dir.file("etc/passwd", "")
            .file("etc/shadow", "")
            .dir("srv")
            .dir("data")
            .dir("tmp")
            .link("var/run", "/run");
        dir.file("opt/start", "#!/bin/sh\n")
            .mode("opt/start", 0o755)
            .file("opt/serve", "")
            .dir("run")
            .dir("mnt");
        dir.file("bin/dash", "").mode("bin/dash", 0o755).link("bin/sh", "dash").mode("opt/serve", 0o644);
    });
    let mut manifest = manifest(&[]);
    manifest.recordings.insert("r".into(), recording(&[("/mnt", "bind"), ("/absent", "tmpfs")]));
    let plan = build(&manifest, &image);
    assert_eq!(
        kept(&plan).join(" "),
        "/bin /bin/dash /bin/sh /data /etc /etc/passwd /mnt /opt /opt/start /run /srv /tmp /var /var/run"
    );
    assert_eq!(why(&plan, "/bin/dash"), r#"[{"script-interpreter":"/opt/start"},{"engine":"healthcheck"}]"#);
    assert!(plan.notes[0].contains("/opt/start"));
}

#[test]
fn what_only_docker_exec_used_is_kept_only_when_wanted() {
    let image = Layers::new().layer(|dir| {
        dir.file("bin/debug", "");
    });
    let mut manifest = manifest(&[]);
    manifest.files.insert("/bin/debug".into(), used(Origin::Image, Phase::Exec));
    let plan = build(&manifest, &image);
    assert_eq!((kept(&plan).len(), plan.left_out[&"/bin/debug".into()].clone()), (0, LeftOut::ExecOnly));
    let plan = Plan::build(&manifest, &image.overlay(), &Policy { include_exec: true, ..Policy::default() })
        .unwrap();
    assert_eq!(kept(&plan), ["/bin", "/bin/debug"]);
}

/// No recording could tell the health check from other commands: what a watch found of it does not tell more of them.
#[test]
fn what_was_missing_for_a_health_check_does_not_take_away_what_another_may_have_used() {
    let image = Layers::new().config(&json!({"config": {"Healthcheck": {"Test": ["CMD", "check"]}}}));
    let image = image.layer(|dir| {
        dir.file("bin/check", "").file("etc/check", "");
    });
    let mut manifest = manifest(&[]);
    let missing = Recording { observed: Observed::Missing, ..recording(&[]) };
    manifest.recordings = [("r".into(), recording(&[])), ("w".into(), missing)].into();
    let mut file = used(Origin::Image, Phase::Healthcheck);
    file.seen_in = ["w".into()].into();
    manifest.files.insert("/etc/check".into(), file.clone());
    manifest.files.insert("/bin/check".into(), used(Origin::Image, Phase::Exec));
    let all = ["/bin", "/bin/check", "/etc", "/etc/check"];
    assert_eq!(kept(&build(&manifest, &image)), all);
    file.seen_in = ["r".into()].into();
    manifest.files.insert("/etc/check".into(), file);
    assert_eq!(kept(&build(&manifest, &image)), all[2..]);
}

#[test]
fn mounted_files_are_no_image_content_unless_the_image_seeds_the_volume() {
    let image = Layers::new().layer(|dir| {
        dir.file("data/seed", "").file("bound/file", "").dir("proc/self");
    });
    let mut manifest = manifest(&[]);
    for (name, origin) in [
        ("/data/seed", Origin::Volume),
        ("/data/new", Origin::Volume),
        ("/bound/file", Origin::Volume),
        ("/proc/self", Origin::Kernel),
    ] {
        manifest.files.insert(name.into(), used(origin, Phase::App));
    }
    manifest.recordings.insert("r".into(), recording(&[("/data", "volume"), ("/bound", "bind")]));
    let plan = build(&manifest, &image);
    assert_eq!(kept(&plan), ["/bound", "/data", "/data/seed", "/proc"]);
    assert_eq!(plan.left_out.len(), 3);
}

#[test]
fn the_explanation_is_whole() {
    let image = Layers::new().layer(|dir| {
        dir.file("a", "abc");
    });
    let plan = build(&manifest(&[("/a", Use::Open), ("/b", Use::Open)]), &image);
    let text = String::from_utf8(plan.explain("sha256:test", "a:b").unwrap()).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        value,
        json!({
            "schema": "slim-agent/plan/1", "image": "sha256:test", "tag": "a:b", "notes": [], "packages": [], "generated": {},
            "totals": {"files": 1, "bytes": 3},
            "kept": {"/a": [{"used": {"uses": ["open"], "by": []}}]},
            "left_out": {"/b": "not-in-image"},
        })
    );
}

fn patterns(include: &[&str], exclude: &[&str]) -> Policy {
    let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    Policy { include: parse(include), exclude: parse(exclude), ..Policy::default() }
}

#[test]
fn what_is_included_is_kept_with_all_below_and_what_links_lead_to() {
    let image = Layers::new().layer(|dir| {
        dir.link("lib", "usr/lib")
            .file("usr/lib/x/a", "")
            .file("usr/lib/x/deep/b", "")
            .dir("usr/lib/x/empty");
        dir.link("usr/lib/x/c", "/opt/real").dir("opt/real").file("opt/real/d", "").file("usr/lib/y", "");
        dir.link("now", "opt/real").file("etc/a.conf", "").file("etc/sub/b.conf", "").file("etc/sub/c", "");
    });
    let included = |pattern| {
        let plan = Plan::build(&manifest(&[]), &image.overlay(), &patterns(&[pattern], &[])).unwrap();
        (kept(&plan).join(" "), plan.notes)
    };
    assert_eq!(
        included("/lib/x").0,
        "/etc /lib /opt /opt/real /usr /usr/lib /usr/lib/x /usr/lib/x/a /usr/lib/x/c /usr/lib/x/deep /usr/lib/x/deep/b \
         /usr/lib/x/empty"
    );
    assert_eq!(included("/now").0, "/etc /now /opt /opt/real /opt/real/d");
    assert_eq!(included("/etc/**/*.conf").0, "/etc /etc/a.conf /etc/sub /etc/sub/b.conf");
    let (kept, notes) = included("/none/*");
    assert_eq!((&kept[..], &notes[0][..]), ("/etc", "include /none/* matches nothing in the image"));
}

#[test]
fn what_is_excluded_is_not_kept_whoever_asks_and_it_is_said() {
    let image = Layers::new().layer(|dir| {
        dir.link("lib", "usr/lib").file("usr/lib/x/a", "").file("usr/lib/x/b", "").file("usr/lib/y", "");
        dir.file("run", "#!/usr/lib/y\n");
    });
    let seen = manifest(&[("/lib/x/a", Use::Open), ("/run", Use::Exec)]);
    let policy = patterns(&["/usr/lib/x"], &["/lib/x/**", "/lib/y", "/none"]);
    let plan = Plan::build(&seen, &image.overlay(), &policy).unwrap();
    assert_eq!(kept(&plan).join(" "), "/lib /run /usr /usr/lib /usr/lib/x");
    for (path, pattern) in
        [("/lib/x/a", "/lib/x/**"), ("/usr/lib/x/b", "/lib/x/**"), ("/usr/lib/y", "/lib/y")]
    {
        assert_eq!(plan.left_out[&path.into()], LeftOut::Excluded(pattern.into()));
    }
    assert_eq!(
        plan.notes,
        [
            "exclude /lib/x/** takes out 2 paths, 1 of them seen used or needed by the engine, /usr/lib/x/a first",
            "exclude /none matches nothing that would be kept"
        ]
    );
}

#[test]
fn where_only_something_is_written_the_directories_stay_as_they_were() {
    let image = Layers::new().layer(|dir| {
        dir.dir("var/spool")
            .mode("var/spool", 0o1777)
            .link("var/run", "/run")
            .dir("run/app")
            .mode("run/app", 0o2770);
        dir.link("var/lock", "/run/lock").file("var/file", "");
    });
    let names = ["/var/spool/new/job", "/var/run/app/pid", "/var/lock/app", "/var/file/below"];
    let plan = build(&manifest(&names.map(|name| (name, Use::Write))), &image);
    assert_eq!(kept(&plan).join(" "), "/run /run/app /var /var/lock /var/run /var/spool");
    assert_eq!(why(&plan, "/run/app"), r#"[{"above-missing":"/var/run/app/pid"}]"#);
    let overlay = image.overlay();
    let mode = |path: &str| plan.entry(&path.into(), &overlay).unwrap().mode;
    assert_eq!((mode("/var/spool"), mode("/run/app")), (0o1777, 0o2770));
}
