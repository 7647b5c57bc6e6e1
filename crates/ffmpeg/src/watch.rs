//! Watches a process to its end, whatever it does.
//!
//! A process and its pipes come in; how it ended goes out, and it is always reaped. Both pipes
//! are read all the time, so that it never waits for us; nothing is kept here. A dropped watch
//! takes the process with it.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::Waiting;
use crate::child::{Child, Pipes};
use crate::tail::Tail;

/// How often is looked at what a process takes of memory and processors. At full speed it can take
/// some 500 MB in between.
const LOOK_AT_COSTS: Duration = Duration::from_millis(100);

/// When to lose patience.
pub(crate) struct Watch<'a> {
    pub(crate) wall: Duration,
    pub(crate) stall: Option<Duration>,
    pub(crate) grace: Duration,
    /// How much of the processors' time it may take, where that has a bound of its own.
    pub(crate) processor: Option<Duration>,
    pub(crate) memory_bytes: u64,
    /// Time in which the process waits for one of these counts for nothing.
    pub(crate) waiting: &'a [Waiting],
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
    /// Took too much memory.
    OutOfMemory,
    /// Took too much of the processors' time.
    OutOfProcessor,
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
        let mut awake = Awake::from(Instant::now());
        let mut alive_at = Duration::ZERO;
        let mut looks = interval(LOOK_AT_COSTS);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let end = loop {
            let passed = if self.waiting.iter().any(Waiting::is_anybody) {
                awake.skip_until(Instant::now())
            } else {
                awake.until(Instant::now())
            };
            let left = self.wall.saturating_sub(passed);
            let quiet = passed.saturating_sub(alive_at);
            let patience = self.stall.map_or(left, |stall| stall.saturating_sub(quiet));
            if left.is_zero() {
                break End::TimedOut;
            } else if patience.is_zero() {
                break End::Stalled;
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break End::Stopped,
                _ = looks.tick() => {
                    if child.memory_bytes().is_some_and(|bytes| bytes > self.memory_bytes) {
                        break End::OutOfMemory;
                    }
                    let is_over = |bound| child.processor_time().is_some_and(|took| took > bound);
                    if self.processor.is_some_and(is_over) {
                        break End::OutOfProcessor;
                    }
                }
                read = pipes.stderr.read(&mut err), if err_open => {
                    let read = read?;
                    err_open = read > 0;
                    tail.push(&err[..read]);
                }
                read = pipes.stdout.read(&mut out), if out_open => {
                    let read = read?;
                    out_open = read > 0;
                    match hear(&out[..read]) {
                        Heard::Life => alive_at = awake.until(Instant::now()),
                        Heard::Noise => {}
                        Heard::TooMuch => break End::TooMuch,
                    }
                }
                status = child.wait(), if !out_open && !err_open => {
                    let status = status?;
                    let is_ours = !status.success() && child.was_out_of_memory();
                    break if is_ours { End::OutOfMemory } else { End::Exited(status) };
                }
                () = sleep(left.min(patience).min(LOOK)) => {}
            }
        };
        tail.flush();
        match end {
            End::Exited(_) => {}
            End::Stopped => child.end(self.grace).await?,
            End::Stalled
            | End::TimedOut
            | End::TooMuch
            | End::OutOfMemory
            | End::OutOfProcessor => child.end(Duration::ZERO).await?,
        }
        Ok(end)
    }
}

/// How often is looked at the time while nothing else happens.
const LOOK: Duration = Duration::from_secs(1);

/// The longest time between two looks that counts.
const NAP: Duration = Duration::from_secs(3);

/// The time in which this process was awake. While it is stopped or its machine is suspended
/// nobody listens, and what is heard first afterwards must not be that the time is up.
struct Awake {
    last: Instant,
    passed: Duration,
}

impl From<Instant> for Awake {
    fn from(start: Instant) -> Self {
        Self { last: start, passed: Duration::ZERO }
    }
}

impl Awake {
    /// How much has passed until the last look; what has passed since then counts for nothing.
    fn skip_until(&mut self, now: Instant) -> Duration {
        self.last = now;
        self.passed
    }

    /// How much has passed until `now`.
    fn until(&mut self, now: Instant) -> Duration {
        self.passed += now.saturating_duration_since(self.last).min(NAP);
        self.last = now;
        self.passed
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::Path;

    use super::*;
    use crate::child::{Containment, spawn};
    use crate::{Limits, Sandbox, Scope};

    #[tokio::test]
    async fn time_in_which_we_stood_still_ourselves_is_not_held_against_the_process() {
        let argv = ["-c", "exit 7"].map(OsString::from);
        let sandbox = Sandbox::detect();
        let containment = Containment::prepare(&Limits::default(), sandbox, Scope::default());
        let (child, pipes) =
            spawn(Path::new("/bin/sh"), &argv, Path::new("/"), &containment).expect("a shell");
        let (stop, wall) = (CancellationToken::new(), Duration::from_millis(3_500));
        let grace = Duration::ZERO;
        let watch = Watch {
            wall,
            stall: Some(wall),
            grace,
            processor: None,
            memory_bytes: 1 << 30,
            waiting: &[],
            stop: &stop,
        };
        let mut tail = Tail::new(&argv);
        let mut watching = std::pin::pin!(watch.over(child, pipes, &mut tail, |_| Heard::Noise));
        assert!(is_pending(watching.as_mut()).await, "it is being watched");
        // As if this process had been stopped: nothing of it runs meanwhile.
        std::thread::sleep(wall + Duration::from_millis(500));
        let end = watching.await.expect("an end");
        assert!(matches!(&end, End::Exited(status) if status.code() == Some(7)), "{end:?}");
    }

    async fn is_pending<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(future.as_mut().poll(context).is_pending())
        })
        .await
    }
}
