//! What of an image is of note to whoever wants it to offer little to an attacker: the table of kinds.

use super::programs::{INTERPRETERS, NETWORK_TOOLS, PACKAGE_MANAGERS, SHELLS};
use crate::image::{Form, Stat};
use crate::manifest::PathBytes;

/// A kind of things that are of note.
#[derive(Debug)]
pub struct Kind {
    /// What it is called, in JSON and in tables.
    pub name: &'static str,
    /// What belongs to it, for people.
    pub about: &'static str,
    pub(super) told_by: ToldBy,
}

/// What tells that something is of a kind.
#[derive(Debug)]
pub(super) enum ToldBy {
    /// What a survey shows of it.
    Stat(fn(&Stat) -> bool),
    /// It can be executed, and has one of these names, with or without a version behind it, or a link of such a name
    /// leads to it.
    Name(&'static [&'static str]),
    /// It can be executed, and has file capabilities.
    Capabilities,
    /// It holds a private key.
    Key,
    /// It is a variable of the image's Env that looks like a secret.
    Variable,
}

use ToldBy::{Capabilities, Key, Name, Variable};

/// All kinds, in the order of tables.
pub const KINDS: [Kind; 11] = [
    kind(
        EXECUTABLES,
        "regular files with an execute bit, neither empty nor shared libraries",
        ToldBy::Stat(is_executable),
    ),
    kind(SHELL, "what /etc/shells lists, and shells by name; busybox is one", Name(&SHELLS)),
    kind("interpreters", "interpreters of languages, by name", Name(&INTERPRETERS)),
    kind(
        "package-managers",
        "package managers, of systems and of languages, by name",
        Name(&PACKAGE_MANAGERS),
    ),
    kind(
        "network-tools",
        "programs that move data over a network, by name; busybox is one",
        Name(&NETWORK_TOOLS),
    ),
    kind("setuid-files", "files that run as their owner", ToldBy::Stat(is_setuid)),
    kind("setgid-files", "files that run as their group", ToldBy::Stat(is_setgid)),
    kind("capability-files", "executable files with capabilities (security.capability)", Capabilities),
    kind(WORLD_WRITABLE, "files that anyone may write, and such directories without sticky bit", {
        ToldBy::Stat(is_world_writable)
    }),
    kind(PRIVATE_KEYS, "files with a private key in them", Key),
    kind("secrets-in-env", "variables of the image's Env that look like a secret", Variable),
];

/// The kind of everything that can be executed.
pub const EXECUTABLES: &str = "executables";

/// The kind that files are read for.
pub const PRIVATE_KEYS: &str = "private-keys";

/// The only kind of directories too.
const WORLD_WRITABLE: &str = "world-writable";

/// The kind that /etc/shells adds to.
pub(super) const SHELL: &str = "shells";

const fn kind(name: &'static str, about: &'static str, told_by: ToldBy) -> Kind {
    Kind { name, about, told_by }
}

impl Kind {
    /// Whether what belongs to it can be executed.
    pub fn can_run(&self) -> bool {
        !matches!(self.told_by, Key | Variable) && self.name != WORLD_WRITABLE
    }
}

/// Where programs have the name of what they are for: no shell, no tool, but hooks and helpers of one.
const HOOKS: [&[u8]; 3] = [b"/etc", b"/usr/lib/apt", b"/usr/share/bug"];

/// Whether a file can be run. Docker's build leaves empty files with execute bits behind; shared libraries have an execute bit in some images and not in others.
pub(super) fn is_executable(stat: &Stat) -> bool {
    let name = stat.path.file_name();
    let is_library = name.ends_with(b".so") || name.windows(4).any(|part| part == b".so.");
    stat.form == Form::File && stat.mode & 0o111 != 0 && stat.size > 0 && !is_library
}

fn is_setuid(stat: &Stat) -> bool {
    stat.form == Form::File && stat.mode & 0o4000 != 0
}

fn is_setgid(stat: &Stat) -> bool {
    stat.form == Form::File && stat.mode & 0o2000 != 0
}

