//! From an image to a verified slim image in one command.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use slim_tests::{BASE, Container, Outcome, Tag, agent, corpus, docker, expect, outcome, output, wait_until};
use tempfile::TempDir;

/// A web server whose front page leads to a page with a clock and, when LIST is set, to one that shows how many programs
/// its image has: that one differs in a slim image.
const SERVER: &str = r#"
use IO::Socket::INET;
$SIG{TERM} = sub { exit 0 };
my $listener = IO::Socket::INET->new(LocalPort => 8080, Listen => 9, ReuseAddr => 1) or die "cannot listen";
while (my $client = $listener->accept) {
    my ($path) = <$client> =~ m{^GET (\S+)};
    while (<$client> =~ /\S/) {}
    opendir(my $directory, "/usr/bin");
    my @programs = readdir $directory;
    my $list = $ENV{LIST} ? '<a href="/list">' : '';
    my %pages = ("/" => "<a href='clock'>$list", "/clock" => "at " . time . " in $$ by " . `hostname` . rand,
        "/list" => scalar(@programs) . " programs");
    my $status = exists $pages{$path} ? "200 OK" : "404 Not Found";
    my $body = $pages{$path} // "nothing here";
    print $client "HTTP/1.1 $status\r\nContent-Type: text/html\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
    close $client;
}
"#;

/// A place to run the command in, an image to run it on, and the name of what it makes.
struct Bench {
    place: TempDir,
    image: String,
    slim: Tag,
    unverified: Tag,
    /// The image, if it was built for this.
    _built: Option<Tag>,
}

impl Bench {
    fn of(image: &str) -> Result<Self> {
        let slim = Tag::new("slim-one");
        let unverified = Tag::named(&format!("{}-unverified", slim.name()));
        Ok(Self { place: tempfile::tempdir()?, image: image.to_owned(), slim, unverified, _built: None })
    }

    /// An image of these lines of a Dockerfile on top of the base, with `app.pl` to copy.
    fn build(lines: &str) -> Result<Self> {
        let (context, built) = (tempfile::tempdir()?, Tag::new("slim-original"));
        // A line that no other test has: images of the same content would be one image.
        let lines = format!("FROM {BASE}\nLABEL test={}\n{lines}\n", built.name());
        fs::write(context.path().join("Dockerfile"), lines)?;
        fs::write(context.path().join("app.pl"), SERVER)?;
        docker(&["build", "--quiet", "--tag", built.name(), &context.path().to_string_lossy()])?;
        let bench = Self::of(built.name())?;
        Ok(Self { _built: Some(built), ..bench })
    }

    fn server() -> Result<Self> {
        Self::build("COPY app.pl /app.pl\nEXPOSE 8080\nCMD [\"perl\", \"/app.pl\"]")
    }

    /// `slim-agent slim IMAGE --tag TAG OPTIONS`, ready to run.
    fn command(&self, options: &[&str]) -> Result<Command> {
        let mut command = agent()?;
        command.args(["slim", &self.image, "--tag", self.slim.name()]).args(options);
        command.current_dir(self.place.path()).stdin(Stdio::null());
        Ok(command)
    }

    /// Runs it to its end: what it made must not be there any more.
    fn run(&self, options: &[&str]) -> Result<Outcome> {
        let done = outcome(&mut self.command(options)?)?;
        self.left_nothing_behind()?;
        Ok(done)
    }

    /// Runs it to its end in order; its report.
    fn report(&self, options: &[&str]) -> Result<Value> {
        let done = self.run(&[&["--format", "json"], options].concat())?;
        let report = done.expect(0)?;
        serde_json::from_str(&report).with_context(|| format!("the report is not JSON: {report}"))
    }

    fn containers(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for image in [self.image.as_str(), self.slim.name(), self.unverified.name()] {
            if exists(image)? {
                let names = docker(&[
                    "ps",
                    "--all",
                    "--filter",
                    &format!("ancestor={image}"),
                    "--format",
                    "{{.Names}}",
                ])?;
                found.extend(names.lines().filter(|name| name.starts_with("slim-agent-")).map(str::to_owned));
            }
        }
        Ok(found)
    }

    fn left_nothing_behind(&self) -> Result<()> {
        let left = self.containers()?;
        ensure!(left.is_empty(), "containers were left behind: {left:?}");
        Ok(())
    }

    /// The slim image under the profile that was written beside it.
    fn confined(&self) -> Result<Container> {
        let profile = format!("{}.seccomp.json", self.slim.name().replace(':', "_"));
        let option = format!("seccomp={}", self.place.path().join(profile).display());
        Container::run(self.slim.name(), &["--security-opt", &option], &[])
    }
}

fn exists(image: &str) -> Result<bool> {
    Ok(outcome(Command::new("docker").args(["image", "inspect", image]))?.code == Some(0))
}

/// What was asked, and how it ended: `GET :80/ 200`.
fn asked(report: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let probes = report["probes"].as_array().into_iter().flatten();
    probes.map(|probe| format!("{} {}", text(&probe["asked"]), text(&probe["outcome"]))).collect()
}

