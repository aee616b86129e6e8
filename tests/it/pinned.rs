//! Pinned programs: they record while nobody holds them, and the next agent goes on with them or takes over.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use slim_agent::probe::{Adoption, Counting, Limits, Probe};
use slim_common::scope::{Scope, flags};
use slim_tests::{Born, Cgroup, Pins, Told, Toucher, birth_of, come, small_limits};

/// Room for what a process does while agents come and go and nobody listens.
const RING: u32 = 8 << 20;

fn limits() -> Limits {
    small_limits(RING)
}

/// Runs a test where the agent can wait for its ring; tests themselves never do.
fn within(test: impl FnOnce() -> Result<()>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _entered = runtime.enter();
    test()
}

fn ended(mut child: Child) -> Result<()> {
    let status = child.wait()?;
    ensure!(status.success(), "{status}");
    Ok(())
}

fn fresh(pins: &Pins, limits: &Limits) -> Result<Probe> {
    match pins.open(limits)? {
        (probe, Adoption::Fresh) => Ok(probe),
        _ => bail!("something was pinned already"),
    }
}

fn adopted(pins: &Pins) -> Result<Probe> {
    match pins.open(&limits())? {
        (probe, Adoption::Adopted) => Ok(probe),
        _ => bail!("not adopted"),
    }
}

fn toucher(born: &Born) -> Result<Toucher> {
    Toucher::begin(born, Path::new(env!("CARGO_BIN_EXE_pinner")))
}

#[test]
fn a_container_that_comes_gets_a_slot_with_all_that_it_does_also_while_nobody_listens() -> Result<()> {
    within(|| {
        let (pins, cgroup) = (Pins::new(), Cgroup::new()?);
        let mut probe = fresh(&pins, &limits())?;
        probe.set_auto(true, flags::HOST_ROOT)?;
        let first = Born::below(&cgroup, 1, "")?;
        let birth = birth_of(&probe, &first)?;
        ensure!(birth.cgroup == first.id()?);
        ended(first.run("cat /etc/passwd")?)?;
        let told = Told::of(&mut probe)?;
        ensure!(told.births.contains(&(birth.slot, birth.cgroup)), "{told:?}");
        ensure!(told.has(birth.slot, "/etc/passwd"), "{told:?}");
        let hooks = probe.hooks().clone();
        drop(probe);

        ended(first.run("cat /etc/group")?)?;
        let second = Born::below(&cgroup, 2, "docker")?;
        ended(second.run("cat /etc/hostname")?)?;
        let mut probe = adopted(&pins)?;
        ensure!(*probe.hooks() == hooks);
        let other = birth_of(&probe, &second)?;
        ensure!(other.slot != birth.slot && other.born_ns > birth.born_ns);
        let told = Told::of(&mut probe)?;
        ensure!(told.has(birth.slot, "/etc/group") && told.has(other.slot, "/etc/hostname"), "{told:?}");
        ensure!(!told.has(birth.slot, "/etc/passwd"), "what was taken was told again");
        ensure!(probe.syscalls(other.slot)?.len() > 10);
        ensure!(probe.tally()?.adds_up() && probe.lost_of(birth.slot)? == 0);
        costs(&probe, &first)
    })
}

/// The programs' cost is counted while somebody asks for it, and the maps' size is known.
fn costs(probe: &Probe, born: &Born) -> Result<()> {
    let runs = |name: &str| -> Result<u64> {
        let stats = probe.program_stats()?;
        Ok(stats.iter().find(|stats| stats.name == name).context("no such program")?.run_count)
    };
    let (before, counting) = (runs("sched_process_exec")?, Counting::begin()?);
    ended(born.run("cat /etc/passwd")?)?;
    ensure!(runs("sched_process_exec")? > before);
    drop(counting);
    let memory: u64 = probe.memory().values().sum();
    ensure!((1 << 20..64 << 20).contains(&memory), "{memory} bytes");
    Ok(())
}

#[test]
fn only_containers_get_a_slot_of_their_own() -> Result<()> {
    within(|| {
        let (pins, cgroup) = (Pins::new(), Cgroup::new()?);
        let mut probe = fresh(&pins, &limits())?;
        let monitor = come(&mut probe, &cgroup, 1, "libpod-conmon")?;
        ensure!(birth_of(&probe, &monitor).is_err());
        probe.set_auto(true, 0)?;
        let service = Path::new(cgroup.path()).join("x".repeat(64));
        fs::create_dir(&service)?;
        fs::remove_dir(&service)?;
        probe.set_auto(false, 0)?;
        ensure!(probe.births()?.iter().all(|birth| !birth.container.contains('x')));

        let in_a_unit = come(&mut probe, &cgroup, 4, "libpod-payload-")?;
        ensure!(birth_of(&probe, &in_a_unit)?.cgroup == in_a_unit.id()?);
        let container = come(&mut probe, &cgroup, 2, "libpod")?;
        let below = Path::new(cgroup.path()).join(format!("libpod-{}.scope/container", container.name()));
        fs::create_dir(&below)?;
        let slot = birth_of(&probe, &container)?.slot;
        ensure!(probe.scopes_of()?.get(&slot) == Some(&2));
        fs::remove_dir(&below)?;
        ensure!(probe.scopes_of()?.get(&slot) == Some(&1));
        let unwanted = Born::below(&cgroup, 3, "")?;
        ensure!(birth_of(&probe, &unwanted).is_err());
        drop(container);
        ensure!(
            !probe.scopes_of()?.contains_key(&slot) && probe.births()?.iter().any(|birth| birth.slot == slot)
        );
        Ok(())
    })
}

