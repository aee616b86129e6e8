//! Folding, and going on with what was folded.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::io::to_bytes;
use super::super::schema::Observed;
use super::*;

const ROOM: Room = Room { paths: 100, sockets: 20 };

fn fold_from(start_ns: u64, room: Room) -> Fold {
    Fold::new(Manifest::new(None), "0123456789abcdef".into(), start_ns, 1_000_000, room)
}

#[test]
fn uses_of_one_path_come_together() {
    let mut fold = fold_from(1_000_000_000, ROOM);
    let by = PathBytes::from("/bin/app");
    let at = |time_ns| Actor { by: Some(&by), phase: Phase::App, time_ns };
    assert!(fold.file("/etc/x".into(), Origin::Image, Use::Open, at(3_000_000_000)));
    assert!(fold.file("/etc/x".into(), Origin::Image, Use::Stat, at(2_000_000_000)));
    assert!(!fold.file("/etc/x".into(), Origin::Image, Use::Stat, at(4_000_000_000)));
    assert!(fold.file("/bin/app".into(), Origin::Image, Use::Exec, at(5_000_000_000)));
    assert_eq!(fold.totals(), Totals { files: 2, execs: 1, sockets: 0 });
    let file = &fold.manifest.files[&PathBytes::from("/etc/x")];
    assert_eq!((file.first_ms, file.uses.len(), file.by.len()), (1000, 2, 1));
}

#[test]
fn names_without_end_are_counted_and_left_out() {
    let mut fold = fold_from(0, ROOM);
    let actor = Actor { by: None, phase: Phase::App, time_ns: 0 };
    for number in 0..ROOM.paths + 3 {
        fold.file(format!("/tmp/{number}").as_str().into(), Origin::Image, Use::Write, actor);
    }
    assert!(fold.file("/tmp/7".into(), Origin::Image, Use::Open, actor), "a known name goes on");
    assert_eq!((fold.totals().files, fold.refused()), (ROOM.paths, 3));
    for number in 0..ROOM.sockets + 2 {
        fold.socket(format!("unix @{number}"), "bind", None, actor);
    }
    assert_eq!((fold.totals().sockets, fold.refused()), (ROOM.sockets, 5));
}

#[test]
fn long_names_share_the_room_of_many() {
    let mut fold = fold_from(0, ROOM);
    let actor = Actor { by: None, phase: Phase::App, time_ns: 0 };
    for number in 0..ROOM.paths {
        let path = format!("/{number}/{}", "x".repeat(4000));
        fold.file(path.as_str().into(), Origin::Image, Use::Write, actor);
    }
    let bytes: usize = fold.manifest.files.keys().map(|path| path.as_bytes().len()).sum();
    assert!(bytes <= ROOM.paths * BYTES_PER_PATH, "{bytes}");
    assert_eq!(fold.refused() as usize, ROOM.paths - fold.totals().files);
}

#[test]
fn executables_without_end_are_counted_and_left_out_while_their_uses_are_kept() {
    let mut fold = fold_from(0, ROOM);
    let most = ROOM.paths * BYTES_PER_PATH / ACTOR_BYTES;
    for number in 0..most {
        let by = PathBytes::from(format!("/tmp/{number}").as_str());
        let actor = Actor { by: Some(&by), phase: Phase::App, time_ns: 0 };
        fold.file("/lib/c".into(), Origin::Image, Use::Open, actor);
    }
    let named = fold.manifest.files[&PathBytes::from("/lib/c")].by.len();
    assert!(named < most && fold.refused() as usize == most - named, "{named}");
}

#[test]
fn only_what_was_not_known_is_news() {
    let mut fold = fold_from(0, ROOM);
    let by = PathBytes::from("/bin/app");
    let actor = |phase| Actor { by: Some(&by), phase, time_ns: 0 };
    let mut news = |phase, usage| {
        fold.file("/etc/x".into(), Origin::Image, usage, actor(phase));
        fold.syscall("x86_64", "openat".into(), phase, false, 0);
        fold.capability("CAP_CHOWN".into(), phase, false);
        fold.capability_by("CAP_CHOWN".into(), actor(phase));
        fold.socket("inet 127.0.0.1:80".into(), "bind", Some("tcp"), actor(phase));
        fold.news()
    };
    let first = news(Phase::App, Use::Open);
    assert_eq!(news(Phase::App, Use::Open), first);
    assert!(news(Phase::App, Use::Stat) > first);
    let second = news(Phase::App, Use::Stat);
    assert!(news(Phase::Exec, Use::Stat) > second);
}

fn at(second: u64) -> Actor<'static> {
    Actor { by: None, phase: Phase::App, time_ns: second * 1_000_000_000 }
}

#[test]
fn things_are_dated_by_the_start_and_the_time_since() {
    let mut fold = fold_from(5_000_000_000, ROOM);
    fold.file("/f".into(), Origin::Image, Use::Open, at(65));
    fold.file("/f".into(), Origin::Image, Use::Open, at(25));
    fold.file("/held".into(), Origin::Image, Use::Held, at(0));
    fold.syscall("x86_64", "read".into(), Phase::App, false, 8_000_000_000);
    fold.syscall("x86_64", "read".into(), Phase::App, false, 9_000_000_000);
    let seen = |path: &str| fold.manifest.files[&PathBytes::from(path)].first_seen;
    assert_eq!((seen("/f"), seen("/held")), (Some(1_000_020), Some(1_000_000)));
    assert_eq!(fold.manifest.syscalls["x86_64"]["read"].first_seen, Some(1_000_003));
}

