//! One piece: from its input to its file in storage.

use std::path::{Path, PathBuf};

use ffmpeg::{Command, Conversion, Facts, Media, Progress, Ran, Slice};
use futures::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

use super::super::engine::while_it_lasts;
use super::super::{Ingredients, WorkError, Worker};
use super::{fit, unfit};
use crate::claim::{PieceProgress, persist, while_kept};
use crate::job::plan::Known;
use crate::job::{Cut, Piece, PieceFile};
use crate::metrics;
use crate::store::{PieceClaim, Settled};
use crate::task::{Failure, Lane};

/// What pieces are made of, and how.
#[derive(Clone, Copy)]
pub(super) struct Film<'a> {
    pub(super) from: &'a Ingredients<'a>,
    pub(super) conversion: &'a Conversion,
    /// What one of them takes of memory, in bytes.
    pub(super) memory_bytes: u64,
    pub(super) secs: f64,
}

impl Worker {
    /// Makes a piece of a task that somebody else holds.
    pub(in super::super) async fn help(&self, piece: &PieceClaim, end: &CancellationToken) {
        tracing::info!("a piece of a long video is made here");
        let progress = PieceProgress::default();
        let make = |stop| Box::pin(self.make_anothers(piece, &progress, stop));
        if self.spend_piece(piece, &progress, end, make).await {
            tracing::info!("the piece was made");
        }
    }

    /// Makes a piece by `make` and spends its lease; whether it counts.
    pub(super) async fn spend_piece<F>(
        &self,
        piece: &PieceClaim,
        progress: &PieceProgress,
        stop: &CancellationToken,
        make: impl FnOnce(CancellationToken) -> F,
    ) -> bool
    where
        F: Future<Output = Result<PieceFile, WorkError>>,
    {
        let lease = &piece.lease;
        let settled = match while_kept(&self.store, lease, progress, stop, make).await {
            Ok(file) => {
                let settled = persist(|| self.store.finish_piece(lease, &file)).await;
                match settled {
                    Ok(Settled::Done) => metrics::PIECES.add(1, &[]),
                    Ok(Settled::Lost) => self.remove_piece(&file).await,
                    Err(_) => {}
                }
                settled.map(|settled| settled == Settled::Done)
            }
            Err(error) => {
                if let WorkError::Failed(error) = &error {
                    tracing::warn!(%error, "a piece of a long video was not made here");
                }
                persist(|| self.store.release_piece(lease)).await.map(|_| false)
            }
        };
        settled.unwrap_or_else(|error| {
            // Its lease runs out, and another makes it.
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the end of a piece could not be written");
            false
        })
    }

