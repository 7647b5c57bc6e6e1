//! Pieces of long videos: what goes into the store's verbs and what comes out.

use crate::id::{TaskId, WorkerId};
use crate::job::{Job, Piece, PieceFile};

/// How often a piece is tried by those who only help. After that it is left to whoever holds the
/// task, who can tell what is wrong with it.
pub const HELPED_TRIES: u32 = 2;

/// How often a piece is tried at all: then the video is made in one.
pub const PIECE_TRIES: u32 = 4;

/// A right to make one piece, for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PieceLease {
    /// The task that it is a piece of.
    pub task: TaskId,
    /// Its place among the pieces.
    pub position: u32,
    /// The attempt of the task that wants it.
    pub attempt: u32,
    /// Who makes it.
    pub worker: WorkerId,
    /// Its number among the tries of the attempt, from 1: who comes too late has an older one.
    pub tries: u32,
}

/// A piece to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct PieceClaim {
    /// The right to make it.
    pub lease: PieceLease,
    /// The job that it is for.
    pub job: Job,
    /// What it is.
    pub piece: Piece,
    /// What all pieces are made by.
    pub recipe: String,
}

impl PieceClaim {
    /// Where this try puts its file: no other try ever writes there.
    #[must_use]
    pub fn key(&self, name: &str) -> String {
        let PieceLease { position, attempt, tries, .. } = self.lease;
        format!("{}/{attempt}-{position}-{tries}/{name}", pieces_prefix(&self.job))
    }
}

/// Where the pieces of a job are.
#[must_use]
pub fn pieces_prefix(job: &Job) -> String {
    format!("{}/pieces", job.id)
}

/// How a piece stands.
#[derive(Clone, Debug, PartialEq)]
pub struct PieceSeen {
    /// What it is.
    pub piece: Piece,
    /// Who makes it, when somebody does.
    pub worker: Option<WorkerId>,
    /// How often it was tried.
    pub tries: u32,
    /// How far it is, in per cent.
    pub percent: f32,
    /// What was made of it, when it is there.
    pub made: Option<PieceFile>,
}

impl PieceSeen {
    /// Whether nobody will make it any more.
    #[must_use]
    pub const fn is_given_up(&self) -> bool {
        self.made.is_none() && self.worker.is_none() && self.tries >= PIECE_TRIES
    }
}
