//! How long a container takes until it serves.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::slim::Slim;
use crate::docker::{Container, docker};
use crate::load::median;
use crate::process::output;

/// Starts of each kind.
const ROUNDS: usize = 3;
/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Time from `docker start` until the container's port takes a connection: medians of interleaved starts.
#[derive(Debug, Clone, Copy)]
pub struct Starts {
    /// Of the original.
    pub original: Duration,
    /// Of the slim image under its profile.
    pub slim: Duration,
}

/// Measures the starts of an original and of the slim image made from it.
pub fn measure(original: &str, slim: &Slim) -> Result<Starts> {
    let port = port(original)?;
    let (mut originals, mut slims) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        originals.push(start(&Container::create(original, "table-start", &[])?, port)?);
        slims.push(start(&slim.create()?, port)?);
    }
    let middle = |seconds: &[f64]| Duration::from_secs_f64(median(seconds));
    Ok(Starts { original: middle(&originals), slim: middle(&slims) })
}

/// Seconds of one start.
fn start(container: &Container, port: u16) -> Result<f64> {
    let began = Instant::now();
    container.start()?;
    let address = SocketAddr::new(container.ip()?.parse().context("the engine gives no address")?, port);
    while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
        if began.elapsed() > PATIENCE {
            bail!("{} does not listen at port {port}; it logged:\n{}", container.name(), container.logs());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(began.elapsed().as_secs_f64())
}

/// The port that an image says it serves at.
fn port(image: &str) -> Result<u16> {
    let text =
        output(&mut docker(&["image", "inspect", "--format", "{{json .Config.ExposedPorts}}", image]))?;
    let ports: Value = serde_json::from_str(&text).context("docker inspect printed no JSON")?;
    let first = ports.as_object().and_then(|ports| ports.keys().next());
    first
        .and_then(|port| port.split('/').next()?.parse().ok())
        .with_context(|| format!("{image} exposes no port: {text}"))
}
