//! Submissions that come at the same time are written together.
//!
//! A commit waits for the disk, and whoever comes meanwhile would wait for a commit of their own
//! after it. Here they wait for the next one together: what a commit costs is shared by as many
//! as are waiting (group commit). Each is still answered for itself, and nobody is answered
//! before the disk has it.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as Turn, oneshot};
use tokio::task::yield_now;
use tokio::time::timeout;

use super::room::Queue;
use super::{SqlStore, VERB_TIMEOUT, submit};
use crate::store::{StoreError, StoreResult, Submission, Submitted};

/// How many submissions share a commit at most: no answer waits for more than these.
const MAX_GROUP: usize = 64;

/// How often whoever is ready to submit goes first, before a group is written: microseconds, in
/// which those that were answered together come again together.
const YIELDS: usize = 8;

/// The submissions that wait to be written by this process.
#[derive(Clone, Debug, Default)]
pub(super) struct Intake {
    waiting: Arc<Mutex<Vec<Waiting>>>,
    turn: Arc<Turn<()>>,
    pub(super) queue: Arc<Queue>,
}

#[derive(Debug)]
struct Waiting {
    submission: Submission,
    answer: oneshot::Sender<StoreResult<Submitted>>,
}

/// Writes the submission with others that wait; by itself where one of them cannot be written.
pub(super) async fn submit(store: &SqlStore, submission: Submission) -> StoreResult<Submitted> {
    let (answer, answered) = oneshot::channel();
    if store.intake.push(Waiting { submission: submission.clone(), answer }) {
        // A task of its own: a client that goes away takes nobody else's commit with it.
        tokio::spawn(write_next(store.clone()));
    }
    match timeout(VERB_TIMEOUT, answered).await.map_err(|_| StoreError::TimedOut)? {
        Ok(answer) => answer,
        Err(_) => alone(store, &submission).await,
    }
}

/// Writes one group when it is its turn; nothing, when another has already written it.
async fn write_next(store: SqlStore) {
    let turn = store.intake.turn.clone();
    let _turn = turn.lock().await;
    for _ in 0..YIELDS {
        yield_now().await;
    }
    let group = store.intake.take();
    let (submissions, answers): (Vec<_>, Vec<_>) =
        group.into_iter().map(|waiting| (waiting.submission, waiting.answer)).unzip();
    let written: Vec<StoreResult<Submitted>> = match submissions.as_slice() {
        [] => return,
        [one] => vec![alone(&store, one).await],
        many => match timeout(VERB_TIMEOUT, submit::write(&store, many)).await {
            Ok(Ok(written)) => written.into_iter().map(Ok).collect(),
            // Whose fault it is cannot be told: without an answer each tries alone.
            Ok(Err(_)) | Err(_) => return,
        },
    };
    for (answer, written) in answers.into_iter().zip(written) {
        // Whoever asked may be gone; what was accepted stays accepted.
        drop(answer.send(written));
    }
}

async fn alone(store: &SqlStore, submission: &Submission) -> StoreResult<Submitted> {
    let one = std::slice::from_ref(submission);
    let written = store.run(|| submit::write(store, one)).await?;
    written.into_iter().next().ok_or(StoreError::Database(sqlx::Error::RowNotFound))
}

impl Intake {
    /// Whether a group begins with this one, which is to be written.
    fn push(&self, waiting: Waiting) -> bool {
        let mut line = self.lock();
        line.push(waiting);
        line.len() % MAX_GROUP == 1
    }

    /// The first of those that wait, as many as may share a commit.
    fn take(&self) -> Vec<Waiting> {
        let mut waiting = self.lock();
        let rest = waiting.len().min(MAX_GROUP);
        let rest = waiting.split_off(rest);
        mem::replace(&mut *waiting, rest)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        // No step between two consistent lists can panic.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
