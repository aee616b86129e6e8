//! Containers that run side by side.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::docker::docker;
use crate::images;
use crate::process::{output, succeeds};

/// So many are started with one command: the engine does the work of several at once.
const TOGETHER: usize = 4;

/// The containers. They are removed when this goes out of scope.
pub struct Crowd {
    names: Vec<String>,
}

impl Crowd {
    /// Starts `count` web servers, and waits until each of them serves.
    pub fn serving(label: &str, what: &str, count: usize, patience: Duration) -> Result<Self> {
        let crowd = Self::start(label, what, count, &[])?;
        crowd.serve(patience).map(|()| crowd)
    }

    /// Starts `count` containers with a label, recorded for the profile `soak-WHAT`: web servers, or with another command.
    pub fn start(label: &str, what: &str, count: usize, command: &[&str]) -> Result<Self> {
        let name = |number| format!("soak-{what}-{}-{number}", std::process::id());
        let crowd = Self { names: (0..count).map(name).collect() };
        let profile = format!("slim.profile=soak-{what}");
        let image = images::tag("nginx");
        for some in crowd.names.chunks(TOGETHER) {
            let start = |name: &String| {
                let words =
                    ["run", "--detach", "--name", name, "--label", label, "--label", &profile, &image];
                docker(&[&words, command].concat()).stdout(std::process::Stdio::null()).spawn()
            };
            let started: Vec<_> =
                some.iter().map(start).collect::<Result<_, _>>().context("cannot run docker")?;
            for mut one in started {
                ensure!(one.wait()?.success(), "a container does not start");
            }
        }
        Ok(crowd)
    }

    /// Waits until each of them serves.
    fn serve(&self, patience: Duration) -> Result<()> {
        let began = Instant::now();
        for address in self.addresses()? {
            let url = format!("http://{address}/");
            while !succeeds(&mut crate::process::command("curl", ["--fail", "--max-time", "5", &url])) {
                if began.elapsed() > patience {
                    bail!("{address} does not serve");
                }
                std::thread::sleep(Duration::from_millis(200));
            }
        }
        Ok(())
    }

    /// Their addresses.
    pub fn addresses(&self) -> Result<Vec<String>> {
        let mut words = vec!["inspect", "--format", "{{.NetworkSettings.IPAddress}}"];
        words.extend(self.names.iter().map(String::as_str));
        Ok(output(&mut docker(&words))?.lines().map(str::to_owned).collect())
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let mut words = vec!["rm", "--force", "--volumes"];
        words.extend(self.names.iter().map(String::as_str));
        if let Err(error) = output(&mut docker(&words)) {
            eprintln!("warning: {error:#}");
        }
    }
}
