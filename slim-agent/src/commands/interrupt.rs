//! SIGINT and SIGTERM, as something that any number of waiters can wait for.

use anyhow::{Context, Result, anyhow};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Whether the user or the system wants an end. From when this exists the signals do not end the process.
#[derive(Debug, Clone)]
pub struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Begins to listen.
    ///
    /// # Errors
    /// The signals cannot be caught.
    pub fn listen() -> Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            sender.send_replace(true);
        });
        Ok(Self(receiver))
    }

    /// Resolves when a signal has come, at once if it came before.
    pub async fn arrived(&self) {
        // The sender only goes after it has sent.
        let mut receiver = self.0.clone();
        let _came = receiver.wait_for(|&came| came).await;
    }

    /// What `work` gives, unless a signal comes first.
    ///
    /// # Errors
    /// It came.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.arrived() => Err(anyhow!("interrupted")),
            done = work => Ok(done),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::{Signal, raise};

    #[tokio::test]
    async fn one_signal_reaches_every_waiter_whenever_it_asks() {
        let interrupt = Interrupt::listen().unwrap();
        assert_eq!(interrupt.during(async { 1 }).await.unwrap(), 1);
        raise(Signal::SIGTERM).unwrap();
        interrupt.arrived().await;
        assert!(interrupt.clone().during(std::future::pending::<()>()).await.is_err());
        assert!(interrupt.during(async { 1 }).await.is_err());
    }
}
