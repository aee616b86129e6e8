//! Manifests for property tests.

use proptest::collection::{btree_map, btree_set};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::schema::{
    CAPABILITY_HOOK, CapabilityUse, FileUse, Manifest, Observed, Origin, Phase, Recording, SocketUse,
    SyscallUse, Use,
};

/// Few names, so that manifests overlap.
fn name(prefix: &'static str) -> impl Strategy<Value = String> {
    (0..4u8).prop_map(move |n| format!("{prefix}{n}"))
}

fn phases() -> impl Strategy<Value = std::collections::BTreeSet<Phase>> {
    btree_set(select(vec![Phase::RuntimeInit, Phase::App, Phase::Exec]), 0..3)
}

fn file() -> impl Strategy<Value = FileUse> {
    let origin = select(vec![Origin::Image, Origin::Volume, Origin::Tmpfs]);
    let uses = btree_set(select(vec![Use::Open, Use::Stat, Use::Exec]), 0..3);
    let by = btree_set(name("/bin/").prop_map(|path| path.as_str().into()), 0..3);
    let seen = (btree_set(name("r"), 0..3), btree_map(name("r"), 1..4u32, 0..3));
    (origin, uses, by, phases(), 0..9u64, of(0..9u64), seen).prop_map(
        |(origin, uses, by, phases, first_ms, first_seen, (seen_in, windows))| FileUse {
            origin,
            uses,
            by,
            phases,
            first_ms,
            first_seen,
            seen_in,
            windows,
        },
    )
}

fn recording() -> impl Strategy<Value = Recording> {
    let observed = select(vec![Observed::Use, Observed::Missing]);
    let known = (any::<bool>(), of(name("node")), 0..3u32, 0..9u8);
    let hooks = btree_map(Just(CAPABILITY_HOOK.to_owned()), Just("tp_btf".to_owned()), 0..2);
    (observed, 0..3u64, known, hooks, btree_set(name("reason "), 0..2)).prop_map(
        |(observed, duration_ms, (whole, node, windows, second), hooks, incomplete)| Recording {
            node,
            started: format!("2026-01-01T00:00:0{second}Z"),
            duration_ms,
            windows,
            complete: incomplete.is_empty(),
            incomplete,
            hooks,
            ..Recording::without_events(observed, whole)
        },
    )
}

/// Any manifest, of a bare cgroup.
pub fn manifest() -> impl Strategy<Value = Manifest> {
    let (names, ids) = (|prefix| btree_set(name(prefix), 0..2), || btree_set(name("r"), 0..3));
    let socket =
        (names("use"), names("protocol"), phases(), ids()).prop_map(|(uses, protocols, phases, seen_in)| {
            SocketUse { uses, protocols, by: Default::default(), phases, seen_in }
        });
    let by = btree_set(name("/bin/").prop_map(|path| path.as_str().into()), 0..3);
    let capability = (phases(), phases(), by, ids())
        .prop_map(|(phases, refused, by, seen_in)| CapabilityUse { phases, refused, by, seen_in });
    let call = (phases(), phases(), of(0..9u64), ids()).prop_map(|(phases, refused, first_seen, seen_in)| {
        SyscallUse { phases, refused, first_seen, seen_in }
    });
    let files = btree_map(name("/f").prop_map(|path| path.as_str().into()), file(), 0..4);
    let calls = btree_map(name("abi"), btree_map(name("call"), call, 0..3), 0..2);
    let sockets = btree_map(name("inet "), socket, 0..3);
    let capabilities = btree_map(name("CAP_"), capability, 0..3);
    (btree_map(name("r"), recording(), 0..3), files, sockets, calls, capabilities).prop_map(
        |(recordings, files, sockets, syscalls, capabilities)| Manifest {
            recordings,
            files,
            sockets,
            syscalls,
            capabilities,
            ..Manifest::new(None)
        },
    )
}
