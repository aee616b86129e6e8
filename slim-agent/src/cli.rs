//! The command line: what can be typed, and what it is handed to.

use anyhow::Result;
use clap::{ArgAction, CommandFactory, Parser, Subcommand};

use crate::commands::export_hardening::Form;
use crate::commands::{
    completions, coverage, daemon, doctor, export_all, export_dockerfile, export_hardening, export_image,
    export_seccomp, forget, list, merge, pull, push, record, show, slim, snapshot, start, status, stop,
    uninstall, watch,
};
use crate::exit::Exit;

mod help;

use help::{
    COMPLETIONS, COVERAGE, DAEMON, DOCTOR, EXIT_CODES, EXPORT, EXPORT_ALL, EXPORT_DOCKERFILE,
    EXPORT_HARDENING, EXPORT_IMAGE, EXPORT_SECCOMP, FORGET, LIST, MERGE, PULL, PUSH, RECORD, SHOW, SLIM,
    SNAPSHOT, START, STATUS, STOP, UNINSTALL, WATCH,
};

/// Records what a container really uses with eBPF, and exports a minimal image and a seccomp profile
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXIT_CODES, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// Say more; twice: everything
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Say only what went wrong
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a slim image of an image, and show that it does the same: record, probe, export and verify in one
    #[command(after_help = SLIM)]
    Slim(Box<slim::Args>),
    /// Record what a container uses, until COMMAND ends, the time is over, it exits, or Ctrl-C
    #[command(after_help = RECORD)]
    Record(record::Args),
    /// Unite recordings of the same image
    #[command(after_help = MERGE)]
    Merge(merge::Args),
    /// Share recordings: attach them to their image in a registry
    #[command(after_help = PUSH)]
    Push(push::Args),
    /// Unite all recordings of an image that a registry has
    #[command(after_help = PULL)]
    Pull(pull::Args),
    /// Say whether an application has been watched enough
    #[command(after_help = COVERAGE)]
    Coverage(coverage::Args),
    /// Turn a recording into something to deploy
    #[command(subcommand, after_help = EXPORT)]
    Export(Box<Export>),
    /// Show what recordings tell: what the original offers, what the slim image does, and what was used
    #[command(after_help = SHOW)]
    Show(Box<show::Args>),
    /// Watch a container of a slim image for what was cut and is asked for
    #[command(after_help = WATCH)]
    Watch(watch::Args),
    /// Record containers for days, as the configuration asks: the service
    #[command(after_help = DAEMON)]
    Daemon(daemon::Args),
    /// Take away what the daemon leaves on this host: kernel programs, sockets and, if wanted, recordings
    #[command(after_help = UNINSTALL)]
    Uninstall(uninstall::Args),
    /// Say how the daemon is, or whether one of its profiles has seen enough
    #[command(after_help = STATUS)]
    Status(status::Args),
    /// List the daemon's profiles
    #[command(after_help = LIST)]
    List(list::Args),
    /// Let the daemon record a container that no rule asks for
    #[command(after_help = START)]
    Start(start::Args),
    /// Let the daemon end recordings; the containers go on
    #[command(after_help = STOP)]
    Stop(stop::Args),
    /// Get the manifest of one of the daemon's profiles as it is now
    #[command(after_help = SNAPSHOT)]
    Snapshot(snapshot::Args),
    /// Remove a profile from the daemon's store
    #[command(after_help = FORGET)]
    Forget(forget::Args),
    /// Say what this host can do, and why not
    #[command(after_help = DOCTOR)]
    Doctor(doctor::Args),
    /// Write a completion script for a shell
    #[command(after_help = COMPLETIONS)]
    Completions(completions::Args),
}

#[derive(Debug, Subcommand)]
enum Export {
    /// Make an image of only what was used: for the engine, a directory, a file, a registry
    #[command(after_help = EXPORT_IMAGE)]
    Image(export_image::Args),
    /// Make a Dockerfile that makes the image of only what was used, out of the original
    #[command(after_help = EXPORT_DOCKERFILE)]
    Dockerfile(export_dockerfile::Args),
    /// Make a seccomp profile of only the system calls that are needed
    #[command(after_help = EXPORT_SECCOMP)]
    Seccomp(export_seccomp::Args),
    /// Write a script that runs it with docker run and no more privileges than it needs
    #[command(after_help = EXPORT_HARDENING)]
    DockerRun(export_hardening::Args),
    /// Write an override file for docker compose, as docker-run
    #[command(after_help = EXPORT_HARDENING)]
    Compose(export_hardening::Args),
    /// Write a Deployment and a NetworkPolicy for Kubernetes, as docker-run
    #[command(after_help = EXPORT_HARDENING)]
    Kubernetes(export_hardening::Args),
    /// Write an AppArmor profile, as docker-run
    #[command(after_help = EXPORT_HARDENING)]
    Apparmor(export_hardening::Args),
    /// Write a drop-in for a systemd service that runs it without a container
    #[command(after_help = EXPORT_HARDENING)]
    Systemd(export_hardening::Args),
    /// Write all of these, the seccomp profile and a Dockerfile to a directory, with a README
    #[command(after_help = EXPORT_ALL)]
    All(export_all::Args),
}

