//! What a new image says of its packages.

use crate::image::testing::Layers;
use crate::manifest::{PathBytes, Use};
use crate::plan::tests::{kept, manifest};
use crate::plan::{Plan, Policy};

fn build(image: &Layers, used: &[&str], policy: &Policy) -> Plan {
    let used: Vec<_> = used.iter().map(|name| (*name, Use::Open)).collect();
    Plan::build(&manifest(&used), &image.overlay(), policy).unwrap()
}

fn generated(plan: &Plan, path: &str) -> String {
    String::from_utf8(plan.generated[&PathBytes::from(path)].content.clone()).unwrap()
}

fn debian() -> Layers {
    let status = "Package: whole\nStatus: install ok installed\nVersion: 1-2\nArchitecture: amd64\n\n\
                  Package: part\nStatus: install ok installed\nVersion: 3\nArchitecture: amd64\nDescription: x\n y\n\n\
                  Package: part\nStatus: install ok installed\nVersion: 3\nArchitecture: i386\n\n\
                  Package: cut\nStatus: install ok installed\nVersion: 4\n\n\
                  Package: removed\nStatus: deinstall ok config-files\nVersion: 5\n";
    Layers::new().layer(|dir| {
        dir.file("var/lib/dpkg/status", status).file("etc/debian_version", "12.1\n").link("bin", "usr/bin");
        dir.file("var/lib/dpkg/info/whole.list", "/.\n/usr\n/usr/bin\n/usr/bin/whole\n/usr/share/doc/gone\n");
        dir.file("var/lib/dpkg/info/whole.md5sums", "aa  usr/bin/whole\nbb  usr/share/doc/gone\n");
        dir.file("var/lib/dpkg/info/part:amd64.list", "/bin\n/bin/p\n/bin/q\n")
            .file("usr/bin/p", "")
            .file("usr/bin/q", "");
        dir.file("var/lib/dpkg/info/part:i386.list", "/bin/p32\n").file("usr/bin/p32", "");
        dir.file("var/lib/dpkg/info/cut.list", "/usr/bin/cut\n")
            .file("usr/bin/cut", "")
            .file("usr/bin/whole", "");
        dir.mode("var/lib/dpkg/info", 0o755);
    })
}

