//! `cargo xtask demo`: the whole way, from a real nginx image to a slim one under its own seccomp profile.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::cargo::{release_agent, target_dir};
use crate::docker::{self, Container};
use crate::load::{fetch, median};
use crate::process;
use crate::recording::{allowed_syscalls, loss, read_json, record};
use crate::style::{faint, good, timed};
use crate::table::{Table, bytes, percent};
use crate::throughput::{self, Rates};
use crate::{images, setup};

const IMAGE: &str = "nginx";
const SLIM: &str = "slim-demo/nginx:slim";
/// Pairs of runs, recorded and not, behind the overhead that is shown.
const ROUNDS: usize = 3;

/// Options of `cargo xtask demo`.
#[derive(clap::Args)]
pub struct Args {
    /// Seconds of load while recording
    #[arg(long, default_value_t = 5)]
    seconds: u32,
}

/// The verb.
pub fn run(args: &Args) -> Result<()> {
    let mut times = Vec::new();
    let mut keep = |what: &'static str, took: Duration| times.push((what, took));

    let (_, took) = timed("setup", setup::ensure)?;
    keep("setup", took);
    let (demo, took) = timed("build slim-agent", Demo::new)?;
    keep("build slim-agent", took);
    let (_, took) = timed("build the nginx image", || images::build(IMAGE))?;
    keep("build image", took);

    let fat = Container::create(&images::tag(IMAGE), "demo-fat", &[])?;
    let (_, took) = timed("record it under load", || demo.record(&fat, args.seconds))?;
    keep("record", took);
    let (rates, took) = timed("measure what recording costs", || {
        throughput::measure(&demo.agent, &fat, &demo.output, ROUNDS, 2)
    })?;
    keep("measure", took);
    let (_, took) = timed("export the slim image", || demo.export_image())?;
    keep("export image", took);
    let (_, took) = timed("export the seccomp profile", || demo.export_seccomp())?;
    keep("export seccomp", took);
    let profile = format!("seccomp={}", demo.profile().display());
    let slim = Container::create(SLIM, "demo-slim", &["--security-opt", &profile])?;
    let (_, took) = timed("run the slim image under its profile", || demo.compare(&fat, &slim))?;
    keep("compare", took);

    demo.show(&fat, &slim, &rates)?;
    let spelled = times.iter().map(|(what, took)| format!("{what} {:.1} s", took.as_secs_f64()));
    println!("  {}", faint(&spelled.collect::<Vec<_>>().join(" · ")));
    println!("  {}", faint(&format!("the files behind these figures: {}", demo.output.display())));
    Ok(())
}

struct Demo {
    agent: PathBuf,
    output: PathBuf,
}

impl Demo {
    fn new() -> Result<Self> {
        let agent = release_agent()?;
        let output = target_dir()?.join("demo");
        fs::create_dir_all(&output).with_context(|| format!("cannot make {}", output.display()))?;
        Ok(Self { agent, output })
    }

    fn manifest(&self) -> PathBuf {
        self.output.join("nginx.manifest.json")
    }

    fn profile(&self) -> PathBuf {
        self.output.join("nginx.seccomp.json")
    }

    /// The container was only created: the recording starts it, and sees its first instruction.
    fn record(&self, fat: &Container, seconds: u32) -> Result<()> {
        let script = format!("\"$0\" && exec wrk -t1 -c16 -d{seconds}s \"http://$SLIM_CONTAINER_IP/\"");
        let mut load = process::command("sh", ["-c", &script]);
        load.arg(images::check_script(IMAGE));
        process::run(&mut record(&self.agent, &[fat.name()], &self.manifest(), &load))
    }

    fn export_image(&self) -> Result<()> {
        let mut command = Command::new(&self.agent);
        command.args(["export", "image"]).arg(self.manifest()).args(["--tag", SLIM]);
        process::run(command.arg("--explain").arg(self.output.join("nginx.plan.json")))
    }

    fn export_seccomp(&self) -> Result<()> {
        let mut command = Command::new(&self.agent);
        command.args(["export", "seccomp"]).arg(self.manifest()).arg("-o").arg(self.profile());
        process::run(&mut command)
    }

    /// The same check on both, and the same page from both.
    fn compare(&self, fat: &Container, slim: &Container) -> Result<()> {
        slim.start()?;
        let mut check = Command::new(images::check_script(IMAGE));
        process::run(check.env("SLIM_CONTAINER_IP", slim.ip()?)).with_context(|| {
            format!("the slim image does not do what the original does; it logged:\n{}", slim.logs())
        })?;
        let page = |container: &Container| fetch(&format!("http://{}/", container.ip()?));
        if page(fat)? != page(slim)? {
            bail!("the slim image serves another page than the original");
        }
        Ok(())
    }

    fn show(&self, fat: &Container, slim: &Container, rates: &Rates) -> Result<()> {
        let (fat_bytes, slim_bytes) = (docker::image_size(&images::tag(IMAGE))?, docker::image_size(SLIM)?);
        let (all, kept) = (fat.count_files()?, slim.count_files()?);
        let syscalls = allowed_syscalls(&read_json(&self.profile())?).len();

        let mut table = Table::new(&["nginx", "fat", "slim", ""]);
        let share = |part: f64, whole: f64| format!("{:.1} %", part / whole * 100.0);
        let size_share = share(slim_bytes as f64, fat_bytes as f64);
        table.row(["size".into(), bytes(fat_bytes), bytes(slim_bytes), size_share]);
        table.row(["files".into(), all.to_string(), kept.to_string(), share(kept as f64, all as f64)]);
        table.row(["syscalls allowed".into(), "engine's default".into(), syscalls.to_string()]);
        table.row(["check, under that profile", "", "passed"]);
        table.print();

        let mut table = Table::new(&["recording, a few short runs", "off", "on", ""]);
        let rate = |rates: &[f64]| format!("{:.0}/s", median(rates));
        let cost = percent(rates.ratio());
        table.row(["requests".into(), rate(&rates.unrecorded), rate(&rates.recorded), cost]);
        table.row(["events lost".into(), String::new(), loss(&read_json(&self.manifest())?)]);
        table.print();

        let factor = fat_bytes as f64 / slim_bytes as f64;
        println!("  {}\n", good(&format!("{SLIM} is {factor:.1} times smaller, and does the same")));
        Ok(())
    }
}
