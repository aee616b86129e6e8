//! The Docker engine, through its command line.

use std::process::Command;

use anyhow::{Context, Result};

use crate::process::{command, output, run, succeeds};

/// `docker` with `args`.
pub fn docker(args: &[&str]) -> Command {
    command("docker", args)
}

/// Whether an engine answers.
pub fn answers() -> bool {
    // `docker info` exits with 0 without an engine in some versions; this never does.
    succeeds(&mut docker(&["version", "--format", "{{.Server.Version}}"]))
}

/// Whether the engine has an image of that name.
pub fn has_image(name: &str) -> bool {
    succeeds(&mut docker(&["image", "inspect", name]))
}

/// Bytes of an image, as the engine counts them.
pub fn image_size(name: &str) -> Result<u64> {
    let size = output(&mut docker(&["image", "inspect", "--format", "{{.Size}}", name]))?;
    size.parse().with_context(|| format!("the engine gives {name} the size {size:?}"))
}

/// A container of ours; it is removed when this goes out of scope, also on an error.
pub struct Container {
    name: String,
}

impl Container {
    /// Creates, but does not start, a container whose name ends in `suffix` and our process id.
    pub fn create(image: &str, suffix: &str, options: &[&str]) -> Result<Self> {
        let name = format!("slim-{suffix}-{}", std::process::id());
        let words = [&["create", "--name", name.as_str()], options, &[image]].concat();
        output(&mut docker(&words))?;
        Ok(Self { name })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts it.
    pub fn start(&self) -> Result<()> {
        output(&mut docker(&["start", &self.name])).map(drop)
    }

    /// The address of a running one.
    pub fn ip(&self) -> Result<String> {
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
        let addresses = output(&mut docker(&["inspect", "--format", format, &self.name]))?;
        let first = addresses.split_whitespace().next();
        first.map(str::to_owned).with_context(|| {
            format!("{} has no address, so it does not run; it logged:\n{}", self.name, self.logs())
        })
    }

    /// What it printed so far: for error messages, because the container itself is removed after an error.
    pub fn logs(&self) -> String {
        let printed = docker(&["logs", "--tail", "50", &self.name]).output();
        printed.map_or_else(
            |error| format!("(no logs: {error})"),
            |logs| String::from_utf8_lossy(&[logs.stdout, logs.stderr].concat()).into_owned(),
        )
    }

    /// How many files, symbolic links included, its file system has; directories do not count.
    pub fn count_files(&self) -> Result<usize> {
        // The engine puts these into every container by itself.
        const ENGINE: &[&str] =
            &[".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf"];
        let script = "docker export \"$1\" | tar --list";
        let listing = output(&mut command("sh", ["-c", script, "sh", &self.name]))?;
        let files = listing.lines().filter(|name| !name.ends_with('/') && !ENGINE.contains(name));
        Ok(files.count())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let Err(error) =
            run(docker(&["rm", "--force", "--volumes", &self.name]).stdout(std::process::Stdio::null()))
        {
            eprintln!("warning: {error:#}");
        }
    }
}
