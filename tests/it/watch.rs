//! The safety net: what was cut from an image is told as it is asked for, and healed by what was told.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::stat::Mode;
use serde_json::Value;
use slim_tests::{
    Container, Manifest, Outcome, Tag, Watch, agent, docker, export_image, export_seccomp, outcome, output,
    record_script, record_until_it_exits, refused, wait_until,
};
use tempfile::TempDir;

/// What the application does: lines of Perl that it finds in a pipe, which it opens for writing as well, so that it never
/// ends. It prints what each came to.
const APPLICATION: &str = r#"$| = 1; open(my $pipe, "+<", "/ask/pipe") or die "the pipe: $!";
    while (my $line = <$pipe>) { chomp $line; my $got = eval $line; print "$line: ", defined($got) ? $got : $!, "\n" }"#;

/// What an original image has besides Perl.
const ORIGINAL: &str = r"FROM debian:bookworm-slim
RUN mkdir -p /srv/data/deep /srv/py /var/lib/app /ask && touch /ask/hidden /srv/py/used.py /srv/py/lazy.py && cd /srv && ln -s data link \
    && for file in kept data/cut data/deep/cut data/one data/two data/three; do echo $file > $file; done \
    && printf '#!/usr/bin/diff\n' > script && chmod +x script && cp script lost
";

/// Otherwise the interpreters of scripts that were only looked at would be kept, and nothing would be missing.
const BY_SIGHT: [&str; 2] = ["--without", "scripts"];

/// An original image, and a slim one that was made of it after a recording in which the application read one file.
struct Images {
    original: Tag,
    slim: Tag,
    manifest: PathBuf,
    place: TempDir,
}

impl Images {
    fn make() -> Result<Self> {
        let place = tempfile::tempdir()?;
        fs::write(place.path().join("Dockerfile"), ORIGINAL)?;
        let (original, slim) = (Tag::new("watch-original"), Tag::new("watch"));
        docker(&["build", "--quiet", "--tag", original.name(), &place.path().to_string_lossy()])?;
        nix::unistd::mkfifo(&place.path().join("pipe"), Mode::from_bits_truncate(0o600))?;
        let manifest = place.path().join("recorded.json");
        let images = Self { original, slim, manifest, place };
        images.record()?;
        export_image(&images.manifest, images.slim.name(), &BY_SIGHT)?.expect(0)?;
        Ok(images)
    }

    /// Records the application while it reads one file and looks at a script.
    fn record(&self) -> Result<()> {
        let container = self.container(&self.original, &[])?;
        let pipe = self.place.path().join("pipe");
        let asks =
            r#"echo 'open(F, "<", "/srv/kept") && close(F) && -e "/srv/script" && -e "/srv/py/used.py"' > "#;
        // The second has been read when the first was done.
        let script = format!("{asks}{0}; echo 'exit' > {0}; docker wait $SLIM_CONTAINER_ID", pipe.display());
        record_script(&[container.name()], &self.manifest, &script)?.expect(0).map(drop)
    }

    /// A container that does what it is asked for.
    fn container(&self, image: &Tag, options: &[&str]) -> Result<Container> {
        let mount = format!("{}:/ask", self.place.path().display());
        let options = [&["--network", "none", "-v", &mount], options].concat();
        Container::create(image.name(), &options, &["perl", "-e", APPLICATION])
    }

    fn ask(&self, line: &str) -> Result<()> {
        let mut pipe = fs::OpenOptions::new().write(true).open(self.place.path().join("pipe"))?;
        writeln!(pipe, "{line}").context("the application does not listen")
    }

    /// Asks, and waits until that has come to something.
    fn see_to(&self, container: &Container, line: &str) -> Result<()> {
        self.ask(line)?;
        let done = format!("{line}: ");
        wait_until("the application has done it", || Ok(container.logs()?.contains(&done)))
    }

    /// Exports again, from the recording and what a watch has found.
    fn heal(&self, found: &Path) -> Result<PathBuf> {
        let both = self.place.path().join("both.json");
        let merge = |first: &Path, second: &Path| -> Result<String> {
            output(agent()?.arg("merge").args([first, second]))
        };
        let union = merge(&self.manifest, found)?;
        ensure!(union == merge(found, &self.manifest)?, "the order of a union shows");
        fs::write(&both, union)?;
        ensure!(fs::read_to_string(&both)? == merge(&both, found)?, "a union twice is another");
        // Not a word of --allow-incomplete.
        export_image(&both, self.slim.name(), &BY_SIGHT)?.expect(0)?;
        Ok(both)
    }
}