#[test]
fn nginx_becomes_slim_and_is_shown_to_serve_the_same() -> Result<()> {
    let nginx = corpus("nginx")?;
    let bench = Bench::of(&nginx.tag())?;
    let report = bench.report(&["--http-probe", "/", "--http-probe", "/absent", "--http-probe", "/docs"])?;
    ensure!(report["verdict"] == "same", "{report}");
    let asked = asked(&report);
    for answer in [
        "GET :80/ 200",
        "GET :80/absent 404",
        "GET :80/docs 301",
        "GET :80/docs/ 200",
        "GET :80/style.css 200",
        "GET :80/map.png 200",
        "the container still running",
    ] {
        ensure!(asked.iter().any(|found| found == answer), "expected {answer:?} in {asked:?}");
    }
    let steps = report["steps"].as_array().into_iter().flatten().filter_map(|step| step["name"].as_str());
    ensure!(steps.eq(["create", "record", "probe", "stop", "export", "verify"]), "{report}");
    ensure!(exists(bench.slim.name())? && !exists(bench.unverified.name())?, "it has the wrong name");
    ensure!(report["holds"]["bytes"].as_u64().is_some_and(|bytes| bytes < 10_400_000), "{report}");
    nginx.check(&bench.confined()?)
}

#[test]
fn redis_becomes_slim_with_commands_in_it_and_a_load_test_beside_it() -> Result<()> {
    let redis = corpus("redis")?;
    let bench = Bench::of(&redis.tag())?;
    let check = redis.check_program();
    let options = ["--exec", "redis-cli SET 'a key' 1", "--exec", "redis-cli GET 'a key'", "--"];
    let done = bench.run(&[&options[..], &[&check.to_string_lossy()]].concat())?;
    expect(
        &done,
        0,
        &["create  ", "record  ", "probe  ", "2 commands, the load test", "export  ", "verify  "],
    )?;
    let from_the_load = |line: &str| line.starts_with("ok ");
    ensure!(done.stdout.lines().all(from_the_load), "nobody asked for data: {}", done.stdout);
    let confined = bench.confined()?;
    redis.check(&confined)?;
    // What an exec used is kept, since the exec was asked for.
    ensure!(confined.exec(&["redis-cli", "PING"])?.stdout == "PONG\n");
    Ok(())
}

#[test]
fn a_page_that_is_another_one_in_the_slim_image_is_found_and_the_name_not_given() -> Result<()> {
    let bench = Bench::server()?;
    let done = bench.run(&["-e", "LIST=1"])?;
    let words = [
        "the slim image does not do what the original does",
        "GET :8080/list",
        " programs",
        bench.unverified.name(),
    ];
    expect(&done, 6, &words)?;
    ensure!(!done.stderr.contains("GET :8080/clock: "), "a clock is no difference: {}", done.stderr);
    ensure!(exists(bench.unverified.name())? && !exists(bench.slim.name())?, "it has the wrong name");
    Ok(())
}

#[test]
fn a_file_that_was_left_out_on_purpose_is_missed_by_the_page_that_needs_it() -> Result<()> {
    let bench = Bench::of(&corpus("nginx")?.tag())?;
    let words = ["GET :80/logo.svg: 404, where the original gave: 200", bench.unverified.name()];
    expect(&bench.run(&["--exclude", "/srv/site/logo.svg"])?, 6, &words)?;
    let program = bench.run(&["--exclude", "/usr/sbin/nginx"])?;
    expect(&program, 6, &["does not start under its seccomp profile", "nginx"]).map(drop)
}

#[test]
fn what_varies_by_itself_is_compared_by_its_status_and_that_is_said() -> Result<()> {
    let bench = Bench::server()?;
    let done = bench.run(&[])?;
    expect(&done, 0, &["note: GET :8080/clock: only the outcome (200) could be compared"])?;
    ensure!(!done.stderr.contains("GET :8080/: only"), "the front page does not vary: {}", done.stderr);
    Ok(())
}

#[test]
fn a_program_that_only_runs_is_compared_by_exit_code_and_output() -> Result<()> {
    let listing = Bench::build("CMD [\"sh\", \"-c\", \"ls /usr/bin | wc -l\"]")?;
    expect(&listing.run(&[])?, 6, &["the container: ", "instead of"])?;
    let counting = Bench::build("CMD [\"sh\", \"-c\", \"[ $(ls /usr/bin | wc -l) -gt 100 ]\"]")?;
    expect(&counting.run(&[])?, 6, &["the container: exit code 1, where the original gave: exit code 0"])?;
    let dull = Bench::build("CMD [\"sh\", \"-c\", \"cat /etc/issue; exit 3\"]")?;
    let report = dull.report(&[])?;
    ensure!(asked(&report) == ["the container exit code 3"] && report["verdict"] == "same", "{report}");
    Ok(())
}

