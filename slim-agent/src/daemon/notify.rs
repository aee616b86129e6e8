//! Tells the service manager how the daemon is: the protocol of sd_notify(3), a datagram of lines to a socket.

use std::env;
use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::time::{ClockId, clock_gettime};

/// A service manager that wants to be told, or none: then telling does nothing.
#[derive(Debug, Default)]
pub struct Notifier {
    manager: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// The manager that the environment names: `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    ///
    /// # Errors
    /// There is a manager, and its address cannot be used.
    pub fn from_env() -> Result<Self> {
        let Some(address) = env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty()) else {
            return Ok(Self::default());
        };
        let number = |name: &str| env::var(name).ok()?.parse::<u64>().ok();
        let for_this = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| for_this && *usec > 0);
        Self::to(&address, watchdog.map(Duration::from_micros))
    }

    fn to(address: &OsStr, watchdog: Option<Duration>) -> Result<Self> {
        let at = || format!("cannot tell the service manager at NOTIFY_SOCKET={}", address.display());
        let parsed = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name).with_context(at)?,
            [b'/', ..] => SocketAddr::from_pathname(address).with_context(at)?,
            _ => bail!("{}: it is neither a path nor an abstract name", at()),
        };
        let socket = UnixDatagram::unbound().with_context(at)?;
        // A manager that does not read must not stop the daemon.
        socket.set_nonblocking(true).with_context(at)?;
        Ok(Self { manager: Some((socket, parsed)), watchdog })
    }

    /// How often [`Self::alive`] must be told: half the time after which the manager restarts the daemon.
    pub fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog.map(|timeout| timeout / 2)
    }

    /// The daemon does its work; also after [`Self::reloading`].
    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={}", one_line(status)));
    }

    /// The configuration is read anew.
    pub fn reloading(&self) {
        // systemd pairs it with the readiness that follows by this clock.
        let usec = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |now| Duration::from(now).as_micros());
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={usec}"));
    }

    /// The daemon ends.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// The daemon still does its work.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    /// How the daemon is, in one line for people.
    pub fn status(&self, status: &str) {
        self.tell(&format!("STATUS={}", one_line(status)));
    }

    /// A message that does not arrive changes nothing for the daemon, and is said in the log.
    fn tell(&self, message: &str) {
        let Some((socket, manager)) = &self.manager else { return };
        if let Err(error) = socket.send_to_addr(message.as_bytes(), manager) {
            tracing::warn!("the service manager was not told {message:?}: {error}");
        }
    }
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(manager: &UnixDatagram) -> String {
        let mut bytes = [0; 512];
        let length = manager.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    fn listening(manager: &UnixDatagram) {
        manager.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    }

    #[test]
    fn a_manager_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        listening(&manager);
        let notifier = Notifier::to(path.as_os_str(), Some(Duration::from_secs(30))).unwrap();
        notifier.ready("records 3\ncontainers");
        assert_eq!(next(&manager), "READY=1\nSTATUS=records 3 containers");
        notifier.reloading();
        let reloading = next(&manager);
        let usec = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(usec.parse::<u64>().unwrap() > 0);
        notifier.alive();
        assert_eq!(next(&manager), "WATCHDOG=1");
        notifier.status("idle");
        assert_eq!(next(&manager), "STATUS=idle");
        notifier.stopping();
        assert_eq!(next(&manager), "STOPPING=1");
        assert_eq!(notifier.watchdog_interval(), Some(Duration::from_secs(15)));
    }

    #[test]
    fn a_manager_may_have_an_abstract_address() {
        let name = format!("slim-agent-notify-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        listening(&manager);
        Notifier::to(OsStr::new(&format!("@{name}")), None).unwrap().alive();
        assert_eq!(next(&manager), "WATCHDOG=1");
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        let none = Notifier::default();
        none.ready("");
        assert_eq!(none.watchdog_interval(), None);
        assert!(Notifier::to(OsStr::new("vsock:2:1234"), None).is_err());
        // One that is gone is no error.
        Notifier::to(OsStr::new("/nonexistent/notify"), None).unwrap().alive();
    }
}