/// A path that is told, the call that asked for it, and by which name.
type Told = (&'static str, &'static str, &'static str);

fn told(finding: &Value, path: &str, call: &str, asked: &str) -> Result<()> {
    let fits = finding["missing"] == path && finding["call"] == call && finding["asked"] == asked;
    ensure!(fits && finding["phase"] == "app", "expected {path} for {call} of {asked}: {finding}");
    ensure!(finding["by"] == "/usr/bin/perl" && finding["pid"].as_u64() > Some(1), "{finding}");
    Ok(())
}

/// Asks for what was cut, and for what was not and is not there either; the paths that are to be told, each with its
/// call and the name that is asked for.
const ASKS: [(&str, &[Told]); 9] = [
    (r#"open(F, "<", "/srv/nowhere")"#, &[]),
    (r#"open(F, "<", "/srv/kept")"#, &[]),
    (r#"open(F, "<", "/ask/hidden")"#, &[]),
    (r#"open(F, ">", "/srv/nowhere/new")"#, &[]),
    (r#"open(F, "<", "/srv/data/cut")"#, &[("/srv/data/cut", "openat", "/srv/data/cut")]),
    (
        r#"chdir "/srv" and stat("link/deep/../deep/cut")"#,
        &[
            ("/srv/link", "newfstatat", "link/deep/../deep/cut"),
            ("/srv/data/deep/cut", "newfstatat", "link/deep/../deep/cut"),
        ],
    ),
    (r#"open(F, ">", "/var/lib/app/new")"#, &[("/var/lib/app", "openat", "/var/lib/app/new")]),
    (
        r#"symlink("/srv", "/tmp/made") and readlink("/tmp/made/data/one")"#,
        &[("/srv/data/one", "readlink", "/tmp/made/data/one")],
    ),
    // It is there, and what it names in its first line is not.
    (r#"exec {"/srv/script"} "x""#, &[("/usr/bin/diff", "execve", "/srv/script")]),
];

#[test]
fn what_was_cut_is_told_when_it_is_asked_for_and_healed_by_a_union() -> Result<()> {
    let images = Images::make()?;
    let container = images.container(&images.slim, &[])?;
    let mut watch = Watch::begin(container.name(), images.original.name(), &[])?;
    for (line, expected) in ASKS {
        images.ask(line)?;
        for (path, call, asked) in expected {
            told(&watch.finding()?, path, call, asked)?;
        }
    }
    let ended = watch.end()?;
    ensure!(ended.code == Some(5) && ended.stdout.is_empty(), "{ended:?}");
    let found = Manifest::read(&watch.manifest())?;
    found.whole()?;
    ensure!(found.recording()?["observed"] == "missing");
    ensure!(found.uses("/srv/link") == ["hop"].into() && found.uses("/var/lib/app/new") == ["write"].into());
    ensure!(
        found.uses("/usr/bin/diff") == ["interpreter"].into() && found.origin("/srv/data/cut") == "image"
    );
    ensure!(found.paths().count() == 6, "{:?}", found.paths().collect::<Vec<_>>());

    // It would take what the next one is asked.
    container.kill()?;
    let both = images.heal(&watch.manifest())?;
    let again = images.container(&images.slim, &[])?;
    // By the manifest this time, which names the original.
    let mut watch = Watch::begin(again.name(), &both.to_string_lossy(), &[])?;
    for (line, _) in &ASKS[..8] {
        images.see_to(&again, line)?;
    }
    let ended = watch.end()?;
    ensure!(ended.code == Some(0) && ended.stdout.is_empty(), "{ended:?}");
    let found = Manifest::read(&watch.manifest())?;
    ensure!(found.paths().count() == 0 && found.abis().count() == 0, "something was found");
    Ok(())
}

#[test]
fn a_container_that_runs_is_watched_and_told_of_within_a_second() -> Result<()> {
    let images = Images::make()?;
    let container = images.container(&images.slim, &[])?;
    container.start()?;
    // Before the watch: nobody sees it.
    images.ask(r#"open(F, "<", "/srv/data/cut")"#)?;
    let mut watch = Watch::begin(container.name(), &images.manifest.to_string_lossy(), &[])?;
    // The best of three: others use this machine, too.
    let mut fastest = Duration::MAX;
    for name in ["one", "two", "three"] {
        let path = format!("/srv/data/{name}");
        let began = Instant::now();
        images.ask(&format!(r#"open(F, "<", "{path}")"#))?;
        told(&watch.finding()?, &path, "openat", &path)?;
        fastest = fastest.min(began.elapsed());
    }
    ensure!(fastest < Duration::from_secs(1), "it took {fastest:?}");
    println!("told after {fastest:?}");
    let ended = watch.end()?;
    ensure!(ended.code == Some(5) && ended.stderr.contains("start-up was not watched"), "{ended:?}");
    let found = Manifest::read(&watch.manifest())?;
    found.lossless()?;
    ensure!(found.recording()?["startup_observed"] == false);
    // What it does not know does not spoil what the recording does.
    images.heal(&watch.manifest()).map(drop)
}

#[test]
fn a_call_that_the_profile_denies_is_told_and_healed_and_one_that_every_engine_denies_is_not() -> Result<()> {
    let images = Images::make()?;
    let profile = |of: &Path| Ok::<_, anyhow::Error>(format!("seccomp={}", export_seccomp(of)?.display()));
    let container = images.container(&images.slim, &["--security-opt", &profile(&images.manifest)?])?;
    let mut watch = Watch::begin(container.name(), images.original.name(), &[])?;
    // bpf(2), then getpriority(2).
    let asks = ["syscall(321, 0, 0, 0)", "$! = 0; getpriority(0, 0); 'errno ' . ($! + 0)"];
    for line in asks {
        images.see_to(&container, line)?;
    }
    let finding = watch.finding()?;
    ensure!(finding["denied"] == "getpriority" && finding["phase"] == "app", "{finding}");
    let ended = watch.end()?;
    ensure!(ended.code == Some(5) && ended.stdout.is_empty(), "{ended:?}");
    // ENOSYS.
    ensure!(container.logs()?.contains("errno 38"), "{}", container.logs()?);

    // It would take what the next one is asked.
    container.kill()?;
    let both = images.heal(&watch.manifest())?;
    let again = images.container(&images.slim, &["--security-opt", &profile(&both)?])?;
    let mut watch = Watch::begin(again.name(), images.original.name(), &[])?;
    for line in asks {
        images.see_to(&again, line)?;
    }
    // Whether that matters only the application knows: it is told, and nothing is missing for it.
    images.ask(r#"opendir(D, "/srv") and readdir(D)"#)?;
    let finding = watch.finding()?;
    ensure!(finding["listed"] == "/srv" && finding["lacks"] == 3 && finding["of"] == 6, "{finding}");
    ensure!(finding["export"] == serde_json::json!(["--include", "/srv/*"]), "{finding}");
    let ended = watch.end()?;
    ensure!(ended.code == Some(0) && ended.stdout.is_empty(), "{ended:?}");
    ensure!(again.logs()?.contains("errno 0"), "{}", again.logs()?);
    Ok(())
}

#[test]
fn a_container_that_cannot_even_start_says_what_is_missing_for_it() -> Result<()> {
    let images = Images::make()?;
    let place = tempfile::tempdir()?;
    let watched = |program: &str| {
        let container = Container::create(images.slim.name(), &["--network", "none"], &[program])?;
        let mut watch = agent()?;
        watch.args(["watch", container.name(), "--against", images.original.name(), "-o"]);
        outcome(watch.arg(place.path().join("m.json")))?.expect(5)
    };
    let absent = watched("/srv/lost")?;
    ensure!(absent.starts_with("missing /srv/lost: "), "{absent}");
    let broken = watched("/srv/script")?;
    ensure!(broken.starts_with("missing /usr/bin/diff: execve of /srv/script"), "{broken}");
    Ok(())
}

#[test]
fn a_watch_that_may_have_missed_something_says_so_unless_something_is_missing() -> Result<()> {
    let images = Images::make()?;
    let watched = |line: &str, (options, reason): (&[&str], &str)| -> Result<_> {
        let container = images.container(&images.slim, &[])?;
        let mut watch = Watch::begin(container.name(), images.original.name(), options)?;
        images.see_to(&container, line)?;
        let ended = watch.end()?;
        ensure!(ended.stderr.contains(reason), "{ended:?}");
        Ok(ended.code)
    };
    let lost = (&["--limit", "seen=1"][..], "more than can be told apart");
    ensure!(watched(r#"-e "/srv/nowhere" or -e "/srv/neither""#, lost)? == Some(4));
    ensure!(watched(r#"-e "/srv/nowhere" or -e "/srv/data/cut""#, lost)? == Some(5));
    // What Python does to find a module: the file that is not listed is never asked for.
    let python = (&[][..], "Python looks for its modules in listings");
    ensure!(watched(r#"opendir(D, "/srv/py") and readdir(D)"#, python)? == Some(4));
    Ok(())
}

/// A Python program that imports something only when it is asked to.
const LATE: &str = r#"FROM slim-test/flask:latest
USER root
RUN printf 'import sys\ndef later():\n    import sqlite3 as db\n    return db.connect(":memory:").execute("SELECT 6 * 7").fetchone()[0]\nprint(later() if "later" in sys.argv else "at once")\n' > /srv/late.py
"#;

#[test]
fn a_module_that_python_imports_later_is_healed_by_the_rule_that_the_watch_names() -> Result<()> {
    let place = tempfile::tempdir()?;
    fs::write(place.path().join("Dockerfile"), LATE)?;
    let (original, slim) = (Tag::new("watch-late-original"), Tag::new("watch-late"));
    docker(&["build", "--quiet", "--tag", original.name(), &place.path().to_string_lossy()])?;
    let options = ["--network", "none"];
    let recorded = place.path().join("recorded.json");
    let container = Container::create(original.name(), &options, &["python3", "/srv/late.py"])?;
    record_until_it_exits(&[container.name()], &recorded)?.expect(0)?;
    export_image(&recorded, slim.name(), &[])?.expect(0)?;

    // What runs late, and what a watch of it told: its findings, and the exit code.
    let late = || -> Result<(String, Outcome)> {
        let container = Container::create(slim.name(), &options, &["python3", "/srv/late.py", "later"])?;
        let mut watch = agent()?;
        watch.args(["watch", "--format", "json", container.name(), "--against", original.name(), "-o"]);
        let ended = outcome(watch.arg(place.path().join("found.json")))?;
        Ok((container.logs()?, ended))
    };
    let (said, ended) = late()?;
    ensure!(said.contains("No module named 'sqlite3'"), "{said}");
    // Nothing is certain to be missing.
    ensure!(ended.code == Some(4) && ended.stderr.contains("--with python-imports"), "{ended:?}");
    let findings: Vec<Value> = ended.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let advised = |finding: &&Value| finding["export"] == serde_json::json!(["--with", "python-imports"]);
    let finding = findings.iter().find(advised).with_context(|| format!("no advice in {findings:?}"))?;
    ensure!(finding["by"] == "/usr/bin/python3.11", "{finding}");

    export_image(&recorded, slim.name(), &["--with", "python-imports"])?.expect(0)?;
    let (said, ended) = late()?;
    ensure!(said.trim() == "42" && ended.code == Some(4), "{said} {ended:?}");
    Ok(())
}

#[test]
fn what_cannot_be_compared_is_refused_before_anything_starts() -> Result<()> {
    let (base, place) = (slim_tests::BASE, tempfile::tempdir()?);
    let container = Container::create(base, &["--network", "none"], &["true"])?;
    let watch = |against: &str, output: &str| -> Result<_> {
        let mut watch = agent()?;
        watch.args(["watch", container.name(), "--against", against, "-o", output]);
        watch.current_dir(place.path());
        Ok(watch)
    };
    refused(&mut watch(base, "m.json")?, 1, &["itself", "nothing can be missing"])?;
    refused(&mut watch("no-such-image", "m.json")?, 1, &["neither a manifest nor an image"])?;
    refused(&mut watch(base, "-")?, 2, &["standard output"])?;
    fs::write(place.path().join("broken.json"), "{")?;
    refused(&mut watch("broken.json", "m.json")?, 1, &["broken.json is not a usable manifest"])?;
    let state = container.inspect()?["State"]["Status"].clone();
    ensure!(state == "created", "the container is {state}");
    Ok(())
}
