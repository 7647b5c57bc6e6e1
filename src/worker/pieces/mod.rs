//! One long video on many workers.
//!
//! Whoever holds the task cuts the video, makes pieces like everybody who has room, and puts them
//! together when all are there. Those who help hold no task and change no job: whatever happens to
//! them, the piece is made by another, in the end by the holder. Whatever happens to the holder,
//! the next one finds the pieces that are there. And where pieces do not come to a whole, the video
//! is made in one, as if nobody had cut it.

mod fit;
mod make;

use std::time::Duration;

use ffmpeg::{Conversion, Facts, Grid, Stitch};
use tokio::time::sleep;
use tracing::info_span;

use super::engine::while_it_lasts;
use super::{Ingredients, Made, Room, WorkError, Worker, ending, notes, step};
use crate::claim::{Held, PieceProgress, persist};
use crate::id::WorkerId;
use crate::job::plan::{self, Known, Plan};
use crate::job::{Options, Piece, PieceFile};
use crate::metrics;
use crate::store::{Claim, PieceClaim, PieceSeen, Settled, StoreResult, WorkerSeen};
use crate::task::{ErrorKind, Failure};
use make::{Film, recipe};

/// How often the pieces of others are looked at while they are waited for, at least: a hint comes
/// sooner.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// When long videos are cut, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cutting {
    /// When they are cut.
    pub when: When,
    /// How long pieces should be, in seconds: the last are half as long.
    pub wanted_secs: f64,
}

/// When long videos are cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// When another process has a free slot: one machine alone is quicker with whole videos.
    #[default]
    Helped,
    /// Whenever they are long enough.
    Always,
    /// Never.
    Never,
}

/// A video that is made in pieces.
struct Cut<'a> {
    claim: &'a Claim,
    held: &'a Held,
    from: &'a Ingredients<'a>,
    plan: Plan,
    conversion: Conversion,
    grid: Grid,
    secs: f64,
}

impl Worker {
    /// A video in pieces, where that is quicker; nothing where it has to be made in one.
    ///
    /// # Errors
    ///
    /// The work was stopped, or its folder cannot be used.
    pub(super) async fn make_in_pieces(
        &self,
        claim: &Claim,
        held: &Held,
        from: &Ingredients<'_>,
        room: &Room,
    ) -> Result<Option<Vec<Made>>, WorkError> {
        if !matches!(claim.job.spec.options, Options::Video(_)) {
            return Ok(None);
        }
        let Some(cut) = Box::pin(self.cut(claim, held, from, room)).await? else {
            if claim.lease.attempt > 1 {
                // An earlier attempt may have cut it: nobody shall go on with that.
                self.give_up(claim).await;
            }
            return Ok(None);
        };
        let begun = self.clock.now();
        match step(info_span!("pieces"), Box::pin(self.make_all(&cut, room))).await {
            Ok(made) => {
                let took = self.clock.now().since(begun);
                ending::count_speed(claim.job.spec.options.kind(), &made, took);
                Ok(Some(made))
            }
            Err(WorkError::Stopped) => Err(WorkError::Stopped),
            Err(WorkError::Failed(failure)) => {
                tracing::warn!(error = %failure, "the pieces came to nothing; it is made in one");
                metrics::FALLBACKS.add(1, &[]);
                held.sum_up("the pieces came to nothing: made in one");
                held.note(failure.to_string());
                self.give_up(claim).await;
                Ok(None)
            }
        }
    }

