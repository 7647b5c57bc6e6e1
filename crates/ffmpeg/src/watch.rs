//! Watches a process to its end, whatever it does.
//!
//! A process and its pipes come in; how it ended goes out, and it is always reaped. Both pipes
//! are read all the time, so that it never waits for us; nothing is kept here. A dropped watch
//! takes the process with it.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::child::{Child, Pipes};
use crate::tail::Tail;

/// When to lose patience.
pub(crate) struct Watch<'a> {
    pub(crate) wall: Duration,
    pub(crate) stall: Option<Duration>,
    pub(crate) grace: Duration,
    pub(crate) stop: &'a CancellationToken,
}

/// What the bytes on standard output were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A sign of life.
    Life,
    /// No sign of life.
    Noise,
    /// More than there may be.
    TooMuch,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum End {
    /// By itself, or by a signal that is not ours.
    Exited(ExitStatus),
    /// Asked to by `stop`.
    Stopped,
    /// No sign of life for too long.
    Stalled,
    /// Not done in time.
    TimedOut,
    /// Said too much.
    TooMuch,
}

impl Watch<'_> {
    /// Watches `child` until it has ended and is reaped.
    pub(crate) async fn over(
        &self,
        mut child: Child,
        mut pipes: Pipes,
        tail: &mut Tail,
        mut hear: impl FnMut(&[u8]) -> Heard,
    ) -> io::Result<End> {
        let (mut out, mut err) = ([0; 16 << 10], [0; 4 << 10]);
        let (mut out_open, mut err_open) = (true, true);
        let start = Instant::now();
        let deadline = after(start, self.wall);
        let mut alive_at = start;
        let end = loop {
            let stalled_at = self.stall.map_or(deadline, |stall| after(alive_at, stall));
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break End::Stopped,
                () = sleep_until(deadline) => break End::TimedOut,
                () = sleep_until(stalled_at) => break End::Stalled,
                read = pipes.stderr.read(&mut err), if err_open => {
                    let read = read?;
                    err_open = read > 0;
                    tail.push(&err[..read]);
                }
                read = pipes.stdout.read(&mut out), if out_open => {
                    let read = read?;
                    out_open = read > 0;
                    match hear(&out[..read]) {
                        Heard::Life => alive_at = Instant::now(),
                        Heard::Noise => {}
                        Heard::TooMuch => break End::TooMuch,
                    }
                }
                status = child.wait(), if !out_open && !err_open => break End::Exited(status?),
            }
        };
        tail.flush();
        match end {
            End::Exited(_) => {}
            End::Stopped => child.end(self.grace).await?,
            End::Stalled | End::TimedOut | End::TooMuch => child.end(Duration::ZERO).await?,
        }
        Ok(end)
    }
}

/// A time so far away that it cannot be told is a year away.
fn after(start: Instant, wait: Duration) -> Instant {
    const YEAR: Duration = Duration::from_hours(8760);
    start + wait.min(YEAR)
}
