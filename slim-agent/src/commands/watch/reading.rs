//! What a watch reads out of the records: lookups that found nothing, as far as the original image has what they
//! wanted, and calls that the seccomp profile refused.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::finding::{Finding, Live};
use crate::container::Container;
use crate::decode::{Record, phase_of};
use crate::export::seccomp::{Withheld, passes_engine};
use crate::image::cut::{Cut, Lacking, Pair};
use crate::manifest::{Observed, Origin, PathBytes};
use crate::plan::PYTHON_IMPORTS;
use crate::probe::{ABIS, SeenCall};
use crate::recording::facts::{Reading, call_name};
use crate::resolve::{Fact, Lookup, Object, Resolver};

/// What was found so far.
pub struct Missing {
    pair: Pair,
    /// Mount point -> kind, as the runtime tells.
    mounts: BTreeMap<PathBytes, String>,
    filter: Filter,
    live: Live,
    /// Paths that were told. They are in the original image, so that there is an end to them.
    told: BTreeSet<PathBytes>,
    /// Directories that were told to have been listed, and whether by a Python: they are in the original image, too.
    listed: BTreeSet<(PathBytes, bool)>,
    /// Those of them that lack Python modules.
    without_modules: BTreeSet<PathBytes>,
    /// Whether a Python listed one of those.
    python_lacks: bool,
    /// Calls that were told.
    denied: BTreeSet<(usize, u32)>,
    shortcomings: BTreeSet<String>,
}

/// The seccomp filter of the container.
enum Filter {
    /// None, or the engine's own: what that refuses, it refuses the original as well.
    Default,
    /// A profile of its own.
    Custom(Withheld),
    /// A profile of its own that the engine does not show.
    Unknown,
}

impl Filter {
    fn of(container: &Container) -> Self {
        match container.seccomp_profile.as_deref().map(Withheld::parse) {
            Some(Ok(profile)) => Self::Custom(profile),
            Some(Err(error)) => {
                tracing::warn!(
                    "{error:#}: a call that answers EPERM or ENOSYS is taken for one that it denies"
                );
                Self::Unknown
            }
            None => Self::Default,
        }
    }

    /// Whether a call that was refused was so by this filter, and would not be by the engine's default.
    fn denies(&self, call: &str) -> bool {
        match self {
            Self::Default => false,
            Self::Custom(profile) => profile.withholds(call),
            Self::Unknown => passes_engine(call),
        }
    }
}

impl Missing {
    /// Nothing missing so far in a container, `pair` being the images that it could be from.
    pub fn new(pair: Pair, container: &Container, live: Live) -> Self {
        Self {
            pair,
            mounts: container.mounts.clone(),
            filter: Filter::of(container),
            live,
            told: BTreeSet::new(),
            listed: BTreeSet::new(),
            without_modules: BTreeSet::new(),
            python_lacks: false,
            denied: BTreeSet::new(),
            shortcomings: BTreeSet::new(),
        }
    }

    /// What a comparison of the images told; nothing if they could not be read, which is noted.
    fn compared<T: Default>(&mut self, result: Result<T>) -> T {
        result.unwrap_or_else(|error| {
            self.shortcomings.insert(format!("the images could not be compared: {error:#}"));
            T::default()
        })
    }

    /// Tells of a directory that was listed and lacks entries.
    fn listing(&mut self, directory: PathBytes, resolver: &Resolver, record: &Record<'_>) {
        let by = resolver.executable(record);
        let by_python = by.as_ref().is_some_and(is_python);
        let shown = shows_image(&self.mounts, &directory, resolver.origin(&directory));
        if !shown || self.listed.contains(&(directory.clone(), by_python)) {
            return;
        }
        let lacking = self.pair.lacking(&directory);
        let Lacking { entries: lacks, of, has_modules } = self.compared(lacking);
        if has_modules {
            self.without_modules.insert(directory.clone());
        }
        if lacks > 0 {
            self.python_lacks |= by_python && has_modules;
            let (pid, phase) = (record.header.tgid, record.phase);
            let export = remedy(&directory, by_python && has_modules);
            self.live.tell(&Finding::Listed { listed: directory.clone(), lacks, of, by, pid, phase, export });
            self.listed.insert((directory, by_python));
        }
    }

    fn tell(&mut self, cut: &Cut, lookup: &Lookup, record: &Record<'_>, by: Option<PathBytes>) {
        if self.told.insert(cut.path.clone()) {
            self.live.tell(&Finding::Missing {
                missing: cut.path.clone(),
                call: lookup.call,
                asked: PathBytes::new(&lookup.name[..]),
                usage: cut.usage,
                by,
                pid: record.header.tgid,
                phase: record.phase,
            });
        }
    }
}

impl Reading for Missing {
    fn observed(&self) -> Observed {
        Observed::Missing
    }