#[test]
fn a_container_that_finds_no_free_slot_is_counted() -> Result<()> {
    within(|| {
        let (pins, cgroup) = (Pins::new(), Cgroup::new()?);
        let mut probe = fresh(&pins, &Limits { slots: 2, ..limits() })?;
        ensure!(probe.take_slot("some cgroup", 1)?.is_some() && probe.take_slot("another", 2)?.is_some());
        ensure!(probe.take_slot("a third", 3)?.is_none() && probe.tally()?.losses()["slots_full"] == 0);
        let late = come(&mut probe, &cgroup, 1, "")?;
        ensure!(probe.tally()?.losses()["slots_full"] > 0);
        ensure!(birth_of(&probe, &late).is_err());
        Ok(())
    })
}

#[test]
fn a_slot_that_is_left_sees_nothing_and_one_that_is_recycled_knows_nothing() -> Result<()> {
    within(|| {
        let (pins, cgroup) = (Pins::new(), Cgroup::new()?);
        // The third is left for whatever else starts on this host.
        let mut probe = fresh(&pins, &Limits { slots: 3, ..limits() })?;
        let (left, kept) = (come(&mut probe, &cgroup, 1, "")?, come(&mut probe, &cgroup, 2, "")?);
        let (slot, other) = (birth_of(&probe, &left)?.slot, birth_of(&probe, &kept)?.slot);
        ended(left.run("cat /etc/passwd")?)?;
        ended(kept.run("cat /etc/passwd")?)?;
        probe.leave(slot)?;
        let below = Path::new(cgroup.path()).join(left.name()).join("below");
        fs::create_dir(&below)?;
        let scopes = probe.scopes_of()?;
        ensure!(!scopes.contains_key(&slot) && scopes.get(&other) == Some(&1), "{scopes:?}");
        ended(left.run("cat /etc/hostname")?)?;
        let told = Told::of(&mut probe)?;
        ensure!(told.has(slot, "/etc/passwd") && !told.has(slot, "/etc/hostname"), "{told:?}");
        fs::remove_dir(&below)?;

        // The same slot, and the same access: it must be told again. The other's must not.
        while probe.take_slot("whatever is free", 0)?.is_some() {}
        probe.recycle(&[slot].into())?;
        ensure!(birth_of(&probe, &left).is_err() && probe.syscalls(slot)?.is_empty());
        let late = Born::below(&cgroup, 3, "")?;
        ensure!(probe.take_slot(late.name(), late.id()?)? == Some(slot));
        ensure!(birth_of(&probe, &late)?.cgroup == late.id()?);
        probe.add_scope(late.id()?, Scope { slot, flags: flags::HOST_ROOT })?;
        let both = |probe: &mut Probe| {
            ended(late.run("cat /etc/passwd")?)?;
            ended(kept.run("cat /etc/passwd")?)?;
            let told = Told::of(probe)?;
            Ok::<_, anyhow::Error>((told.has(slot, "/etc/passwd"), told.has(other, "/etc/passwd")))
        };
        ensure!(both(&mut probe)? == (true, false));
        probe.renew(&[other].into())?;
        ensure!(both(&mut probe)? == (false, true));
        ensure!(both(&mut probe)? == (false, false));
        ensure!(!probe.syscalls(other)?.is_empty());
        Ok(())
    })
}

#[test]
fn programs_with_other_limits_take_over_from_those_that_run_and_nothing_is_missing() -> Result<()> {
    within(|| {
        let (pins, cgroup) = (Pins::new(), Cgroup::new()?);
        let mut probe = fresh(&pins, &limits())?;
        let (born, gone) = (come(&mut probe, &cgroup, 1, "")?, come(&mut probe, &cgroup, 2, "")?);
        let (birth, ghost) = (birth_of(&probe, &born)?, birth_of(&probe, &gone)?);
        let toucher = toucher(&born)?;
        let mut told = Told::of(&mut probe)?;
        ended(gone.run("cat /etc/passwd")?)?;
        drop((probe, gone));

        let limits = Limits { slots: 200, ..limits() };
        let began = Instant::now();
        let (mut probe, adoption) = pins.open(&limits)?;
        println!("handed over in {:?}", began.elapsed());
        let Adoption::HandedOver(mut former) = adoption else { bail!("not handed over") };
        ensure!(birth_of(&probe, &born)? == birth);
        let scopes = probe.scopes_of()?;
        ensure!(scopes.get(&birth.slot) == Some(&1) && !scopes.contains_key(&ghost.slot), "{scopes:?}");
        told.add_last_words(&mut former)?;
        ensure!(told.has(ghost.slot, "/etc/passwd"), "what ended before is not told");
        ensure!(!former.syscalls(ghost.slot)?.is_empty() && former.lost_of(birth.slot)? == 0);
        former.discard()?;
        let files = toucher.end()?;
        told.add(&mut probe)?;
        told.has_all(birth.slot, &files)?;
        let free = (0..).take_while(|_| matches!(probe.take_slot("one more", 0), Ok(Some(_)))).count();
        ensure!(free + 2 <= 200 && free > 100, "{free} slots are free");
        drop(probe);
        let (_probe, adoption) = pins.open(&limits)?;
        ensure!(matches!(adoption, Adoption::Adopted), "the former programs are found again");
        Ok(())
    })
}