#[test]
fn each_hour_after_the_first_counts_a_path_once() {
    let mut fold = fold_from(0, ROOM);
    let using = |fold: &mut Fold, path: &str| fold.file(path.into(), Origin::Image, Use::Open, at(1));
    assert!(using(&mut fold, "/always") && using(&mut fold, "/first"));
    for hour in 1..4 {
        fold.next_window();
        let before = fold.news();
        assert!(!using(&mut fold, "/always"), "it was known");
        assert!(fold.news() > before, "that it is used still was not");
        let told = fold.news();
        assert!(!using(&mut fold, "/always"));
        assert_eq!(fold.news(), told);
        if hour == 2 {
            assert!(using(&mut fold, "/late"));
        }
    }
    let manifest = fold.finish(Recording::without_events(Observed::Use, true));
    let windows = |path: &str| manifest.files[&PathBytes::from(path)].windows.values().copied().collect();
    let found: [Vec<u32>; 3] = ["/always", "/first", "/late"].map(windows);
    assert_eq!(found, [vec![3], vec![], vec![1]]);
    assert_eq!(manifest.recordings["0123456789abcdef"].windows, 3);
}

/// What happens in a recording.
#[derive(Debug, Clone, Copy)]
enum Step {
    Use(u8, Use),
    Speak(u8),
    Call(u8),
    NextWindow,
    /// A checkpoint is written, and perhaps the agent killed.
    Checkpoint,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let usage = proptest::sample::select(vec![Use::Open, Use::Exec, Use::Stat]);
    let step = prop_oneof![
        6 => (0..30u8, usage).prop_map(|(file, usage)| Step::Use(file, usage)),
        1 => any::<u8>().prop_map(Step::Speak),
        1 => (0..5u8).prop_map(Step::Call),
        1 => Just(Step::NextWindow),
        1 => Just(Step::Checkpoint),
    ];
    vec(step, 0..60)
}

/// Little room, so that it is used up.
const LITTLE: Room = Room { paths: 20, sockets: 3 };

/// Folds `steps`; at each checkpoint, `at_checkpoint` says what goes on.
fn folded(steps: &[Step], mut at_checkpoint: impl FnMut(Fold, u64) -> Fold) -> (Fold, Recording) {
    let mut fold = fold_from(0, LITTLE);
    for (second, step) in (1..).zip(steps) {
        let by = PathBytes::from(format!("/bin/{}", second % 7).as_str());
        let actor = Actor { by: Some(&by), ..at(second) };
        match *step {
            Step::Use(file, usage) => {
                fold.file(format!("/f{file}").as_str().into(), Origin::Image, usage, actor);
            }
            Step::Speak(port) => {
                fold.socket(format!("inet 0.0.0.0:{port}"), "bind", None, actor);
            }
            Step::Call(call) => fold.syscall("x86_64", call.to_string(), Phase::App, false, actor.time_ns),
            Step::NextWindow => fold.next_window(),
            Step::Checkpoint => fold = at_checkpoint(fold, second),
        }
    }
    (fold, lasted(steps.len() as u64 + 1))
}

fn lasted(seconds: u64) -> Recording {
    Recording { duration_ms: seconds * 1000, ..Recording::without_events(Observed::Use, true) }
}

proptest! {
    #[test]
    fn what_goes_on_after_a_checkpoint_is_as_if_nothing_had_happened(steps in steps()) {
        let (whole, recording) = folded(&steps, |fold, _| fold);
        let mut kills = 0;
        let (resumed, _) = folded(&steps, |mut fold, second| {
            kills += 1;
            let checkpoint = fold.so_far(lasted(second)).clone();
            Fold::resume(checkpoint, fold.id, fold.start_ns, fold.started_unix, fold.window, LITTLE)
        });
        prop_assert_eq!((whole.totals(), whole.bytes), (resumed.totals(), resumed.bytes));
        let (whole, mut resumed) = (whole.finish(recording.clone()), resumed.finish(recording));
        for (path, file) in &mut resumed.files {
            let (counted, all) = (std::mem::take(&mut file.windows), whole.files[path].windows.clone());
            for (id, all) in &all {
                let counted = counted.get(id).copied().unwrap_or_default();
                prop_assert!(counted <= *all && counted + kills >= *all && counted > 0);
            }
            file.windows = all;
        }
        prop_assert_eq!(resumed, whole);
    }

    #[test]
    fn snapshots_of_a_recording_add_nothing_to_its_end(steps in steps(), backwards: bool) {
        let mut snapshots = Vec::new();
        let (fold, recording) = folded(&steps, |mut fold, second| {
            let mut unfinished = lasted(second);
            unfinished.complete = false;
            unfinished.incomplete.insert("it had not ended".into());
            snapshots.push(fold.so_far(unfinished).clone());
            fold
        });
        let end = fold.finish(recording);
        snapshots.push(end.clone());
        if backwards {
            snapshots.reverse();
        }
        let mut all = Manifest::new(None);
        for snapshot in snapshots {
            all.merge(snapshot).unwrap();
        }
        prop_assert_eq!(to_bytes(&all).unwrap(), to_bytes(&end).unwrap());
    }
}