fn is_world_writable(stat: &Stat) -> bool {
    let is_open = match stat.form {
        Form::File => true,
        Form::Directory => stat.mode & 0o1000 == 0,
        Form::Symlink | Form::Special => false,
    };
    is_open && stat.mode & 0o002 != 0
}

/// The kinds that the name of a program tells, as positions in [`KINDS`].
pub(super) fn by_name(path: &PathBytes) -> Vec<usize> {
    if HOOKS.iter().any(|dir| path.is_within(dir)) {
        return Vec::new();
    }
    let name = path.file_name();
    let is_one = |known: &&str| known.as_bytes() == name || known.as_bytes() == stem(name);
    let told = KINDS.iter().enumerate().filter(|(_, kind)| match kind.told_by {
        Name(names) => names.iter().any(is_one),
        _ => false,
    });
    told.map(|(at, _)| at).collect()
}

/// A program's name without its version, and without the platform that may follow: of `python3.11`, `python`; of
/// `perl5.36-x86_64-linux-gnu`, `perl`.
fn stem(name: &[u8]) -> &[u8] {
    let platform = name.windows(7).any(|part| part == b"-linux-");
    let cut = name.iter().position(|&byte| byte == b'-').filter(|_| platform);
    let name = &name[..cut.unwrap_or(name.len())];
    let end =
        name.iter().rposition(|byte| !byte.is_ascii_digit() && *byte != b'.').map_or(0, |last| last + 1);
    let stem = &name[..end];
    stem.strip_suffix(b"-").unwrap_or(stem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds(path: &str) -> Vec<&'static str> {
        by_name(&path.into()).into_iter().map(|at| KINDS[at].name).collect()
    }

    #[test]
    fn programs_are_known_with_their_versions() {
        for (path, expected) in [
            ("/usr/bin/python3.11", "interpreters"),
            ("/opt/venv/bin/pip3", "package-managers"),
            ("/usr/bin/perl5.36-x86_64-linux-gnu", "interpreters"),
            ("/usr/bin/ruby-3.2", "interpreters"),
            ("/bin/dash", "shells"),
            ("/usr/bin/nc.openbsd", "network-tools"),
            ("/usr/bin/wget2", "network-tools"),
        ] {
            assert_eq!(kinds(path), [expected], "{path}");
        }
        assert_eq!(kinds("/bin/busybox"), ["shells", "network-tools"]);
        for path in ["/etc/init.d/ssh", "/usr/bin/pythonic", "/usr/bin/python3-config", "/usr/bin/3", "/x/.."]
        {
            assert_eq!(kinds(path), [""; 0], "{path}");
        }
    }

    #[test]
    fn modes_tell_what_is_of_note() {
        let stat = |form, mode| Stat { path: "/x".into(), form, mode, size: 1, link: None };
        assert!(is_setuid(&stat(Form::File, 0o4755)) && !is_setuid(&stat(Form::Directory, 0o4755)));
        assert!(is_setgid(&stat(Form::File, 0o2755)) && !is_setgid(&stat(Form::Directory, 0o2775)));
        assert!(is_world_writable(&stat(Form::Directory, 0o777)));
        assert!(!is_world_writable(&stat(Form::Directory, 0o1777)));
        assert!(!is_world_writable(&stat(Form::Symlink, 0o777)));
        assert!(is_world_writable(&stat(Form::File, 0o666)));
        let library = Stat { path: "/lib/x.so.6".into(), ..stat(Form::File, 0o755) };
        assert!(!is_executable(&library) && is_executable(&stat(Form::File, 0o001)));
    }

    #[test]
    fn kinds_and_programs_are_named_once() {
        for kind in &KINDS {
            if let Name(names) = kind.told_by {
                let once: std::collections::BTreeSet<_> = names.iter().collect();
                assert_eq!(once.len(), names.len(), "{}", kind.name);
            }
            assert_eq!(KINDS.iter().filter(|other| other.name == kind.name).count(), 1);
        }
    }

    proptest! {
        #[test]
        fn no_name_is_fatal(name: Vec<u8>) {
            prop_assert!(name.starts_with(stem(&name)));
        }
    }
}
