//! The union of manifests: commutative, associative and idempotent, so that recordings from many runs and
//! nodes merge with no coordinator.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::dates::earliest;
use super::schema::{CapabilityUse, FileUse, ImageRef, Manifest, Recording, SocketUse, SyscallUse};

/// Two manifests that are not about the same image.
#[derive(Debug, PartialEq, Eq)]
pub struct ImageMismatch {
    /// Image id of the first.
    pub ours: String,
    /// Image id of the other.
    pub theirs: String,
}

impl std::fmt::Display for ImageMismatch {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { ours, theirs } = self;
        write!(out, "manifests of different images cannot be merged: {ours} and {theirs}")
    }
}

impl std::error::Error for ImageMismatch {}

/// Something that can take in what another of its kind knows.
trait Absorb {
    fn absorb(&mut self, other: Self);
}

impl Manifest {
    /// Adds all that `other` knows.
    ///
    /// # Errors
    /// [`ImageMismatch`] when they are about different images; `self` is unchanged then.
    pub fn merge(&mut self, other: Self) -> Result<(), ImageMismatch> {
        match (&mut self.image, other.image) {
            (Some(ours), Some(theirs)) if ours.id == theirs.id => ours.absorb(theirs),
            (None, None) => {}
            (ours, theirs) => {
                let name =
                    |image: Option<&ImageRef>| image.map_or("none (a bare cgroup)".into(), |i| i.id.clone());
                return Err(ImageMismatch { ours: name(ours.as_ref()), theirs: name(theirs.as_ref()) });
            }
        }
        absorb_map(&mut self.recordings, other.recordings);
        absorb_map(&mut self.files, other.files);
        absorb_map(&mut self.sockets, other.sockets);
        for (abi, calls) in other.syscalls {
            absorb_map(self.syscalls.entry(abi).or_default(), calls);
        }
        absorb_map(&mut self.capabilities, other.capabilities);
        Ok(())
    }
}

fn absorb_map<K: Ord, V: Absorb>(ours: &mut BTreeMap<K, V>, theirs: BTreeMap<K, V>) {
    for (key, value) in theirs {
        match ours.entry(key) {
            Entry::Vacant(slot) => {
                slot.insert(value);
            }
            Entry::Occupied(mut slot) => slot.get_mut().absorb(value),
        }
    }
}

impl Absorb for ImageRef {
    fn absorb(&mut self, other: Self) {
        self.repo_digests.extend(other.repo_digests);
        self.names.extend(other.names);
    }
}

impl Absorb for Recording {
    /// The same id is the same recording; of two snapshots of it the later one knows more, and it lasted longer: what
    /// counts and durations say, only grows. Of two that lasted as long, the one that ended says so by being complete.
    /// Other ties are broken by content, so that the order of merging cannot show.
    fn absorb(&mut self, other: Self) {
        let rank = |r: &Self| (r.duration_ms, r.windows, r.complete);
        let text = |r: &Self| serde_json::to_string(r).unwrap_or_default();
        if rank(&other).cmp(&rank(self)).then_with(|| text(&other).cmp(&text(self))).is_gt() {
            *self = other;
        }
    }
}

impl Absorb for FileUse {
    fn absorb(&mut self, other: Self) {
        self.origin = self.origin.min(other.origin);
        self.uses.extend(other.uses);
        self.by.extend(other.by);
        self.phases.extend(other.phases);
        self.first_ms = self.first_ms.min(other.first_ms);
        self.first_seen = earliest([self.first_seen, other.first_seen]);
        self.seen_in.extend(other.seen_in);
        for (id, windows) in other.windows {
            let most = self.windows.entry(id).or_default();
            *most = windows.max(*most);
        }
    }
}

impl Absorb for SocketUse {
    fn absorb(&mut self, other: Self) {
        self.uses.extend(other.uses);
        self.protocols.extend(other.protocols);
        self.by.extend(other.by);
        self.phases.extend(other.phases);
        self.seen_in.extend(other.seen_in);
    }
}

impl Absorb for SyscallUse {
    fn absorb(&mut self, other: Self) {
        self.phases.extend(other.phases);
        self.refused.extend(other.refused);
        self.first_seen = earliest([self.first_seen, other.first_seen]);
        self.seen_in.extend(other.seen_in);
    }
}

impl Absorb for CapabilityUse {
    fn absorb(&mut self, other: Self) {
        self.phases.extend(other.phases);
        self.refused.extend(other.refused);
        self.by.extend(other.by);
        self.seen_in.extend(other.seen_in);
    }
}

#[cfg(test)]
mod tests {
    use super::super::io::to_bytes;
    use super::super::testing::manifest;
    use super::*;
    use proptest::prelude::*;

    fn union(a: &Manifest, b: &Manifest) -> Vec<u8> {
        to_bytes(&merged(a, b)).unwrap()
    }

    fn merged(a: &Manifest, b: &Manifest) -> Manifest {
        let mut all = a.clone();
        all.merge(b.clone()).unwrap();
        all
    }

    proptest! {
        #[test]
        fn a_union_needs_no_coordinator(a in manifest(), b in manifest(), c in manifest()) {
            prop_assert_eq!(union(&a, &b), union(&b, &a));
            prop_assert_eq!(union(&merged(&a, &b), &c), union(&a, &merged(&b, &c)));
            prop_assert_eq!(union(&a, &a), to_bytes(&a).unwrap());
        }
    }

    #[test]
    fn another_image_is_refused_and_nothing_is_changed() {
        let of = |id: &str| {
            let image =
                ImageRef { id: id.into(), repo_digests: Default::default(), names: Default::default() };
            Manifest::new(Some(image))
        };
        let mut ours = of("sha256:a");
        let error = ours.merge(of("sha256:b")).unwrap_err();
        assert_eq!((error.ours.as_str(), error.theirs.as_str()), ("sha256:a", "sha256:b"));
        assert!(ours.merge(Manifest::new(None)).is_err());
        assert_eq!(ours, of("sha256:a"));
    }
}