#[test]
fn without_a_port_and_a_load_the_time_says_when_it_is_enough() -> Result<()> {
    let bench = Bench::build("CMD [\"sleep\", \"600\"]")?;
    let endless = bench.run(&["--timeout", "300ms"])?;
    expect(&endless, 1, &["still runs", "--for", "--http-probe", "--exec", "COMMAND"])?;
    let report = bench.report(&["--for", "300ms"])?;
    ensure!(asked(&report) == ["the container still running"] && report["verdict"] == "same", "{report}");
    Ok(())
}

#[test]
fn a_health_check_is_made_even_if_the_engine_would_not_make_it_in_time() -> Result<()> {
    let bench =
        Bench::build("HEALTHCHECK --interval=1h CMD cat /etc/debian_version\nCMD [\"sleep\", \"600\"]")?;
    let report = bench.report(&[])?;
    let asked = asked(&report);
    ensure!(asked == ["the health check exit code 0", "the container still running"], "{asked:?}");
    ensure!(bench.confined()?.exec(&["cat", "/etc/debian_version"])?.code == Some(0));
    Ok(())
}

#[test]
fn a_port_that_never_answers_is_given_up_with_how_it_stands() -> Result<()> {
    let silent =
        Bench::build("EXPOSE 8080\nCMD [\"sh\", \"-c\", \"echo waiting for a database; sleep 600\"]")?;
    let words = [
        "no HTTP answer",
        "port 8080 does not take connections",
        "nothing listens",
        "waiting for a database",
    ];
    expect(&silent.run(&["--timeout", "500ms"])?, 1, &words)?;
    let gone = Bench::build("EXPOSE 8080\nCMD [\"sh\", \"-c\", \"echo no configuration >&2; exit 3\"]")?;
    expect(&gone.run(&[])?, 1, &["the container exited with code 3", "no configuration"]).map(drop)
}

#[test]
fn a_load_test_that_fails_fails_the_run_and_makes_no_image() -> Result<()> {
    let bench = Bench::build("CMD [\"sleep\", \"600\"]")?;
    expect(&bench.run(&["--", "sh", "-c", "exit 7"])?, 1, &["the load test failed", "7"])?;
    expect(&bench.run(&["--exec", "no-such-program"])?, 1, &["cannot run --exec no-such-program"])?;
    ensure!(!exists(bench.slim.name())? && !exists(bench.unverified.name())?, "an image was made");
    Ok(())
}

#[test]
fn a_signal_takes_the_container_and_the_load_test_along() -> Result<()> {
    let bench = Bench::build("CMD [\"sleep\", \"600\"]")?;
    for signal in ["INT", "TERM"] {
        let noted = bench.place.path().join("pid");
        let script = format!("echo $$ > '{0}.new'; mv '{0}.new' '{0}'; exec sleep 600", noted.display());
        let child = bench.command(&["--", "sh", "-c", &script])?.stderr(Stdio::piped()).spawn()?;
        wait_until("the load test runs", || Ok(noted.exists()))?;
        ensure!(bench.containers()?.len() == 1, "no container runs: {:?}", bench.containers()?);
        output(Command::new("kill").args(["-s", signal, &child.id().to_string()]))?;
        let done = Outcome::from(child.wait_with_output()?);
        expect(&done, 1, &["interrupted"])?;
        bench.left_nothing_behind()?;
        let load = Path::new("/proc").join(fs::read_to_string(&noted)?.trim());
        ensure!(!load.exists(), "the load test still runs");
        fs::remove_file(&noted)?;
    }
    Ok(())
}

#[test]
fn containers_are_kept_when_that_is_asked_for_and_the_image_is_named_without_being_verified() -> Result<()> {
    let bench = Bench::build("CMD [\"true\"]")?;
    let done = outcome(&mut bench.command(&["--no-verify", "--keep-container"])?)?;
    expect(&done, 0, &["kept: container slim-agent-"])?;
    ensure!(!done.stderr.contains("verify  ") && exists(bench.slim.name())?, "{}", done.stderr);
    let kept = bench.containers()?;
    ensure!(kept.len() == 1 && done.stderr.contains(&kept[0]), "{kept:?}");
    docker(&["rm", "--force", "--volumes", &kept[0]]).map(drop)
}

#[test]
fn what_is_typed_wrong_starts_nothing() -> Result<()> {
    let bench = Bench::build("CMD [\"true\"]")?;
    let wrong: [(&[&str], &str); 6] = [
        (&["--http-probe", "http://localhost/x"], "only the path"),
        (&["--http-probe", "/x"], "--http-port"),
        (&["--exec", "'open"], "not closed"),
        (&["-p", "x:80"], "8080:80"),
        (&["--volume", "relative"], "SOURCE:/PATH"),
        (&["--", "/no/such/program"], "not an executable file"),
    ];
    for (options, word) in wrong {
        expect(&bench.run(options)?, 2, &[word])?;
    }
    let own = outcome(
        agent()?.args(["slim", &bench.image, "--tag", &bench.image]).current_dir(bench.place.path()),
    )?;
    expect(&own, 2, &["the original's own name"]).map(drop)
}