/// Another agent, which pins programs and does nothing with them.
fn other_agent(pins: &Pins, ring: u32) -> Result<Child> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinner"));
    command.arg("pin").arg(pins.path()).arg(ring.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot run another agent")
}

/// How another agent came to its programs; it holds them from then on.
fn how(agent: &mut Child) -> Result<String> {
    let mut line = String::new();
    let output = agent.stdout.as_mut().context("no output")?;
    BufReader::new(output).read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

#[test]
fn two_agents_do_not_share_programs() -> Result<()> {
    within(|| {
        let pins = Pins::new();
        let mut agent = other_agent(&pins, RING)?;
        ensure!(how(&mut agent)? == "fresh");
        let refused = pins.open(&limits()).err().map(|error| format!("{error:#}")).unwrap_or_default();
        ensure!(refused.contains("another slim-agent"), "{refused}");
        ensure!(Probe::detach(pins.path()).is_err());
        agent.kill()?;
        agent.wait()?;
        adopted(&pins).map(drop)
    })
}

/// The rights of the service: what takes CAP_SYS_ADMIN is not asked for.
#[test]
fn an_agent_that_may_no_more_than_a_service_may_pins_adopts_and_takes_over() -> Result<()> {
    let pins = Pins::new();
    // A service finds the file system mounted.
    within(|| fresh(&pins, &limits()).map(drop))?;
    Probe::detach(pins.path())?;
    for (ring, expected) in [(RING, "fresh"), (RING, "adopted"), (RING / 2, "handed over")] {
        let mut command = Command::new("setpriv");
        command.arg("--bounding-set=-all,+bpf,+perfmon,+sys_ptrace,+dac_read_search,+chown");
        command.args([env!("CARGO_BIN_EXE_pinner"), "pin"]).arg(pins.path()).arg(ring.to_string());
        let mut agent = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let found = how(&mut agent)?;
        agent.kill()?;
        agent.wait()?;
        ensure!(found == expected, "{found:?}, not {expected}");
    }
    Ok(())
}

/// At moments spread over the time that it takes: of the first pinning, and of hand-overs from whatever is there.
#[test]
fn an_agent_that_is_killed_while_it_pins_leaves_something_to_go_on_with_and_nothing_is_missing() -> Result<()>
{
    within(|| {
        let (pins, cgroup) = (Pins::new(), Cgroup::new()?);
        let began = Instant::now();
        let mut agent = other_agent(&pins, RING)?;
        how(&mut agent)?;
        let whole = began.elapsed();
        agent.kill()?;
        agent.wait()?;
        ensure!(Probe::detach(pins.path())?);
        for part in [5, 8] {
            killed_after(other_agent(&pins, RING)?, whole * part / 10)?;
        }
        let mut probe = match pins.open(&limits())? {
            (probe, Adoption::Fresh | Adoption::Adopted) => probe,
            _ => bail!("neither fresh nor adopted"),
        };
        let born = come(&mut probe, &cgroup, 1, "")?;
        drop(probe);
        let toucher = toucher(&born)?;
        for (round, part) in (0..).zip([4, 6, 7, 8, 9, 10]) {
            killed_after(other_agent(&pins, RING << (1 + round % 2))?, whole * part / 10)?;
        }
        let files = toucher.end()?;
        let mut told = Told::default();
        let (mut probe, adoption) = pins.open(&limits())?;
        if let Adoption::HandedOver(mut former) = adoption {
            told.add_last_words(&mut former)?;
            former.discard()?;
        }
        told.add(&mut probe)?;
        told.has_all(birth_of(&probe, &born)?.slot, &files)
    })
}

fn killed_after(mut agent: Child, time: Duration) -> Result<()> {
    std::thread::sleep(time);
    agent.kill()?;
    agent.wait()?;
    Ok(())
}

#[test]
fn uninstalling_leaves_nothing_and_says_whether_there_was_something() -> Result<()> {
    within(|| {
        let pins = Pins::new();
        ensure!(!Probe::detach(pins.path())?);
        drop(fresh(&pins, &limits())?);
        ensure!(Probe::detach(pins.path())? && !pins.path().exists());
        Ok(())
    })
}
