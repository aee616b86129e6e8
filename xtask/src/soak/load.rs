//! Work for the recorded: requests at a fixed rate, and containers that come, work and go.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::crowd::Crowd;
use crate::docker::docker;
use crate::images;
use crate::process::succeeds;

/// Threads that start containers: one may take seconds on a busy machine.
const CHURNERS: u32 = 3;
/// What such a container does.
const WORK: &str = "nginx -t && ls -R /etc/nginx && cat /usr/share/nginx/html/* && sleep 1";

/// Something that goes on until it is told to end.
struct Work {
    over: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Work {
    fn new() -> Self {
        Self { over: Arc::default(), count: Arc::default(), threads: Vec::new() }
    }

    /// Does something again and again, `every` so often if it is quick enough, and counts how often it went well.
    fn repeat(&mut self, every: Duration, act: impl Fn() -> bool + Send + 'static) {
        let (over, count) = (Arc::clone(&self.over), Arc::clone(&self.count));
        self.threads.push(thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let began = Instant::now();
                count.fetch_add(u64::from(act()), Ordering::Relaxed);
                thread::sleep(every.saturating_sub(began.elapsed()));
            }
        }));
    }

    /// Ends it; how often it went well.
    fn end(self) -> Result<u64> {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().map_err(|_| anyhow!("a thread of the load broke down"))?;
        }
        Ok(self.count.load(Ordering::Relaxed))
    }
}

/// Requests to web servers.
pub struct Load(Work);

impl Load {
    /// Asks each of them `rate` times a second.
    pub fn begin(servers: &Crowd, rate: u32) -> Result<Self> {
        let mut work = Work::new();
        for address in servers.addresses()? {
            work.repeat(Duration::from_secs(1) / rate.max(1), move || request(&address).is_ok());
        }
        Ok(Self(work))
    }

    /// Ends it; how many requests were answered.
    pub fn end(self) -> Result<u64> {
        self.0.end()
    }
}

fn request(address: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect((address, 80))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}

/// Containers that come and go.
pub struct Churn(Work);

impl Churn {
    /// Has `per_minute` of them come, recorded for the profile `soak-churned`.
    pub fn begin(label: &str, per_minute: u32) -> Self {
        let mut work = Work::new();
        let image = images::tag("nginx");
        for _ in 0..if per_minute == 0 { 0 } else { CHURNERS } {
            let (label, image) = (label.to_owned(), image.clone());
            work.repeat(Duration::from_secs(60) * CHURNERS / per_minute, move || {
                let labels = ["--label", &label, "--label", "slim.profile=soak-churned"];
                let words = [&["run", "--rm"], labels.as_slice(), &[&image, "sh", "-c", WORK]].concat();
                succeeds(&mut docker(&words))
            });
        }
        Self(work)
    }

    /// Ends it; how many there were.
    pub fn end(self) -> Result<u64> {
        self.0.end()
    }
}
