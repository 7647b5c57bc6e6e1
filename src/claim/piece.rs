//! The lease on a piece of a long video, kept while somebody makes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::heart::{ANSWER, BEAT, FENCE};
use crate::store::{PieceLease, Settled, Store};

/// How far a piece is: told by whoever makes it, read by whoever tells others.
#[derive(Debug, Default)]
pub struct PieceProgress(AtomicU32);

impl PieceProgress {
    /// It has come to `percent`.
    pub fn advance(&self, percent: f32) {
        self.0.store(percent.to_bits(), Ordering::Relaxed);
    }

    /// How far it is, in per cent.
    #[must_use]
    pub fn percent(&self) -> f32 {
        f32::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// Does `work`, which is told to stop as soon as the piece is not ours any more, or when `stop` is.
/// The lease is renewed until it ends.
pub async fn while_kept<T, F: Future<Output = T>>(
    store: &Arc<dyn Store>,
    lease: &PieceLease,
    progress: &PieceProgress,
    stop: &CancellationToken,
    work: impl FnOnce(CancellationToken) -> F,
) -> T {
    let until = stop.child_token();
    let mut work = std::pin::pin!(work(until.clone()));
    let mut renewed = Instant::now();
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = sleep(BEAT), if !until.is_cancelled() => {}
        }
        let asked = Instant::now();
        match timeout(ANSWER, store.keep_piece(lease, progress.percent())).await {
            Ok(Ok(Settled::Done)) => renewed = asked,
            Ok(Ok(Settled::Lost)) => until.cancel(),
            Ok(Err(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the lease on a piece could not be renewed");
            }
            Err(_) => tracing::warn!("the store did not answer for a piece in time"),
        }
        // As with tasks: whoever cannot renew stops before another may begin.
        if renewed.elapsed() >= FENCE {
            until.cancel();
        }
    }
}
