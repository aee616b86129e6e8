//! What the leading comment of a program says: how to build it, what lies around it, and what must be seen of it.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::HOME;
use super::kernel::Version;
use super::names::Bytes;

/// One program of `tests/programs`.
#[derive(Debug, Clone)]
pub struct Oddity {
    /// Its name.
    pub name: String,
    /// How it is compiled.
    pub build: Build,
    /// The first kernel that can do what it does.
    pub since: Option<Version>,
    /// What lies in its directory.
    pub image: Vec<Item>,
    /// What must be in a manifest.
    pub claims: Vec<Claim>,
}

/// How a program is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// Statically, with the compiler's own C library.
    Static,
    /// With a loader and a C library that lie in the program's directory.
    Dynamic,
    /// Statically, with musl.
    Musl,
    /// For the 32-bit ABI, without a C library.
    I386,
}

/// Something that lies in the image, by its full name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A file with its mode.
    File(Bytes, u32),
    /// A directory with its mode.
    Directory(Bytes, u32),
    /// A symbolic link and its target, verbatim.
    Symlink(Bytes, Bytes),
    /// Another name, and the one that is there already.
    Hard(Bytes, Bytes),
    /// An executable script and its interpreter.
    Script(Bytes, Bytes),
    /// The program's source as a shared object.
    Library(Bytes),
}

/// Something that must be in the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// With the hooks of which tier; all, without.
    pub tier: Option<String>,
    /// What it is.
    pub what: What,
}

/// See [`Claim`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A use and a path.
    Use(String, Bytes),
    /// A use and a socket address.
    Socket(String, Bytes),
    /// A protocol and a socket address.
    Protocol(String, Bytes),
    /// A capability that the program had when it was asked for it.
    Capability(String),
    /// A capability that it lacked.
    Lacks(String),
    /// An ABI and its system calls.
    Syscalls(String, BTreeSet<String>),
    /// A word in the reason why the recording is not complete.
    Partial(String),
}

impl Oddity {
    /// Reads the source `NAME.c`.
    ///
    /// # Errors
    /// It cannot be read, or a directive is not understood.
    pub fn read(path: &Path) -> Result<Self> {
        let name =
            path.file_stem().and_then(|name| name.to_str()).context("a program's name is not UTF-8")?;
        let source =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(name, &source).with_context(|| format!("in the comment of {}", path.display()))
    }

    /// Reads the leading comment of a source.
    ///
    /// # Errors
    /// There is none, or a directive is not understood.
    pub fn parse(name: &str, source: &str) -> Result<Self> {
        let comment = source.strip_prefix("/*").and_then(|text| text.split_once("*/"));
        let (comment, _) = comment.context("the source does not begin with a comment")?;
        let mut oddity = Self {
            name: name.to_owned(),
            build: Build::Static,
            since: None,
            image: Vec::new(),
            claims: Vec::new(),
        };
        for line in comment.lines().map(|line| line.trim_start_matches([' ', '*'])) {
            let Some((key, value)) = line.split_once(':').filter(|(key, _)| is_key(key)) else {
                continue;
            };
            oddity.take(key, value.trim()).with_context(|| format!("directive {line:?}"))?;
        }
        Ok(oddity)
    }

    /// Its directory in the image.
    pub fn home(&self) -> String {
        format!("{HOME}/{}", self.name)
    }

    /// Its executable in the image.
    pub fn executable(&self) -> String {
        format!("{HOME}/{0}/{0}", self.name)
    }

    /// The claims that hold for a recording with the hooks of `tier`.
    pub fn claims_for<'a>(&'a self, tier: &'a str) -> impl Iterator<Item = &'a What> {
        let holds = move |claim: &&Claim| claim.tier.as_ref().is_none_or(|only| only == tier);
        self.claims.iter().filter(holds).map(|claim| &claim.what)
    }

    fn take(&mut self, key: &str, value: &str) -> Result<()> {
        let words: Vec<&str> = value.split_whitespace().collect();
        let (key, tier) = match key.strip_suffix(']').and_then(|key| key.split_once('[')) {
            Some((key, tier)) => (key, Some(tier.to_owned())),
            None => (key, None),
        };
        match (key, words.as_slice(), &tier) {
            ("build", [how], None) => self.build = Build::parse(how)?,
            ("since", [version], None) => self.since = Some(Version::parse(version)?),
            ("image", words, None) => {
                for words in numbered(words)? {
                    let words: Vec<&str> = words.iter().map(String::as_str).collect();
                    let item = self.item(&words)?;
                    self.image.push(item);
                }
            }
            ("expect", [usage, paths @ ..], _) if !paths.is_empty() => {
                for path in numbered(paths)?.into_iter().flatten() {
                    let what = What::Use((*usage).to_owned(), self.own(&path)?);
                    self.claims.push(Claim { tier: tier.clone(), what });
                }
            }
            ("socket", [usage, family, address], _) => {
                let address = self.address(family, address)?;
                self.claims.push(Claim { tier, what: What::Socket((*usage).to_owned(), address) });
            }
            ("protocol", [protocol, family, address], _) => {
                let address = self.address(family, address)?;
                self.claims.push(Claim { tier, what: What::Protocol((*protocol).to_owned(), address) });
            }
            ("capability", names, _) if !names.is_empty() => {
                let claim =
                    |name: &&str| Claim { tier: tier.clone(), what: What::Capability((*name).into()) };
                self.claims.extend(names.iter().map(claim));
            }
            ("lacks", names, _) if !names.is_empty() => {
                let claim = |name: &&str| Claim { tier: tier.clone(), what: What::Lacks((*name).into()) };
                self.claims.extend(names.iter().map(claim));
            }
            ("syscalls", [abi, calls @ ..], _) if !calls.is_empty() => {
                let calls = calls.iter().map(|call| (*call).to_owned()).collect();
                self.claims.push(Claim { tier, what: What::Syscalls((*abi).to_owned(), calls) });
            }
            ("partial", [word], _) => {
                self.claims.push(Claim { tier, what: What::Partial((*word).to_owned()) })
            }
            _ => bail!("not known, or not of the form that tests/programs/README.md has for it"),
        }
        Ok(())
    }

