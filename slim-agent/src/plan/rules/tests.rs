//! Each rule at work in a small image, seen through the plan.

use serde_json::json;

use crate::image::testing::{LayerDir, Layers};
use crate::manifest::Use;
use crate::plan::tests::{kept, manifest, why};
use crate::plan::{Plan, Policy};
use crate::resolve::elf::testing::Elf;

const NEEDED: u64 = 1;
const RPATH: u64 = 15;
const RUNPATH: u64 = 29;

fn elf(dynamic: &[(u64, &str)]) -> Vec<u8> {
    Elf { wide: true, big: false, interpreter: None, dynamic }.bytes()
}

fn narrow() -> Vec<u8> {
    Elf { wide: false, big: false, interpreter: None, dynamic: &[] }.bytes()
}

/// What is kept besides directories when `/app` was opened, with and without a rule.
fn of_app(image: &Layers, switches: &[(&str, bool)]) -> String {
    let mut policy = Policy::default();
    for &(rule, on) in switches {
        policy.rules.switch(rule, on).unwrap();
    }
    let image = image.overlay();
    let plan = Plan::build(&manifest(&[("/app", Use::Open)]), &image, &policy).unwrap();
    let is_dir = |path: &str| image_is_dir(&image, path);
    kept(&plan).into_iter().filter(|path| !is_dir(path)).collect::<Vec<_>>().join(" ")
}

fn image_is_dir(image: &dyn crate::image::ImageSource, path: &str) -> bool {
    image.lookup(&path.into()).unwrap().is_some_and(|entry| entry.is_dir())
}

fn layers(fill: impl FnOnce(&LayerDir)) -> Layers {
    Layers::new().layer(fill)
}

