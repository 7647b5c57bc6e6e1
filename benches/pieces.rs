//! How many workers a long video keeps at work: the store's own verbs, with the making of a piece
//! put in by a pause.
//!
//! `cargo bench --bench pieces` prints one table. The video is one of four hours, cut as a server
//! would cut it for so many; what a second of it takes is the same in all pieces but for a fifth
//! more or less, and much shorter than in earnest (with 64 workers that encode as fast as it plays,
//! 28 times), so that what the store costs shows as much more. `REELWAY_TEST_POSTGRES` names a server that may be written to.

#![expect(clippy::expect_used, reason = "a bench that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "the table is the result")]

mod place;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use reelway::clock::{Clock as _, SystemClock};
use reelway::id::{WorkerId, fresh};
use reelway::job::plan::{moments, pieces};
use reelway::job::{Piece, PieceFile};
use reelway::store::sql::SqlStore;
use reelway::store::{Claim, PieceClaim, Settled, Store, Want};

use place::{Databases, Place, submit};

/// How many make pieces.
const WORKERS: [u32; 5] = [2, 4, 16, 32, 64];

/// How long the video is.
const FILM_SECS: f64 = 4.0 * 3600.0;

/// How long pieces should be, as a server has it when nothing is said.
const PIECE_SECS: f64 = 30.0;

/// How long all of it takes at best: everybody is at work all the time.
const IDEAL: Duration = Duration::from_secs(8);

/// What the sound takes of the whole: AAC against 1080p by x264 `medium`.
const SOUND_SHARE: f64 = 0.014;

/// Which part of the ideal is promised.
const AT_LEAST: f64 = 0.9;

#[tokio::main]
async fn main() {
    println!("a film of {:.0} hours in pieces, by the store's verbs", FILM_SECS / 3600.0);
    println!("| database | workers | pieces | of the ideal | target |");
    println!("|---|---|---|---|---|");
    for kind in Databases::all() {
        for workers in WORKERS {
            let place = Place::make(kind).await;
            let (count, share) = make(&place, workers).await;
            let verdict = if share >= AT_LEAST { "met" } else { "MISSED" };
            println!(
                "| {kind:?} | {workers} | {count} | {share:.3} | ≥ {AT_LEAST:.2}, {verdict} |"
            );
        }
    }
}

/// Lets so many make a film; returns in how many pieces, and which part of the ideal that was.
async fn make(place: &Place, workers: u32) -> (usize, f64) {
    let store = place.open().await;
    submit(&*store, 1).await;
    let holder: WorkerId = fresh(SystemClock.now());
    let claims = store.claim(holder, Want { heavy: 1, ..Want::default() }).await;
    let claim = claims.expect("an answer").pop().expect("the task");
    let at = moments(FILM_SECS, PIECE_SECS, workers);
    let grid = ffmpeg::Grid {
        keyframes_us: at.iter().map(|secs| (secs * 1e6) as i64).collect(),
        ..ffmpeg::Grid::default()
    };
    let pieces = pieces(&grid, FILM_SECS, PIECE_SECS, true);
    let costs = costs(&pieces, IDEAL * workers);
    let sum: Duration = costs.iter().sum();

    let begun = Instant::now();
    assert_eq!(store.cut(&claim.lease, "bench", &pieces).await.expect("cut"), Settled::Done);
    let helpers = (1..workers).map(|_| work(store.clone(), None, &costs));
    join_all(helpers.chain([work(store.clone(), Some(&claim), &costs)])).await;
    let took = begun.elapsed();
    let seen = store.pieces(&claim.lease).await.expect("pieces");
    assert!(seen.iter().all(|piece| piece.made.is_some()), "all are made");
    store.close().await;
    (pieces.len(), sum.as_secs_f64() / f64::from(workers) / took.as_secs_f64())
}

/// What each piece takes, of `all` together.
fn costs(pieces: &[Piece], all: Duration) -> Vec<Duration> {
    // From 0.8 to 1.2 and back, evenly apart: the same in every run.
    let weights: Vec<f64> = pieces
        .iter()
        .enumerate()
        .map(|(n, piece)| secs(piece) * (0.8 + 0.4 * (n as f64 * 0.618_034).fract()))
        .collect();
    let sum: f64 = weights.iter().sum();
    let rest = all.mul_f64(1.0 - SOUND_SHARE);
    let cost = |(piece, weight): (&Piece, &f64)| match piece {
        Piece::Sound => all.mul_f64(SOUND_SHARE),
        Piece::Pictures(_) => rest.mul_f64(weight / sum),
    };
    pieces.iter().zip(&weights).map(cost).collect()
}

/// How much of the film a piece is.
fn secs(piece: &Piece) -> f64 {
    let Piece::Pictures(cut) = piece else { return 0.0 };
    let from_us = cut.from.map_or(0, |edge| edge.at_us);
    let until_us = cut.until_us.unwrap_or((FILM_SECS * 1e6) as i64);
    (until_us - from_us) as f64 / 1e6
}

/// Makes pieces until there are none: of its own task, or to help.
async fn work(store: Arc<SqlStore>, own: Option<&Claim>, costs: &[Duration]) {
    let worker = own.map_or_else(|| fresh(SystemClock.now()), |claim| claim.lease.worker);
    while let Some(piece) =
        store.claim_piece(worker, own.map(|claim| &claim.lease)).await.expect("an answer")
    {
        tokio::time::sleep(costs[piece.lease.position as usize]).await;
        let made = store.finish_piece(&piece.lease, &file(&piece)).await;
        assert_eq!(made.expect("an answer"), Settled::Done);
    }
}

fn file(piece: &PieceClaim) -> PieceFile {
    let pictures = u64::from(piece.piece != Piece::Sound);
    PieceFile { key: piece.key("a"), bytes: 1, pictures, first_us: 0, last_us: 0 }
}
