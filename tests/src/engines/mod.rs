//! Real engines beside Docker, each with sockets, images and state of its own: nothing of the host's is touched.

mod containerd;
mod cri;
mod dockerd;
mod podman;

pub use containerd::{Containerd, Pod};
pub use dockerd::Dockerd;
pub use podman::Podman;

use std::process::Child;
use std::time::{Duration, Instant};

/// Asks a service to end, and kills it when it does not.
fn end(child: &mut Child) {
    let told = std::process::Command::new("kill").arg(child.id().to_string()).status();
    let deadline = Instant::now() + Duration::from_secs(10);
    while told.is_ok() && child.try_wait().is_ok_and(|ended| ended.is_none()) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ended = child.kill();
    let _reaped = child.wait();
}
