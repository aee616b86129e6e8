//! Pinned programs: they record while nobody holds them, and the next agent goes on with them or takes over.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use slim_agent::decode::{Kind, decode};
use slim_agent::probe::{Adoption, Birth, Limits, Predecessor, Probe};
use slim_common::scope::{Scope, flags};
use slim_tests::{Born, Cgroup, Pins, small_limits, wait_until};

const RING: u32 = 4 << 20;

fn limits() -> Limits {
    small_limits(RING)
}

/// Runs a test where the agent can wait for its ring; tests themselves never do.
fn within(test: impl FnOnce() -> Result<()>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _entered = runtime.enter();
    test()
}

/// A name in a slot.
type Named = (u32, String);

/// What a drain gives: names of files, and births.
#[derive(Debug, Default)]
struct Told {
    names: BTreeSet<Named>,
    births: Vec<(u32, u64)>,
}

impl Told {
    fn take(&mut self, slot: u32, bytes: &[u8]) {
        let Ok(record) = decode(bytes) else { return };
        match record.kind {
            Kind::Birth => self.births.push((slot, record.header.cgroup)),
            _ => {
                self.names.insert((slot, String::from_utf8_lossy(record.name).into_owned()));
            }
        }
    }

    fn of(probe: &mut Probe) -> Result<Self> {
        let mut told = Self::default();
        told.add(probe)?;
        Ok(told)
    }

    fn add(&mut self, probe: &mut Probe) -> Result<()> {
        probe.drain(|bytes| {
            let slot = decode(bytes).map_or(u32::MAX, |record| record.header.slot);
            self.take(slot, bytes);
        })
    }

    fn add_last_words(&mut self, former: &mut Predecessor) -> Result<()> {
        former.drain(|slot, bytes| self.take(slot, bytes))
    }

    fn has(&self, slot: u32, name: &str) -> bool {
        self.names.contains(&(slot, name.to_owned()))
    }
}

fn birth_of(probe: &Probe, born: &Born) -> Result<Birth> {
    let found = probe.births()?.into_iter().find(|birth| birth.container == born.name());
    found.with_context(|| format!("no slot for {}", born.name()))
}

fn ended(mut child: Child) -> Result<()> {
    let status = child.wait()?;
    ensure!(status.success(), "{status}");
    Ok(())
}

/// A new probe that takes whatever container comes.
fn fresh(pins: &Pins) -> Result<Probe> {
    let (mut probe, adoption) = pins.open(&limits())?;
    ensure!(matches!(adoption, Adoption::Fresh));
    probe.set_auto(true, flags::HOST_ROOT)?;
    Ok(probe)
}

fn adopted(pins: &Pins) -> Result<Probe> {
    match pins.open(&limits())? {
        (probe, Adoption::Adopted) => Ok(probe),
        _ => bail!("not adopted"),
    }
}

#[test]
fn a_container_that_comes_gets_a_slot_with_all_that_it_does_also_while_nobody_listens() -> Result<()> {
    within(|| {
        let (pins, cgroup) = (Pins::new(), Cgroup::new()?);
        let mut probe = fresh(&pins)?;
        let first = Born::below(&cgroup, 1, "")?;
        let birth = birth_of(&probe, &first)?;
        ensure!(birth.cgroup == first.id()?);
        ended(first.run("cat /etc/passwd")?)?;
        let told = Told::of(&mut probe)?;
        ensure!(
            told.births == [(birth.slot, birth.cgroup)] && told.has(birth.slot, "/etc/passwd"),
            "{told:?}"
        );
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
        Ok(())
    })
}

#[test]
fn only_containers_get_a_slot_of_their_own() -> Result<()> {
    within(|| {
        let (pins, cgroup) = (Pins::new(), Cgroup::new()?);
        let mut probe = fresh(&pins)?;
        let monitor = Born::below(&cgroup, 1, "libpod-conmon")?;
        let service = Path::new(cgroup.path()).join("x".repeat(64));
        fs::create_dir(&service)?;
        fs::remove_dir(&service)?;
        ensure!(probe.births()?.is_empty(), "{:?}", probe.births()?);
        let container = Born::below(&cgroup, 2, "libpod")?;
        let below = Path::new(cgroup.path()).join(format!("libpod-{}.scope/container", container.name()));
        fs::create_dir(&below)?;
        let slot = birth_of(&probe, &container)?.slot;
        ensure!(probe.births()?.len() == 1 && probe.scopes_of()? == [(slot, 2)].into());
        fs::remove_dir(&below)?;
        ensure!(probe.scopes_of()? == [(slot, 1)].into());
        probe.set_auto(false, 0)?;
        let unwanted = Born::below(&cgroup, 3, "")?;
        ensure!(probe.births()?.len() == 1);
        drop((monitor, unwanted));
        Ok(())
    })
}