    /// What comes too late is nobody's.
    async fn remove_piece(&self, file: &PieceFile) {
        if let Err(error) = self.storage.delete(&file.key).await {
            // The end of the job has doomed it too: the sweep will find it.
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "a piece that came too late stays for the sweep");
        }
    }

    /// Gets the input, finds out what it is, and makes the piece: the same as the holder would.
    async fn make_anothers(
        &self,
        piece: &PieceClaim,
        progress: &PieceProgress,
        stop: CancellationToken,
    ) -> Result<PieceFile, WorkError> {
        let PieceClaim { job, recipe, .. } = piece;
        let input = Box::pin(self.import(job, job.created_at, |_| {}, &stop)).await?;
        let facts = Box::pin(self.engine.probe(&input, &stop)).await?;
        let from = Ingredients { input: &input, facts: &facts, subtitles: None };
        let plan = self.engine.plan(&job.spec.options, &from, &Known::default(), Path::new("/"))?;
        let other = || unfit("this worker would make another video of it");
        let conversion = plan.cuttable.ok_or_else(other)?;
        if self::recipe(&conversion, &facts, self.engine.tools().version()) != *recipe {
            return Err(other().into());
        }
        let secs = facts.duration.unwrap_or_default();
        let memory_bytes = plan.memory.bytes();
        let film = Film { from: &from, conversion: &conversion, memory_bytes, secs };
        Box::pin(self.make_piece(piece, film, progress, stop)).await
    }

    /// Makes the piece and puts it into storage.
    pub(super) async fn make_piece(
        &self,
        piece: &PieceClaim,
        film: Film<'_>,
        progress: &PieceProgress,
        stop: CancellationToken,
    ) -> Result<PieceFile, WorkError> {
        let room = self.scratch.piece_room(&piece.lease)?;
        let threads = self.processors.threads(Lane::Heavy, true);
        let conversion = Conversion {
            threads: film.conversion.threads.or(Some(threads)),
            ..film.conversion.clone()
        };
        let (command, path) = command(piece.piece, &conversion, room.path())?;
        let admitted = self.admit(Lane::Heavy, film.memory_bytes, &[], &stop).await?;
        let secs = secs(piece.piece, film.secs);
        let on_progress = |at: Progress| {
            let done = (at.out_secs / secs.max(0.001)).clamp(0.0, 1.0);
            progress.advance(done as f32 * 100.0);
        };
        let tools = self.engine.tools();
        let run = |stop| async move { Ok(tools.run(&command, on_progress, &stop).await?) };
        let ran = while_it_lasts(film.from.input, &stop, run).await;
        drop(admitted);
        let ran = ran?;
        check_ran(&ran)?;
        let shown = match piece.piece {
            Piece::Sound => None,
            Piece::Pictures(_) => Some(tools.moments(&path, &stop).await?),
        };
        let shown = shown.unwrap_or_default();
        if let Piece::Pictures(cut) = piece.piece {
            fit::check_piece(&cut, &shown)?;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let key = piece.key(&name);
        let putting = self.storage.put(&key, &path);
        let stored = stop.run_until_cancelled(putting).await.ok_or(WorkError::Stopped)??;
        Ok(PieceFile {
            key,
            bytes: stored.size_bytes,
            pictures: shown.pictures,
            first_us: shown.first_us,
            last_us: shown.last_us,
        })
    }

    /// Gets the file of a piece from storage.
    pub(super) async fn fetch_piece(
        &self,
        piece: &PieceFile,
        path: &Path,
    ) -> Result<(), WorkError> {
        let mut bytes = self.storage.get(&piece.key, None).await?;
        let mut file = tokio::fs::File::create(path).await?;
        let mut written = 0;
        while let Some(some) = bytes.next().await {
            let some = some?;
            file.write_all(&some).await?;
            written += some.len() as u64;
        }
        file.flush().await?;
        if written == piece.bytes {
            Ok(())
        } else {
            Err(unfit("the storage has another piece than was sent").into())
        }
    }
}

/// What makes the piece, and where.
fn command(
    piece: Piece,
    conversion: &Conversion,
    folder: &Path,
) -> Result<(Command, PathBuf), Failure> {
    let name = |part: &str| format!("{part}.{}", conversion.output.muxer.name());
    let (command, path) = match piece {
        Piece::Sound => {
            let path = folder.join("sound");
            (conversion.sound(&path), path)
        }
        Piece::Pictures(cut) => {
            let path = folder.join(name("pictures"));
            let slice = Slice {
                seek_us: cut.from.map(|edge| edge.seek_us),
                from_us: cut.from.map(|edge| edge.at_us),
                until_us: cut.until_us,
            };
            (conversion.slice(slice, &path), path)
        }
    };
    command.map(|command| (command, path)).ok_or_else(|| unfit("this video cannot be cut"))
}

/// How long the piece is, in seconds.
fn secs(piece: Piece, whole_secs: f64) -> f64 {
    match piece {
        Piece::Sound => whole_secs,
        Piece::Pictures(Cut { from, until_us }) => {
            let from_us = from.map_or(0, |edge| edge.at_us);
            until_us.map_or(whole_secs, |until_us| until_us as f64 / 1e6) - from_us as f64 / 1e6
        }
    }
}

/// Whatever is said of a whole video that is not as it should be is said when it is made in one.
fn check_ran(ran: &Ran) -> Result<(), Failure> {
    if ran.input_is_cut_off || ran.time_is_lost || ran.times_are_made_up {
        return Err(unfit("the input has pictures or sounds that a piece of it has not"));
    }
    Ok(())
}

/// What all pieces have to be made by to fit: the same conversion, of the same bytes, by the same
/// ffmpeg. How many threads each has is its own affair.
pub(super) fn recipe(conversion: &Conversion, facts: &Facts, version: &str) -> String {
    let mut same = Conversion { threads: None, ..conversion.clone() };
    same.output.path = PathBuf::new();
    for input in &mut same.inputs {
        input.media = Media::File(PathBuf::new());
    }
    let text = format!("{same:?} of {facts:?} by {version}");
    hex::encode(Sha256::digest(text))
}