    /// How many others would help with a video that is as `facts` say; nobody where it shall not be
    /// cut at all.
    pub(super) async fn helpers(&self, facts: &Facts) -> Option<u32> {
        let is_long = facts.duration.is_some_and(|secs| secs >= 2.0 * self.cutting.wanted_secs);
        if !is_long || self.cutting.when == When::Never {
            return None;
        }
        match self.store.workers().await {
            Ok(seen) => {
                let free = free_slots(&seen, self.id);
                (free > 0 || self.cutting.when == When::Always).then_some(free)
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "nobody can be asked for help with a long video");
                None
            }
        }
    }

    /// Cuts the video, where that is worth it.
    async fn cut<'a>(
        &self,
        claim: &'a Claim,
        held: &'a Held,
        from: &'a Ingredients<'a>,
        room: &Room,
    ) -> Result<Option<Cut<'a>>, WorkError> {
        if self.cutting.when == When::Never || from.subtitles.is_some() {
            return Ok(None);
        }
        let options = &claim.job.spec.options;
        let plan = self.engine.plan(options, from, &Known::default(), room.path())?;
        let Some((conversion, secs)) = plan.cuttable.clone().zip(from.facts.duration) else {
            return Ok(None);
        };
        let cut = Cut { claim, held, from, plan, conversion, grid: Grid::default(), secs };
        let recipe = recipe(&cut.conversion, from.facts, self.engine.tools().version());
        if claim.lease.attempt > 1 && self.goes_on(claim, &recipe).await {
            let Some(grid) = self.grid(&cut, Vec::new()).await? else { return Ok(None) };
            return Ok(Some(Cut { grid, ..cut }));
        }
        let Some(helpers) = self.helpers(from.facts).await else { return Ok(None) };
        let wanted_secs = self.cutting.wanted_secs;
        let moments = plan::moments(secs, wanted_secs, helpers + 1);
        if moments.is_empty() {
            return Ok(None);
        }
        let Some(grid) = self.grid(&cut, moments).await? else { return Ok(None) };
        let cut = Cut { grid, ..cut };
        let has_sound = cut.conversion.output.audio.is_some();
        let pieces = plan::pieces(&cut.grid, secs, wanted_secs, has_sound);
        if pieces.is_empty() {
            held.sum_up("made in one: there are too few pictures that it can be begun at");
            return Ok(None);
        }
        match self.store.cut(&claim.lease, &recipe, &pieces).await {
            Ok(Settled::Done) => {
                tracing::info!(pieces = pieces.len(), helpers, "a long video is made in pieces");
                Ok(Some(cut))
            }
            Ok(Settled::Lost) => Ok(None),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "a long video could not be cut; it is made in one");
                Ok(None)
            }
        }
    }

    /// Whether an earlier attempt has cut the same video in the same way: then this one goes on
    /// with its pieces, whoever is there to help now.
    async fn goes_on(&self, claim: &Claim, recipe: &str) -> bool {
        let known = async {
            match self.store.cut(&claim.lease, recipe, &[]).await? {
                Settled::Done => self.store.pieces(&claim.lease).await,
                Settled::Lost => Ok(Vec::new()),
            }
        };
        match known.await {
            Ok(known) => {
                let made = known.iter().filter(|piece| piece.made.is_some()).count();
                if !known.is_empty() {
                    tracing::info!(pieces = known.len(), made, "a long video is gone on with");
                }
                !known.is_empty()
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "what was made of a long video cannot be looked at");
                false
            }
        }
    }

    /// Where the video can be begun at, near these moments; nothing where that cannot be told.
    async fn grid(&self, cut: &Cut<'_>, moments: Vec<f64>) -> Result<Option<Grid>, WorkError> {
        let (Some(reading), Some(video)) = (cut.conversion.inputs.first(), cut.from.facts.video())
        else {
            return Ok(None);
        };
        let tools = self.engine.tools();
        let look = |stop| async move {
            let (media, demuxer) = (&reading.media, reading.demuxer);
            Ok(tools.grid(media, demuxer, video.index, &moments, &stop).await?)
        };
        match while_it_lasts(cut.from.input, cut.held.stop(), look).await {
            Ok(grid) => Ok(Some(grid)),
            Err(WorkError::Stopped) => Err(WorkError::Stopped),
            Err(WorkError::Failed(failure)) => {
                // What is wrong with it is said when it is made in one.
                tracing::warn!(error = %failure, "a long video cannot be looked at; it is made in one");
                Ok(None)
            }
        }
    }

    async fn give_up(&self, claim: &Claim) {
        let cut = || self.store.cut(&claim.lease, "", &[]);
        if let Err(error) = persist(cut).await {
            // Whoever helps on makes pieces that nobody needs, and stops with the end of the job.
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "helpers could not be told that there is nothing to do");
        }
    }

    /// Makes pieces as long as there are any, waits for those of others, and puts all together.
    async fn make_all(&self, cut: &Cut<'_>, room: &Room) -> Result<Vec<Made>, WorkError> {
        let mut changes = self.store.hints().changes();
        let mut own = 0;
        let pieces = loop {
            if cut.held.stop().is_cancelled() {
                return Err(WorkError::Stopped);
            }
            if let Some(piece) = told(self.store.claim_piece(self.id, Some(&cut.claim.lease)).await)
            {
                own += usize::from(Box::pin(self.make_own(cut, &piece)).await);
                continue;
            }
            let seen = told(self.look(cut).await).unwrap_or_default();
            if !seen.is_empty() && seen.iter().all(|piece| piece.made.is_some()) {
                break seen;
            }
            if seen.iter().any(PieceSeen::is_given_up) {
                return Err(unfit("a piece could not be made").into());
            }
            tokio::select! {
                () = cut.held.stop().cancelled() => {}
                () = sleep(LOOK_EVERY) => {}
                _ = changes.recv() => {}
            }
        };
        let helped = pieces.len().saturating_sub(own);
        cut.held.sum_up(&format!("made in {} pieces, {helped} of them elsewhere", pieces.len()));
        if let Some(ways) = cut.plan.ways {
            cut.held.sum_up(&ways.to_string());
        }
        Box::pin(self.put_together(cut, &pieces, room)).await
    }

    /// How the pieces stand, which is told on.
    async fn look(&self, cut: &Cut<'_>) -> StoreResult<Option<Vec<PieceSeen>>> {
        let seen = self.store.pieces(&cut.claim.lease).await?;
        let sum: f32 = seen.iter().map(|piece| piece.percent).sum();
        cut.held.advance(sum / seen.len().max(1) as f32);
        Ok(Some(seen))
    }

    /// Makes one of the pieces here; whether it was made.
    async fn make_own(&self, cut: &Cut<'_>, piece: &PieceClaim) -> bool {
        let looking = async {
            loop {
                sleep(LOOK_EVERY).await;
                told(self.look(cut).await);
            }
        };
        let progress = PieceProgress::default();
        let make = |stop| {
            let film = Film {
                from: cut.from,
                conversion: &cut.conversion,
                memory_bytes: cut.plan.memory.bytes(),
                secs: cut.secs,
            };
            let make = self.make_piece(piece, film, &progress, stop);
            Box::pin(make)
        };
        tokio::select! {
            is_made = self.spend_piece(piece, &progress, cut.held.stop(), make) => is_made,
            () = looking => false,
        }
    }

    /// Makes the file of its pieces.
    async fn put_together(
        &self,
        cut: &Cut<'_>,
        pieces: &[PieceSeen],
        room: &Room,
    ) -> Result<Vec<Made>, WorkError> {
        let stop = cut.held.stop();
        let files: Vec<(Piece, &PieceFile)> =
            pieces.iter().filter_map(|seen| Some((seen.piece, seen.made.as_ref()?))).collect();
        fit::check(&files, cut.from.facts)?;
        let (mut pictures, mut sound) = (Vec::new(), None);
        for (number, (piece, file)) in files.iter().enumerate() {
            let name = file.key.rsplit('/').next().unwrap_or_default();
            let path = room.path().join(format!("{number}-{name}"));
            let fetching = self.fetch_piece(file, &path);
            stop.run_until_cancelled(fetching).await.unwrap_or(Err(WorkError::Stopped))?;
            match piece {
                Piece::Sound => sound = Some(path),
                Piece::Pictures(_) => pictures.push((path, file.first_us)),
            }
        }
        let output = cut.conversion.output.clone();
        let stitch = Stitch { pictures, sound, start_us: cut.grid.start_us, output };
        tokio::fs::write(room.path().join(Stitch::LIST), stitch.list()).await?;
        let command = stitch.command(room.path());
        cut.held.note(notes::command(&command, room.path()));
        let ran = self.engine.tools().run(&command, |_| {}, stop).await?;
        let made = self.engine.checked(&cut.plan, &ran, None, stop).await?;
        let main = made.first().map(|main| &main.facts);
        let count: u64 = files.iter().map(|(_, file)| file.pictures).sum();
        let kept = main.and_then(|main| main.video()?.frames);
        if kept.is_some_and(|kept| kept != count) {
            return Err(unfit("pictures were lost when the pieces were put together").into());
        }
        if cut.plan.is_off(&ran, cut.from.facts, main) {
            return Err(unfit("what was copied is not as it was").into());
        }
        Ok(made)
    }
}

/// What a store answered; where it did not, that is said and nothing is known. The heart beats for
/// the task: it says when that is lost.
fn told<T>(answer: StoreResult<Option<T>>) -> Option<T> {
    answer.unwrap_or_else(|error| {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, "the pieces of a long video could not be looked at");
        None
    })
}

fn unfit(why: &str) -> Failure {
    Failure::new(ErrorKind::InternalError, why)
}

/// The heavy slots of other processes that nobody needs, as far as they have told.
fn free_slots(seen: &[WorkerSeen], own: WorkerId) -> u32 {
    seen.iter()
        .filter(|seen| seen.is_there && seen.report.id != own)
        .map(|seen| seen.report.heavy_slots.saturating_sub(seen.running))
        .fold(0, u32::saturating_add)
}