#[test]
fn packages_of_debian_are_told_in_the_form_that_scanners_read() {
    let plan = build(&debian(), &["/usr/bin/whole", "/bin/p", "/bin/p32"], &Policy::default());
    let names: Vec<String> = plan.generated.keys().map(ToString::to_string).collect();
    assert_eq!(
        names.join(" "),
        "/var/lib/dpkg/status.d /var/lib/dpkg/status.d/part /var/lib/dpkg/status.d/part:i386 \
         /var/lib/dpkg/status.d/whole /var/lib/dpkg/status.d/whole.md5sums"
    );
    assert_eq!(
        generated(&plan, "/var/lib/dpkg/status.d/part"),
        "Package: part\nStatus: install ok installed\nVersion: 3\nArchitecture: amd64\nDescription: x\n y\n\
         X-Slim-Agent: partial 1/2 files\n"
    );
    assert!(!generated(&plan, "/var/lib/dpkg/status.d/whole").contains("X-Slim-Agent"));
    assert_eq!(generated(&plan, "/var/lib/dpkg/status.d/whole.md5sums"), "aa  usr/bin/whole\n");
    assert!(kept(&plan).contains(&"/etc/debian_version".to_owned()));
    assert!(!kept(&plan).contains(&"/var/lib/dpkg/status".to_owned()));
    let packages = serde_json::to_string(&plan.packages).unwrap();
    assert!(
        packages.contains(r#"{"kind":"dpkg","name":"part","version":"3","files":{"kept":1,"of":2}}"#),
        "{packages}"
    );
}

#[test]
fn a_database_in_use_stays_as_it_is_and_none_is_written_when_not_wanted() {
    let plan = build(&debian(), &["/usr/bin/whole", "/var/lib/dpkg/status"], &Policy::default());
    assert!(plan.generated.is_empty() && plan.notes[0].contains("/var/lib/dpkg/status"), "{:?}", plan.notes);
    assert_eq!(plan.packages.iter().map(|package| &*package.name).collect::<Vec<_>>(), ["whole"]);
    let off = Policy { package_metadata: false, ..Policy::default() };
    let plan = build(&debian(), &["/usr/bin/whole"], &off);
    assert_eq!(kept(&plan).join(" "), "/etc /usr /usr/bin /usr/bin/whole");
    assert!(plan.generated.is_empty());
    let excluded = Policy { exclude: vec!["/var/lib/dpkg".parse().unwrap()], ..Policy::default() };
    assert!(build(&debian(), &["/usr/bin/whole"], &excluded).generated.is_empty());
}

#[test]
fn packages_of_an_image_without_a_package_manager_stay_in_its_form() {
    let image = Layers::new().layer(|dir| {
        dir.file("var/lib/dpkg/status.d/base", "Package: base\nVersion: 1\n")
            .file("etc/a", "")
            .file("etc/b", "");
        dir.file("var/lib/dpkg/status.d/base.md5sums", "00  etc/a\n11  etc/b\n");
        dir.file("var/lib/dpkg/status.d/other", "Package: other\n")
            .file("var/lib/dpkg/status.d/other.md5sums", "00  x\n");
    });
    let plan = build(&image, &["/etc/a"], &Policy::default());
    assert!(generated(&plan, "/var/lib/dpkg/status.d/base").ends_with("X-Slim-Agent: partial 1/2 files\n"));
    assert_eq!(generated(&plan, "/var/lib/dpkg/status.d/base.md5sums"), "00  etc/a\n");
    assert_eq!(plan.generated.len(), 2);
    assert_eq!(kept(&plan).join(" "), "/etc /etc/a /var /var/lib /var/lib/dpkg /var/lib/dpkg/status.d");
}

#[test]
fn packages_of_alpine_lose_what_is_cut() {
    let image = Layers::new().layer(|dir| {
        let text = "P:musl\nV:1\nF:lib\nR:libc.so\nR:other\n\nP:gone\nV:2\nF:bin\nR:gone\n\n";
        dir.file("lib/apk/db/installed", text)
            .file("lib/libc.so", "")
            .file("lib/other", "")
            .file("bin/gone", "");
        dir.file("etc/alpine-release", "3\n");
    });
    let plan = build(&image, &["/lib/libc.so"], &Policy::default());
    assert_eq!(
        generated(&plan, "/lib/apk/db/installed"),
        "P:musl\nV:1\nx:slim-agent partial 1/2 files\nF:lib\nR:libc.so\n\n"
    );
    assert_eq!(kept(&plan).join(" "), "/etc /etc/alpine-release /lib /lib/apk /lib/apk/db /lib/libc.so");
}

#[test]
fn packages_of_python_and_node_keep_what_describes_them() {
    let image = Layers::new().layer(|dir| {
        dir.file("p/site-packages/a/m.py", "")
            .file("p/site-packages/a-1.dist-info/METADATA", "Name: A\nVersion: 1\n\nName: x\n");
        dir.file("p/site-packages/a-1.dist-info/RECORD", "a/m.py,,\na/n.py,,\n")
            .file("p/site-packages/a/n.py", "");
        dir.file("p/site-packages/b-1.dist-info/METADATA", "Name: b\n").file("p/site-packages/b.py", "");
        dir.file("s/node_modules/@x/y/lib/i.js", "")
            .file("s/node_modules/@x/y/package.json", r#"{"name": "@x/y"}"#);
        dir.file("s/node_modules/z/package.json", r#"{"name": "z"}"#).file("s/node_modules/z/i.js", "");
    });
    let plan =
        build(&image, &["/p/site-packages/a/m.py", "/s/node_modules/@x/y/lib/i.js"], &Policy::default());
    let kept = kept(&plan).join(" ");
    assert!(kept.contains("a-1.dist-info/METADATA") && kept.contains("a-1.dist-info/RECORD"), "{kept}");
    assert!(kept.contains("y/package.json") && !kept.contains("b-1") && !kept.contains("/z"), "{kept}");
    assert_eq!(
        serde_json::to_string(&plan.packages).unwrap(),
        r#"[{"kind":"npm","name":"@x/y"},{"kind":"pip","name":"A","version":"1","files":{"kept":1,"of":2}}]"#
    );
}

#[test]
fn whole_packages_are_kept_when_named() {
    let named = |names: &[&str]| Policy {
        include_packages: names.iter().map(|&name| name.to_owned()).collect(),
        package_metadata: false,
        ..Policy::default()
    };
    let plan = build(&debian(), &[], &named(&["part:amd64", "pip:cut", "absent"]));
    assert_eq!(kept(&plan).join(" "), "/bin /etc /usr /usr/bin /usr/bin/p /usr/bin/q");
    assert_eq!(plan.notes.len(), 2, "{:?}", plan.notes);
    let image = Layers::new().layer(|dir| {
        dir.file("p/site-packages/My_Pkg-1.dist-info/RECORD", "my.py,,\n").file("p/site-packages/my.py", "");
        dir.file("s/node_modules/z/lib/i.js", "").file("s/node_modules/zz/i.js", "").file("lib/l", "");
        dir.file("lib/apk/db/installed", "P:l\nF:lib\nR:l\n");
    });
    let plan = build(&image, &[], &named(&["my-pkg", "npm:z", "apk:l"]));
    let kept = kept(&plan).join(" ");
    for path in ["site-packages/my.py", "My_Pkg-1.dist-info/RECORD", "z/lib/i.js", "/lib/l"] {
        assert!(kept.contains(path), "{kept}");
    }
    assert!(!kept.contains("zz") && plan.notes.is_empty());
}
