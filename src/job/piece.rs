//! The pieces of a long video: what each is, and what was made of it.
//!
//! Times are those that the source's own time stamps tell, in microseconds: whole numbers, so
//! that all who make a piece begin and end at the same pictures.

use serde::{Deserialize, Serialize};

/// A piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Piece {
    /// All of the sound: it is never cut.
    Sound,
    /// The pictures of a time.
    Pictures(Cut),
}

/// A time, from one moment up to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// From here on; from the first picture where it is not given.
    pub from: Option<Edge>,
    /// Before this; to the last picture where it is not given.
    pub until_us: Option<i64>,
}

/// Where a piece begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// Pictures from here on belong to it.
    pub at_us: i64,
    /// Where ffmpeg is told to begin to decode.
    pub seek_us: i64,
}

/// The file that was made of a piece.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PieceFile {
    /// Where it is in storage.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// The number of its pictures; 0 of a sound.
    pub pictures: u64,
    /// When the first of them is shown.
    pub first_us: i64,
    /// When the last of them is shown.
    pub last_us: i64,
}