#[test]
fn a_slot_that_is_left_sees_nothing_and_one_that_is_recycled_knows_nothing() -> Result<()> {
    within(|| {
        let (pins, cgroup) = (Pins::new(), Cgroup::new()?);
        let mut probe = fresh(&pins)?;
        let born: Vec<Born> =
            (1..=4).map(|number| Born::below(&cgroup, number, "")).collect::<Result<_>>()?;
        let slots: Vec<u32> =
            born.iter().map(|born| Ok(birth_of(&probe, born)?.slot)).collect::<Result<_>>()?;
        ensure!(slots.iter().collect::<BTreeSet<_>>().len() == 4, "{slots:?}");
        let late = Born::below(&cgroup, 5, "")?;
        let said = probe.tally()?.shortcomings();
        ensure!(said.iter().any(|reason| reason.contains("every slot was in use")), "{said:?}");
        ensure!(birth_of(&probe, &late).is_err() && probe.take_slot("a cgroup", late.id()?)?.is_none());

        ended(born[0].run("cat /etc/passwd")?)?;
        ended(born[1].run("cat /etc/passwd")?)?;
        probe.leave(slots[0])?;
        let below = Path::new(cgroup.path()).join(born[0].name()).join("below");
        fs::create_dir(&below)?;
        ensure!(probe.scopes_of()?.keys().copied().collect::<Vec<_>>() == slots[1..]);
        ended(born[0].run("cat /etc/hostname")?)?;
        let told = Told::of(&mut probe)?;
        ensure!(told.has(slots[0], "/etc/passwd") && !told.has(slots[0], "/etc/hostname"), "{told:?}");
        fs::remove_dir(&below)?;

        // The same slot, and the same access: it must be told again. The other's must not.
        probe.recycle(&[slots[0]].into())?;
        ensure!(birth_of(&probe, &born[0]).is_err() && probe.syscalls(slots[0])?.is_empty());
        let slot = probe.take_slot(late.name(), late.id()?)?.context("no slot is free")?;
        ensure!(slot == slots[0] && birth_of(&probe, &late)?.cgroup == late.id()?);
        probe.add_scope(late.id()?, Scope { slot, flags: flags::HOST_ROOT })?;
        ended(late.run("cat /etc/passwd")?)?;
        ended(born[1].run("cat /etc/passwd")?)?;
        let told = Told::of(&mut probe)?;
        ensure!(told.has(slot, "/etc/passwd") && !told.has(slots[1], "/etc/passwd"), "{told:?}");

        probe.renew(&[slots[1]].into())?;
        ended(late.run("cat /etc/passwd")?)?;
        ended(born[1].run("cat /etc/passwd")?)?;
        let told = Told::of(&mut probe)?;
        ensure!(!told.has(slot, "/etc/passwd") && told.has(slots[1], "/etc/passwd"), "{told:?}");
        ensure!(!probe.syscalls(slots[1])?.is_empty());
        Ok(())
    })
}

/// A process in a container's cgroup that makes numbered files, and the directory that they are in.
struct Toucher {
    place: tempfile::TempDir,
    child: Child,
}

impl Toucher {
    fn begin(born: &Born) -> Result<Self> {
        let place = tempfile::tempdir()?;
        let program = env!("CARGO_BIN_EXE_pinner");
        let child = born.run(&format!("exec '{program}' touch '{}'", place.path().display()))?;
        let toucher = Self { place, child };
        wait_until("files are made", || Ok(toucher.path(20).exists()))?;
        Ok(toucher)
    }

    fn path(&self, number: usize) -> std::path::PathBuf {
        self.place.path().join(number.to_string())
    }

    /// Ends it; every file that it made.
    fn end(mut self) -> Result<Vec<String>> {
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        ensure!(status.success(), "{status}");
        let count = fs::read_dir(self.place.path())?.count();
        Ok((0..count).map(|number| self.path(number).to_string_lossy().into_owned()).collect())
    }
}

#[test]
fn programs_with_other_limits_take_over_from_those_that_run_and_nothing_is_missing() -> Result<()> {
    within(|| {
        let (pins, cgroup) = (Pins::new(), Cgroup::new()?);
        let mut probe = fresh(&pins)?;
        let (born, gone) = (Born::below(&cgroup, 1, "")?, Born::below(&cgroup, 2, "")?);
        let (birth, ghost) = (birth_of(&probe, &born)?, birth_of(&probe, &gone)?);
        let toucher = Toucher::begin(&born)?;
        let mut told = Told::of(&mut probe)?;
        ended(gone.run("cat /etc/passwd")?)?;
        drop((probe, gone));

        let began = Instant::now();
        let (mut probe, adoption) = pins.open(&Limits { slots: 9, ..limits() })?;
        println!("handed over in {:?}", began.elapsed());
        let Adoption::HandedOver(mut former) = adoption else { bail!("not handed over") };
        ensure!(birth_of(&probe, &born)? == birth);
        ensure!(probe.scopes_of()? == [(birth.slot, 1)].into(), "{:?}", probe.scopes_of()?);
        told.add_last_words(&mut former)?;
        ensure!(told.has(ghost.slot, "/etc/passwd"), "what ended before is not told");
        ensure!(!former.syscalls(ghost.slot)?.is_empty() && former.lost_of(birth.slot)? == 0);
        former.discard()?;
        let files = toucher.end()?;
        told.add(&mut probe)?;
        let missing: Vec<_> = files.iter().filter(|file| !told.has(birth.slot, file)).collect();
        ensure!(files.len() > 500 && missing.is_empty(), "of {}: {missing:?}", files.len());
        // Slots beyond those that there were before.
        let more: Vec<Born> =
            (3..=9).map(|number| Born::below(&cgroup, number, "")).collect::<Result<_>>()?;
        ensure!(probe.births()?.len() == 9 && more.iter().all(|born| birth_of(&probe, born).is_ok()));
        drop(probe);
        let (_probe, adoption) = pins.open(&Limits { slots: 9, ..limits() })?;
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
        probe.set_auto(true, flags::HOST_ROOT)?;
        drop(probe);
        let born = Born::below(&cgroup, 1, "")?;
        let toucher = Toucher::begin(&born)?;
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
        let slot = birth_of(&probe, &born)?.slot;
        let missing: Vec<_> = files.iter().filter(|file| !told.has(slot, file)).collect();
        ensure!(files.len() > 500 && missing.is_empty(), "of {}: {missing:?}", files.len());
        Ok(())
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
        drop(fresh(&pins)?);
        ensure!(Probe::detach(pins.path())? && !pins.path().exists());
        Ok(())
    })
}