impl Cli {
    /// Runs what was asked for.
    ///
    /// # Errors
    /// As the command; [`crate::exit::code_of`] tells the exit code.
    pub async fn run(&self) -> Result<Exit> {
        match &self.command {
            Command::Slim(args) => return slim::run(args).await,
            Command::Record(args) => return record::run(args).await,
            Command::Watch(args) => return watch::run(args).await,
            Command::Merge(args) => merge::run(args)?,
            Command::Push(args) => push::run(args).await?,
            Command::Pull(args) => return pull::run(args).await,
            Command::Coverage(args) => return coverage::run(args),
            Command::Export(export) => export.run().await?,
            Command::Show(args) => show::run(args).await?,
            Command::Daemon(args) => return daemon::run(args).await,
            Command::Uninstall(args) => return uninstall::run(args),
            Command::Status(args) => return status::run(args).await,
            Command::List(args) => list::run(args).await?,
            Command::Start(args) => start::run(args).await?,
            Command::Stop(args) => stop::run(args).await?,
            Command::Snapshot(args) => snapshot::run(args).await?,
            Command::Forget(args) => forget::run(args).await?,
            Command::Doctor(args) => return doctor::run(args).await,
            Command::Completions(args) => completions::run(args, Self::command())?,
        }
        Ok(Exit::Ok)
    }
}

impl Export {
    async fn run(&self) -> Result<()> {
        match self {
            Self::Image(args) => export_image::run(args).await,
            Self::Dockerfile(args) => export_dockerfile::run(args).await,
            Self::Seccomp(args) => export_seccomp::run(args),
            Self::DockerRun(args) => export_hardening::run(args, Form::DockerRun).await,
            Self::Compose(args) => export_hardening::run(args, Form::Compose).await,
            Self::Kubernetes(args) => export_hardening::run(args, Form::Kubernetes).await,
            Self::Apparmor(args) => export_hardening::run(args, Form::Apparmor).await,
            Self::Systemd(args) => export_hardening::run(args, Form::Systemd).await,
            Self::All(args) => export_all::run(args).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_documented_lines_are_understood() {
        for line in [
            "slim web --tag web:slim",
            "slim web -t web:slim --for 30s --http-probe /a --exec true -e A=b -v v:/v -p 80 -- wrk http://x",
            "record web",
            "record web -o - --for 10m --restart -- wrk -t2 http://x",
            "record --cgroup /sys/fs/cgroup/x --for 5s",
            "merge a b -o c",
            "push a registry.example/web",
            "push - localhost:5000/team/web:1 --prune --format json",
            "push a h:1/web --subject 1.25",
            "pull registry.example/web --merge a",
            "pull h:1/web:1.25 -o a --format json",
            "pull docker.io/me/web --image web --output -",
            "coverage a b --min-recordings 5 --quiet-recordings 3 --max-unseen 2.5 --format json",
            "coverage a --quiet-for 48h --min-nodes 2 --min-hours 24",
            "export image a b --tag web:slim",
            "export image a --tag b --include /etc/** --exclude **/*.md --without libraries --with shell",
            "export image a --oci d --archive - --push localhost:5000/web:slim --layers keep",
            "export image a --archive x.tar --base debian:bookworm-slim",
            "export dockerfile a b -o dir",
            "export seccomp a -o b --explain c",
            "export docker-run a b --tag web:slim --name web --seccomp c -o d",
            "export compose a --with shell",
            "export kubernetes a",
            "export apparmor a",
            "export systemd a --allow-incomplete",
            "export all a --output dir",
            "doctor --format json -q",
            "watch web --against web.manifest.json",
            "watch web --against web:full -o c --format json --for 2days --ignore-exec -- true",
            "show a b",
            "show a --files --format markdown --without libraries",
            "show a --why /etc/passwd --no-image",
            "completions zsh",
            "status --socket /run/x",
            "status web --ready --format json",
            "list --format json",
            "start web-1 --profile web",
            "stop web",
            "snapshot web@0123 -o -",
            "forget web -y",
        ] {
            let words = ["slim-agent"].into_iter().chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        }
        for line in [
            "record",
            "record web --for soon",
            "export docker-run a --name A",
            "export all a",
            "export image a",
            "export image a --tag x --base b --layers keep",
            "record web --cgroup /x",
            "merge",
            "push a",
            "push a web",
            "push a h:1/web@sha256:0",
            "pull",
            "export",
            "doctor x",
            "watch web",
            "status --ready",
            "start",
            "show",
            "show a --files --syscalls",
            "show a --image x --no-image",
        ] {
            let words = ["slim-agent"].into_iter().chain(line.split(' '));
            let code = Cli::try_parse_from(words).map(drop).map_err(|error| error.exit_code());
            assert_eq!(code, Err(2), "{line}");
        }
    }

    #[test]
    fn every_command_can_say_more() {
        for line in ["-v slim a -t b -v c:/c", "slim a -t b --verbose -v c:/c", "merge a -v", "-v merge a"] {
            let words = ["slim-agent"].into_iter().chain(line.split(' '));
            assert_eq!(Cli::try_parse_from(words).unwrap().verbose, 1, "{line}");
        }
    }
}
