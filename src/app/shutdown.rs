//! How a process is asked to end: softly, then at once.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Two requests to end: the first lets work go on for a while, the second does not.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
}

impl Shutdown {
    /// Take nothing new.
    #[must_use]
    pub const fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Hand back what is not done.
    #[must_use]
    pub const fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    /// Ends softly at the first SIGTERM or SIGINT, and at once at the second or after `drain`.
    ///
    /// # Errors
    ///
    /// The system does not let us listen for signals.
    pub fn on_signals(&self, drain: Duration) -> io::Result<()> {
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        let this = self.clone();
        tokio::spawn(async move {
            let mut next = async || {
                tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
            };
            next().await;
            tracing::info!(drain_secs = drain.as_secs(), "ending; a second signal ends at once");
            this.soft.cancel();
            tokio::select! { () = next() => {}, () = sleep(drain) => {} }
            this.hard.cancel();
        });
        Ok(())
    }
}
