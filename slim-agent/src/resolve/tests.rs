//! What records come to when nothing of the container lives.

use super::*;
use slim_common::record::Header;

pub(super) fn record<'a>(kind: Kind, nr: &str, name: &'a [u8]) -> Record<'a> {
    let nr = crate::syscall_table::number(crate::probe::ABIS[0], nr).unwrap_or_default();
    let header = Header { nr: nr as u16, root_dev: 7, reached_dev: 7, exe_dev: 7, ..Header::default() };
    Record {
        header,
        kind,
        phase: Phase::App,
        name,
        interp: b"",
        base: Some("/srv".into()),
        own_root: Some("/".into()),
        reached: None,
        exe: Some("/bin/app".into()),
    }
}

fn paths(facts: &[Fact]) -> Vec<(String, Use)> {
    let path = |fact: &Fact| match &fact.object {
        Object::Path { path, usage, .. } => Some((path.to_string(), *usage)),
        Object::Socket { .. } | Object::Capability(_) => None,
    };
    facts.iter().filter_map(path).collect()
}

#[test]
fn without_a_live_root_the_name_and_the_file_are_both_kept() {
    let mut resolver = Resolver::new(Vec::new());
    let mut open = record(Kind::Call, "openat", b"./conf//../x");
    assert_eq!(paths(&resolver.resolve(&open)), [("/srv/conf/../x".into(), Use::Open)]);
    open.reached = Some("/srv/real".into());
    let both = [("/srv/conf/../x".to_owned(), Use::Open), ("/srv/real".to_owned(), Use::Open)];
    assert_eq!(paths(&resolver.resolve(&open)), both);
}

#[test]
fn a_file_on_another_filesystem_is_known_by_its_name() {
    let mut resolver = Resolver::new(vec![("/data".into(), Origin::Volume)]);
    let mut open = record(Kind::Call, "openat", b"/dump");
    open.base = Some("/data".into());
    open.reached = Some("/var/lib/volumes/1/dump".into());
    open.header.reached_dev = 9;
    let facts = resolver.resolve(&open);
    let expected = Object::Path { path: "/data/dump".into(), origin: Origin::Volume, usage: Use::Open };
    assert_eq!(facts[0].object, expected);
    assert_eq!(facts[0].by, Some("/bin/app".into()));
}

#[test]
fn a_script_names_itself_and_its_interpreter() {
    let mut resolver = Resolver::new(Vec::new());
    let mut exec = record(Kind::Exec, "execve", b"/run.sh");
    exec.base = Some("/".into());
    exec.interp = b"/bin/sh";
    exec.reached = Some("/usr/bin/dash".into());
    let expected =
        [("/run.sh", Use::Exec), ("/bin/sh", Use::Interpreter), ("/usr/bin/dash", Use::Interpreter)];
    let expected = expected.map(|(path, usage)| (path.to_owned(), usage));
    assert_eq!(paths(&resolver.resolve(&exec)), expected);
}

#[test]
fn a_relative_chdir_is_told_by_where_it_led() {
    let mut resolver = Resolver::new(Vec::new());
    let mut chdir = record(Kind::Call, "chdir", b"../conf");
    chdir.base = Some("/etc/conf".into());
    assert_eq!(paths(&resolver.resolve(&chdir)), [("/etc/conf".into(), Use::Chdir)]);
    chdir.header.ret = -13;
    chdir.base = Some("/srv".into());
    assert_eq!(paths(&resolver.resolve(&chdir)), [("/srv/../conf".into(), Use::Chdir)]);
}

#[test]
fn a_program_in_memory_is_no_path() {
    let mut resolver = Resolver::new(Vec::new());
    let mut exec = record(Kind::Exec, "execve", b"/dev/fd/3");
    exec.base = Some("/".into());
    exec.reached = Some("/memfd:program".into());
    exec.header.reached_dev = 1;
    assert_eq!(paths(&resolver.resolve(&exec)), []);
    exec.reached = Some("/bin/app".into());
    exec.header.reached_dev = 7;
    assert_eq!(paths(&resolver.resolve(&exec)), [("/bin/app".into(), Use::Exec)]);
}

#[test]
fn a_file_without_a_name_is_its_directory() {
    let mut resolver = Resolver::new(Vec::new());
    let mut open = record(Kind::Call, "openat", b"spool");
    open.header.arg_flags = (nix::fcntl::OFlag::O_TMPFILE | nix::fcntl::OFlag::O_RDWR).bits() as u32;
    open.reached = Some("/srv/spool/#12".into());
    assert_eq!(paths(&resolver.resolve(&open)), [("/srv/spool".into(), Use::Write)]);
}

#[test]
fn flags_decide_what_an_open_means() {
    let mut resolver = Resolver::new(Vec::new());
    let mut open = record(Kind::Call, "openat", b"log");
    open.header.arg_flags = nix::fcntl::OFlag::O_CREAT.bits() as u32;
    assert_eq!(paths(&resolver.resolve(&open))[0].1, Use::Write);
}