    fn facts(&mut self, resolver: &mut Resolver, record: &Record<'_>) -> Vec<Fact> {
        resolver.note_init(record);
        if let Some(directory) = resolver.listed(record) {
            self.listing(directory, resolver, record);
        }
        let Some(lookup) = Lookup::of(record) else { return Vec::new() };
        let cuts = self.pair.cut(&lookup, resolver);
        let cuts = self.compared(cuts);
        let by = resolver.executable(record);
        let mut facts = Vec::new();
        for cut in cuts {
            if !shows_image(&self.mounts, &cut.path, resolver.origin(&cut.path)) {
                continue;
            }
            self.tell(&cut, &lookup, record, by.clone());
            let origin = resolver.origin(&cut.wanted);
            let object = Object::Path { path: cut.wanted, origin, usage: cut.usage };
            let time_ns = record.header.time_ns;
            facts.push(Fact { object, by: by.clone(), phase: record.phase, time_ns });
        }
        facts
    }

    fn calls(&mut self, made: Vec<SeenCall>) -> Vec<SeenCall> {
        let mut denied = Vec::new();
        for call in made {
            let Some(abi) = ABIS.get(call.abi).copied() else { continue };
            let name = call_name(abi, call.nr);
            if !call.refused {
                if name.starts_with("io_uring_") {
                    self.shortcomings
                        .insert("io_uring was used: lookups of it that failed are not seen".into());
                }
                continue;
            }
            let Ok(phase) = phase_of(call.phase) else { continue };
            if !self.filter.denies(&name) {
                continue;
            }
            if self.denied.insert((call.abi, call.nr)) {
                self.live.tell(&Finding::Denied { denied: name, abi: abi.as_str(), phase });
            }
            denied.push(call);
        }
        denied
    }

    fn shortcomings(&self) -> BTreeSet<String> {
        let modules = self.without_modules.first().map(|first| {
            let count = self.without_modules.len();
            let remedy = if self.python_lacks {
                format!("; an export with --with {PYTHON_IMPORTS} keeps those that kept sources import")
            } else {
                String::new()
            };
            format!(
                "Python looks for its modules in listings: of those that {count} listed directories lack, such as \
                 {first}, it is not seen whether they were asked for{remedy}"
            )
        });
        self.shortcomings.iter().cloned().chain(modules).collect()
    }
}

/// Options of an export that has what a listing of `directory` lacks: the modules that are imported, or else all of it. None
/// where that would be everything, or no pattern could be written.
fn remedy(directory: &PathBytes, modules: bool) -> Vec<String> {
    if modules {
        return vec!["--with".into(), PYTHON_IMPORTS.into()];
    }
    let text = std::str::from_utf8(directory.as_bytes()).ok();
    match text.filter(|text| *text != "/" && !text.contains(|char: char| char.is_control())) {
        Some(text) => {
            let special = |char| ['*', '?', '[', ']', '{', '}', '\\'].contains(&char);
            let escaped =
                text.chars().flat_map(|char| special(char).then_some('\\').into_iter().chain([char]));
            vec!["--include".into(), escaped.chain("/*".chars()).collect()]
        }
        None => Vec::new(),
    }
}

/// Whether this is a Python interpreter, by its name.
fn is_python(program: &PathBytes) -> bool {
    [&b"python"[..], b"pypy"].iter().any(|name| program.file_name().starts_with(name))
}

/// Whether what the image has at a path would be seen there: it lies in the root filesystem, or on a volume, which starts
/// as a copy of it. `mounts` are those that the runtime tells of.
fn shows_image(mounts: &BTreeMap<PathBytes, String>, path: &PathBytes, origin: Origin) -> bool {
    match origin {
        Origin::Image => true,
        Origin::Volume => {
            let above = mounts.iter().filter(|(point, _)| path.is_within(point.as_bytes()));
            let nearest = above.max_by_key(|(point, _)| point.components().count());
            nearest.is_some_and(|(_, kind)| kind == "volume")
        }
        Origin::Tmpfs | Origin::Kernel | Origin::Outside => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Pattern;

    #[test]
    fn a_listing_is_remedied_by_a_rule_or_by_a_pattern_for_it() {
        assert_eq!(remedy(&"/x".into(), true), ["--with", "python-imports"]);
        let odd = remedy(&"/srv/a[1]*\\{b}".into(), false);
        assert_eq!(odd, ["--include", r"/srv/a\[1\]\*\\\{b\}/*"]);
        let pattern: Pattern = odd[1].parse().unwrap();
        assert!(pattern.covers(pattern.base(), &r"/srv/a[1]*\{b}/c".into()));
        for none in [&b"/"[..], b"/a\nb", b"/\xff"] {
            assert!(remedy(&none.into(), false).is_empty());
        }
        assert!(is_python(&"/usr/bin/python3.11".into()) && !is_python(&"/usr/bin/perl".into()));
    }

    #[test]
    fn what_a_mount_hides_is_not_missing_but_a_volume_starts_as_a_copy() {
        let mounts = [("/data", "volume"), ("/data/own", "bind"), ("/etc/x", "bind")];
        let mounts = mounts.map(|(point, kind)| (point.into(), kind.to_owned())).into();
        let shows = |path: &str, origin| shows_image(&mounts, &path.into(), origin);
        assert!(shows("/srv/x", Origin::Image) && shows("/data/x", Origin::Volume));
        assert!(!shows("/data/own/x", Origin::Volume) && !shows("/etc/x", Origin::Volume));
        assert!(!shows("/run/x", Origin::Tmpfs) && !shows("/proc/x", Origin::Kernel));
    }
}