#[test]
fn libraries_are_followed_to_the_last_and_the_loader_with_its_cache() {
    let image = layers(|dir| {
        let app = Elf {
            wide: true,
            big: false,
            interpreter: Some("/lib64/ld.so.2"),
            dynamic: &[(NEEDED, "liba.so.1"), (NEEDED, "absent.so")],
        };
        dir.file("app", app.bytes())
            .file("lib64/ld.so.2", elf(&[]))
            .file("etc/ld.so.cache", "")
            .file("etc/other", "");
        dir.file("usr/lib/liba.so.1.2", elf(&[(NEEDED, "libb.so")])).link("usr/lib/liba.so.1", "liba.so.1.2");
        dir.file("opt/lib/libb.so", elf(&[]))
            .file("usr/lib/libb.so", narrow())
            .file("usr/lib/libc.so", elf(&[]));
        dir.file("etc/ld.so.conf", "include ld.so.conf.d/*.conf\n")
            .file("etc/ld.so.conf.d/x.conf", "/opt/lib\n");
    });
    assert_eq!(
        of_app(&image, &[]),
        "/app /etc/ld.so.cache /lib64/ld.so.2 /opt/lib/libb.so /usr/lib/liba.so.1 /usr/lib/liba.so.1.2"
    );
    assert_eq!(of_app(&image, &[("libraries", false)]), "/app");
    let plan = Plan::build(&manifest(&[("/app", Use::Open)]), &image.overlay(), &Policy::default()).unwrap();
    assert_eq!(
        why(&plan, "/opt/lib/libb.so"),
        r#"[{"rule":{"rule":"libraries","of":"/usr/lib/liba.so.1.2"}}]"#
    );
    assert_eq!(why(&plan, "/lib64/ld.so.2"), r#"[{"elf-interpreter":"/app"}]"#);
}

#[test]
fn a_library_of_the_other_width_is_passed_over() {
    let image = layers(|dir| {
        dir.file("app", elf(&[(NEEDED, "libx.so")]))
            .file("lib/libx.so", narrow())
            .file("usr/lib64/libx.so", elf(&[]));
    });
    assert_eq!(of_app(&image, &[]), "/app /usr/lib64/libx.so");
}

#[test]
fn run_paths_are_searched_as_the_loader_does() {
    let image = layers(|dir| {
        dir.link("app", "opt/bin/app");
        dir.file(
            "opt/bin/app",
            elf(&[(NEEDED, "liba.so"), (NEEDED, "libb.so"), (RPATH, "$ORIGIN/../${LIB}")]),
        );
        // An RPATH also counts for what a library needs in turn, a RUNPATH does not.
        dir.file("opt/lib64/liba.so", elf(&[(NEEDED, "libc.so")])).file("opt/lib64/libc.so", elf(&[]));
        dir.file("opt/lib64/libb.so", elf(&[(NEEDED, "libd.so"), (RUNPATH, "/run1:$ORIGIN/more")]));
        dir.file("opt/lib64/more/libd.so", elf(&[(NEEDED, "libe.so"), (RUNPATH, "/nowhere")]));
        dir.file("opt/lib64/more/libe.so", elf(&[])).file("opt/lib64/libe.so", elf(&[]));
    });
    assert_eq!(
        of_app(&image, &[]),
        "/app /opt/bin/app /opt/lib64/liba.so /opt/lib64/libb.so /opt/lib64/libc.so /opt/lib64/libe.so \
         /opt/lib64/more/libd.so"
    );
}

#[test]
fn the_environment_musl_and_builds_for_newer_processors_are_looked_at() {
    let image = Layers::new().config(&json!({"config": {"Env": ["LD_LIBRARY_PATH=/env:"]}}));
    let image = image.layer(|dir| {
        dir.file("app", elf(&[(NEEDED, "liba.so"), (NEEDED, "libb.so"), (NEEDED, "/abs/libc.so")]));
        dir.file("env/liba.so", elf(&[])).file("lib/liba.so", elf(&[])).file("abs/libc.so", elf(&[]));
        dir.file("env/glibc-hwcaps/x86-64-v3/liba.so", elf(&[]));
        dir.file("etc/ld-musl-x86_64.path", "/musl\n").file("musl/libb.so", elf(&[]));
    });
    assert_eq!(
        of_app(&image, &[]),
        "/abs/libc.so /app /env/glibc-hwcaps/x86-64-v3/liba.so /env/liba.so /musl/libb.so"
    );
}

#[test]
fn scripts_bring_their_interpreter_even_behind_env() {
    let image = Layers::new().config(&json!({"config": {"Env": ["PATH=/none:/opt"]}})).layer(|dir| {
        dir.file("app", "#!/usr/bin/env -S V=1 python3 -x\n").mode("app", 0o755).file("usr/bin/env", "");
        dir.file("opt/python3", "#!/opt/real\n").mode("opt/python3", 0o755).file("opt/real", "");
    });
    assert_eq!(of_app(&image, &[]), "/app /opt/python3 /opt/real /usr/bin/env");
    assert_eq!(of_app(&image, &[("scripts", false)]), "/app");
}

#[test]
fn compiled_modules_and_their_sources_stay_together() {
    let image = layers(|dir| {
        dir.link("app", "m.py").file("m.py", "").file("__pycache__/m.cpython-311.pyc", "");
        dir.file("__pycache__/m.cpython-311.opt-1.pyc", "").file("__pycache__/mm.cpython-311.pyc", "");
    });
    assert_eq!(of_app(&image, &[]), "/__pycache__/m.cpython-311.pyc /app /m.py");
    let image = layers(|dir| {
        dir.link("app", "__pycache__/m.cpython-311.pyc")
            .file("__pycache__/m.cpython-311.pyc", "")
            .file("m.py", "");
    });
    assert_eq!(of_app(&image, &[]), "/__pycache__/m.cpython-311.pyc /app /m.py");
}

#[test]
fn glibc_brings_what_it_loads_by_itself() {
    let image = layers(|dir| {
        dir.link("app", "lib/libc.so.6").file("lib/libc.so.6", elf(&[])).file("lib/libgcc_s.so.1", elf(&[]));
        dir.file("etc/nsswitch.conf", "passwd: files sss\n").file("lib/libnss_sss.so.2", elf(&[]));
        dir.file("lib/libnss_dns.so.2", elf(&[])).file("etc/services", "");
    });
    assert_eq!(
        of_app(&image, &[]),
        "/app /etc/nsswitch.conf /etc/services /lib/libc.so.6 /lib/libgcc_s.so.1 /lib/libnss_sss.so.2"
    );
    let without = [("unwinder", false), ("name-service", false)];
    assert_eq!(of_app(&image, &without), "/app /lib/libc.so.6");
}

#[test]
fn certificates_stay_with_who_checks_them() {
    let fill = |library: &str| {
        layers(|dir| {
            dir.link("app", format!("lib/{library}")).file(format!("lib/{library}"), elf(&[]));
            dir.link("etc/ssl/certs/abc.0", "/usr/share/ca/a.crt")
                .file("usr/share/ca/a.crt", "")
                .file("usr/share/ca/b", "");
        })
    };
    let with = "/etc/ssl/certs/abc.0 /lib/libssl.so.3 /usr/share/ca/a.crt";
    assert_eq!(of_app(&fill("libssl.so.3"), &[]), format!("/app {with}"));
    assert_eq!(of_app(&fill("libz.so.1"), &[]), "/app /lib/libz.so.1");
    assert_eq!(of_app(&fill("libssl.so.3"), &[("certificates", false)]), "/app /lib/libssl.so.3");
}

#[test]
fn a_java_runtime_is_not_without_its_libraries_and_settings() {
    let image = layers(|dir| {
        dir.link("app", "jdk/lib/server/libjvm.so").file("jdk/lib/server/libjvm.so", elf(&[]));
        dir.file("jdk/lib/libzip.so", elf(&[]))
            .file("jdk/lib/jspawnhelper", elf(&[]))
            .file("jdk/lib/ct.sym", "");
        dir.link("jdk/conf/net.properties", "/etc/java/net.properties").file("etc/java/net.properties", "");
        dir.file("jdk/lib/deep/x.so", "").file("jdk/bin/javac", "");
    });
    let without = [("certificates", false)];
    assert_eq!(
        of_app(&image, &without),
        "/app /etc/java/net.properties /jdk/conf/net.properties /jdk/lib/jspawnhelper /jdk/lib/libzip.so \
         /jdk/lib/server/libjvm.so"
    );
    let off = [("java", false), ("certificates", false)];
    assert_eq!(of_app(&image, &off), "/app /jdk/lib/server/libjvm.so");
}

#[test]
fn the_environment_names_zone_and_locale() {
    let config = json!({"config": {"Env": ["TZ=:Europe/Berlin", "LANG=C.UTF-8", "LC_TIME=de_DE"]}});
    let image = Layers::new().config(&config).layer(|dir| {
        dir.file("app", "").file("usr/share/zoneinfo/Europe/Berlin", "").file("usr/share/zoneinfo/UTC", "");
        dir.link("etc/localtime", "/usr/share/zoneinfo/UTC").file("usr/lib/locale/C.utf8/LC_CTYPE", "");
        dir.file("usr/lib/locale/de_DE/LC_TIME", "").file("usr/lib/locale/fr_FR/LC_TIME", "");
    });
    assert_eq!(
        of_app(&image, &[]),
        "/app /etc/localtime /usr/lib/locale/C.utf8/LC_CTYPE /usr/lib/locale/de_DE/LC_TIME \
         /usr/share/zoneinfo/Europe/Berlin /usr/share/zoneinfo/UTC"
    );
    assert_eq!(of_app(&image, &[("time-zone", false), ("locale", false)]), "/app");
}

#[test]
fn of_a_locale_that_was_used_no_category_is_missing() {
    let image = layers(|dir| {
        dir.link("app", "usr/lib/locale/C.utf8/LC_CTYPE").file("usr/lib/locale/C.utf8/LC_CTYPE", "");
        dir.file("usr/lib/locale/C.utf8/LC_MESSAGES/SYS_LC_MESSAGES", "");
        dir.file("usr/lib/locale/de_DE/LC_TIME", "").file("usr/lib/locale/locale-archive", "");
    });
    assert_eq!(
        of_app(&image, &[]),
        "/app /usr/lib/locale/C.utf8/LC_CTYPE /usr/lib/locale/C.utf8/LC_MESSAGES/SYS_LC_MESSAGES"
    );
    assert_eq!(of_app(&image, &[("locale", false)]), "/app /usr/lib/locale/C.utf8/LC_CTYPE");
}

#[test]
fn python_finds_what_its_sources_import_later() {
    let image = Layers::new().config(&json!({"config": {"Env": ["PYTHONPATH=rel:/path"]}})).layer(|dir| {
        dir.link("app", "srv/pkg/sub/m.py").file("srv/pkg/__init__.py", "").file("srv/pkg/sub/__init__.py", "");
        let source = "import top, zip as z\ndef f():\n  from . import beside\n  from ..up import x\n  from ext import y\n\
                      import dist, path, below, ns.deep, absent";
        dir.file("srv/pkg/sub/m.py", source).file("srv/pkg/sub/beside.py", "").file("srv/pkg/up/__init__.py", "");
        dir.file("srv/pkg/up/x.py", "").file("srv/pkg/up/z.py", "").file("srv/pkg/beside.py", "");
        // One that is found leads to the next, and to another directory that is searched for all.
        dir.file("srv/top.py", "import_module('codes.' + name)").file("srv/codes/a.py", "").file("srv/codes/b", "");
        dir.file("srv/ext.cpython-311-x86_64-linux-gnu.so", "").file("srv/ext.txt", "").file("srv/extra.py", "");
        dir.file("srv/site-packages/dist.py", "").file("srv/site-packages/ns/deep.abi3.so", "");
        dir.file("srv/site-packages/a.pth", "# more\nmore\nimport x\n").file("srv/site-packages/more/below.py", "");
        dir.file("path/path.pyc", "").file("srv/__pycache__/top.cpython-311.pyc", "");
    });
    let seen = "/app /srv/pkg/sub/m.py";
    assert_eq!(of_app(&image, &[]), seen);
    assert_eq!(
        of_app(&image, &[("python-imports", true)]),
        "/app /path/path.pyc /srv/__pycache__/top.cpython-311.pyc /srv/codes/a.py \
         /srv/ext.cpython-311-x86_64-linux-gnu.so /srv/pkg/sub/beside.py /srv/pkg/sub/m.py /srv/pkg/up/__init__.py \
         /srv/pkg/up/x.py /srv/site-packages/dist.py /srv/site-packages/more/below.py \
         /srv/site-packages/ns/deep.abi3.so /srv/top.py"
    );
}

#[test]
fn a_script_without_an_ending_imports_too_and_one_of_another_language_does_not() {
    let image = |interpreter: &str| {
        layers(|dir| {
            dir.link("app", "bin/run")
                .file("bin/run", format!("#!{interpreter}\nimport m\n"))
                .mode("bin/run", 0o755);
            dir.file("bin/m.py", "");
        })
    };
    let kept = |interpreter| of_app(&image(interpreter), &[("python-imports", true)]);
    assert_eq!(kept("/usr/bin/env python3"), "/app /bin/m.py /bin/run");
    assert_eq!(kept("/usr/bin/perl"), "/app /bin/run");
}

#[test]
fn what_is_off_comes_when_asked_for() {
    let image = layers(|dir| {
        dir.file("app", "").file("lib/terminfo/x/xterm", "").file("usr/lib/gconv/ISO8859-1.so", elf(&[]));
        dir.file("bin/dash", elf(&[(NEEDED, "libc.so")]))
            .link("bin/sh", "dash")
            .file("lib/libc.so", elf(&[]));
    });
    assert_eq!(of_app(&image, &[]), "/app");
    let on = |rule| of_app(&image, &[(rule, true)]);
    assert_eq!(on("terminfo"), "/app /lib/terminfo/x/xterm");
    assert_eq!(on("gconv"), "/app /usr/lib/gconv/ISO8859-1.so");
    assert_eq!(on("shell"), "/app /bin/dash /bin/sh /lib/libc.so");
}