    fn item(&self, words: &[&str]) -> Result<Item> {
        Ok(match words {
            ["file", name, mode @ ..] => Item::File(self.own(name)?, mode_of(mode, 0o644)?),
            ["dir", name, mode @ ..] => Item::Directory(self.own(name)?, mode_of(mode, 0o755)?),
            ["symlink", name, target] => Item::Symlink(self.own(name)?, Bytes::of_directive(target)?),
            ["hard", name, existing] => Item::Hard(self.own(name)?, self.own(existing)?),
            ["script", name, interpreter] => Item::Script(self.own(name)?, Bytes::of_directive(interpreter)?),
            ["library", name] => Item::Library(self.own(name)?),
            _ => bail!("not one of file, dir, symlink, hard, script and library with their words"),
        })
    }

    fn own(&self, name: &str) -> Result<Bytes> {
        Ok(Bytes::of_directive(name)?.within(&self.home()))
    }

    fn address(&self, family: &str, address: &str) -> Result<Bytes> {
        let name = match family {
            "unix" if !address.starts_with('@') => self.own(address)?,
            "unix" | "inet" => Bytes::of_directive(address)?,
            _ => bail!("{family} is neither unix nor inet"),
        };
        Ok(Bytes([family.as_bytes(), b" ", &name.0].concat()))
    }
}

impl Build {
    fn parse(word: &str) -> Result<Self> {
        Ok(match word {
            "static" => Self::Static,
            "dynamic" => Self::Dynamic,
            "musl" => Self::Musl,
            "i386" => Self::I386,
            _ => bail!("{word} is not one of static, dynamic, musl and i386"),
        })
    }
}

/// The words once, or, where `{0..9}` stands among them, once for each of these numbers.
fn numbered(words: &[&str]) -> Result<Vec<Vec<String>>> {
    let range = words.iter().find_map(|word| {
        let (inner, _) = word.split_once('{')?.1.split_once('}')?;
        let (first, last) = inner.split_once("..")?;
        Some((format!("{{{inner}}}"), first, last))
    });
    let Some((range, first, last)) = range else {
        return Ok(vec![words.iter().map(|word| (*word).to_owned()).collect()]);
    };
    let number = |text: &str| text.parse::<u32>().with_context(|| format!("{range} has no numbers"));
    let number_of = |n: u32| words.iter().map(|word| word.replace(&range, &n.to_string())).collect();
    Ok((number(first)?..=number(last)?).map(number_of).collect())
}

/// Whether it may be meant as a directive's key: prose has spaces or signs before its first colon.
fn is_key(text: &str) -> bool {
    text.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '[' | ']' | '-'))
}

fn mode_of(words: &[&str], default: u32) -> Result<u32> {
    ensure!(words.len() <= 1, "more than a mode behind the name");
    words.first().map_or(Ok(default), |mode| {
        u32::from_str_radix(mode, 8).with_context(|| format!("{mode:?} is no octal mode"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(comment: &str) -> Result<Vec<Claim>> {
        Oddity::parse("x", &format!("/* A program(2): it runs.\n{comment}\n */\nint main"))
            .map(|oddity| oddity.claims)
    }

    #[test]
    fn directives_are_told_from_prose() {
        let found =
            claims(" * It says: nothing.\n * expect: open a /b\n * socket[base]: bind unix s").unwrap();
        let open = |path: &str| Claim { tier: None, what: What::Use("open".into(), path.into()) };
        let bind = What::Socket("bind".into(), "unix /odd/x/s".into());
        assert_eq!(found, [open("/odd/x/a"), open("/b"), Claim { tier: Some("base".into()), what: bind }]);
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for line in
            ["expcet: open a", "expect: open", "image: fifo a", "image: file a 9", "build: fast", "since: 5"]
        {
            assert!(claims(&format!(" * {line}")).is_err(), "{line}");
        }
        assert!(Oddity::parse("x", "int main").is_err());
    }

    #[test]
    fn tiers_choose_among_claims() {
        let oddity =
            Oddity::parse("x", "/* X.\n * partial[base]: io_uring\n * expect[fentry]: open a\n */").unwrap();
        assert_eq!(oddity.claims_for("base").count(), 1);
        assert!(matches!(oddity.claims_for("fentry").next(), Some(What::Use(..))));
    }
}
