//! Long videos are made in pieces, by whoever has room.

use std::collections::BTreeSet;
use std::time::Duration;

use reelway::id::WorkerId;
use reelway::job::{Cut, Edge, Piece, PieceFile};
use reelway::store::{
    Claim, HELPED_TRIES, LEASE, PIECE_TRIES, PieceClaim, PieceSeen, Settled, pieces_prefix,
};
use reelway::task::Next;

use crate::world::{World, at_once};

/// A sound and so many pieces of ten seconds.
fn pieces(count: i64) -> Vec<Piece> {
    let edge = |n: i64| Edge { at_us: n * 10_000_000 - 20_000, seek_us: n * 10_000_000 };
    let of = |n: i64| {
        Piece::Pictures(Cut {
            from: (n > 0).then(|| edge(n)),
            until_us: (n + 1 < count).then(|| edge(n + 1).at_us),
        })
    };
    std::iter::once(Piece::Sound).chain((0..count).map(of)).collect()
}

async fn cut(world: &World, claim: &Claim, recipe: &str, pieces: &[Piece]) -> Settled {
    world.store.cut(&claim.lease, recipe, pieces).await.expect("an answer")
}

/// A job that runs and is cut into a sound and `count` pieces.
async fn running(world: &World, count: i64) -> Claim {
    let claim = world.job().running().await;
    assert_eq!(cut(world, &claim, "one", &pieces(count)).await, Settled::Done);
    claim
}

async fn help(world: &World) -> Option<PieceClaim> {
    world.store.claim_piece(world.worker(), None).await.expect("an answer")
}

async fn own(world: &World, claim: &Claim) -> Option<PieceClaim> {
    world.store.claim_piece(claim.lease.worker, Some(&claim.lease)).await.expect("an answer")
}

async fn seen(world: &World, claim: &Claim) -> Vec<PieceSeen> {
    world.store.pieces(&claim.lease).await.expect("an answer")
}

async fn finish(world: &World, piece: &PieceClaim) -> Settled {
    world.store.finish_piece(&piece.lease, &file(piece)).await.expect("an answer")
}

async fn keep(world: &World, piece: &PieceClaim) -> Settled {
    world.store.keep_piece(&piece.lease, 40.0).await.expect("an answer")
}

async fn release(world: &World, piece: &PieceClaim) -> Settled {
    world.store.release_piece(&piece.lease).await.expect("an answer")
}

fn file(piece: &PieceClaim) -> PieceFile {
    let key = piece.key("pictures.mp4");
    PieceFile { key, bytes: 1000, pictures: 250, first_us: 10_000_000, last_us: 19_960_000 }
}

pub(crate) async fn pieces_are_taken_in_their_order_and_each_once(world: World) {
    let claim = running(&world, 3).await;
    let mut taken = Vec::new();
    while let Some(piece) = help(&world).await {
        assert_eq!(piece.job, world.read(claim.lease.job).await);
        assert_eq!((piece.recipe.as_str(), piece.lease.task), ("one", claim.lease.task));
        taken.push(piece);
    }
    let what: Vec<Piece> = taken.iter().map(|piece| piece.piece).collect();
    assert_eq!(what, pieces(3));
    assert_eq!(own(&world, &claim).await, None);
    let keys: BTreeSet<String> = taken.iter().map(|piece| piece.key("a")).collect();
    assert_eq!(keys.len(), 4, "each has a place of its own");
    assert_eq!(keep(&world, &taken[1]).await, Settled::Done);
    assert_eq!(finish(&world, &taken[0]).await, Settled::Done);
    let seen = seen(&world, &claim).await;
    assert_eq!(seen.iter().map(|seen| seen.percent).collect::<Vec<_>>(), [100.0, 40.0, 0.0, 0.0]);
    assert_eq!(seen[0].made, Some(file(&taken[0])));
    assert_eq!((seen[0].worker, seen[1].worker), (None, Some(taken[1].lease.worker)));
    assert!(world.read(claim.lease.job).await.progress < 1.0, "that is for the task to tell");
}

pub(crate) async fn many_who_help_at_once_get_other_pieces(world: World) {
    running(&world, 7).await;
    let workers: Vec<WorkerId> = (0..8).map(|_| world.worker()).collect();
    let taken = at_once(workers.into_iter().map(|worker| {
        let store = world.store.clone();
        async move { store.claim_piece(worker, None).await.expect("an answer") }
    }))
    .await;
    let places: BTreeSet<u32> = taken.iter().flatten().map(|piece| piece.lease.position).collect();
    let got = taken.iter().flatten().count();
    assert_eq!(places.len(), got, "nobody has another's");
    assert!(got > 0);
}

pub(crate) async fn a_piece_whose_maker_is_silent_is_made_by_another(world: World) {
    let claim = running(&world, 1).await;
    let lost = help(&world).await.expect("a piece");
    world.pass_almost(LEASE);
    assert_eq!(help(&world).await.expect("the next").lease.position, 1);
    assert_eq!(help(&world).await, None);
    world.pass(LEASE);
    let beaten: Vec<_> = seen(&world, &claim).await.iter().map(|seen| seen.worker).collect();
    assert_eq!(beaten, [None, None], "a lease that has run out is nobody's");
    // The task's own lease has run out too, but nobody has found it yet.
    let again = own(&world, &claim).await.expect("the same piece");
    assert_eq!((again.lease.position, again.lease.tries), (0, 2));
    assert_eq!(keep(&world, &lost).await, Settled::Lost);
    assert_eq!(finish(&world, &lost).await, Settled::Lost);
    assert_eq!(release(&world, &lost).await, Settled::Lost);
    assert_eq!(finish(&world, &again).await, Settled::Done);
    assert_eq!(finish(&world, &again).await, Settled::Lost, "once");
    assert_ne!(lost.key("a"), again.key("a"));
}

pub(crate) async fn a_piece_that_keeps_failing_is_left_to_the_task_and_then_given_up(world: World) {
    let claim = running(&world, 1).await;
    let sound = help(&world).await.expect("the sound");
    assert_eq!(finish(&world, &sound).await, Settled::Done);
    for _ in 0..HELPED_TRIES {
        let piece = help(&world).await.expect("a piece");
        assert_eq!(release(&world, &piece).await, Settled::Done);
    }
    assert_eq!(help(&world).await, None, "it is left to the task");
    for _ in HELPED_TRIES..PIECE_TRIES {
        assert!(!seen(&world, &claim).await[1].is_given_up());
        let piece = own(&world, &claim).await.expect("a piece");
        assert_eq!(release(&world, &piece).await, Settled::Done);
    }
    assert_eq!(own(&world, &claim).await, None);
    assert!(seen(&world, &claim).await[1].is_given_up());
}

pub(crate) async fn what_an_earlier_attempt_has_made_of_the_same_pieces_counts(world: World) {
    let claim = running(&world, 2).await;
    let first = help(&world).await.expect("a piece");
    let second = help(&world).await.expect("a piece");
    assert_eq!(finish(&world, &first).await, Settled::Done);
    assert_eq!(world.fail(&claim.lease, Next::RetryIn(Duration::ZERO)).await, Settled::Done);
    assert_eq!(help(&world).await, None, "nobody has the task");
    assert_eq!(keep(&world, &second).await, Settled::Lost);
    let again = world.take(&claim.job).await;
    assert_eq!(help(&world).await, None, "nobody has cut it yet");
    assert_eq!(keep(&world, &second).await, Settled::Lost, "its attempt is over");
    assert!(seen(&world, &again).await.is_empty());
    assert_eq!(cut(&world, &claim, "one", &pieces(2)).await, Settled::Lost);
    assert_eq!(cut(&world, &again, "one", &pieces(5)).await, Settled::Done);
    let kept = seen(&world, &again).await;
    assert_eq!(kept.iter().map(|seen| seen.piece).collect::<Vec<_>>(), pieces(2));
    assert_eq!(kept[0].made, Some(file(&first)));
    assert_eq!(finish(&world, &second).await, Settled::Lost, "it was for another attempt");
    assert_eq!(help(&world).await.expect("a piece").lease.position, 1);

    assert_eq!(cut(&world, &again, "another", &pieces(2)).await, Settled::Done);
    assert!(seen(&world, &again).await.iter().all(|seen| seen.made.is_none()));
    assert_eq!(cut(&world, &again, "another", &[]).await, Settled::Done);
    assert_eq!(seen(&world, &again).await.len(), 3, "they are as good as any");
    assert_eq!(cut(&world, &again, "", &[]).await, Settled::Done);
    assert!(seen(&world, &again).await.is_empty(), "made in one");
}

pub(crate) async fn nobody_makes_pieces_of_a_job_that_is_unwanted(world: World) {
    let claim = running(&world, 2).await;
    let piece = help(&world).await.expect("a piece");
    world.cancel(claim.lease.job).await;
    assert_eq!(help(&world).await, None);
    assert_eq!(own(&world, &claim).await, None);
    assert_eq!(keep(&world, &piece).await, Settled::Lost);
    assert_eq!(world.end_cancelled(&claim.lease).await, Settled::Done);
    assert_eq!(finish(&world, &piece).await, Settled::Lost);
    let key = piece.key("pictures.mp4");
    assert!(!world.dooms(&key).await, "somebody may still write there");
    world.pass(Duration::from_hours(1));
    assert!(world.dooms(&key).await);
}

pub(crate) async fn pieces_are_gone_with_the_end_of_their_job(world: World) {
    let claim = running(&world, 1).await;
    while let Some(piece) = own(&world, &claim).await {
        assert_eq!(finish(&world, &piece).await, Settled::Done);
    }
    assert!(!world.dooms(&pieces_prefix(&claim.job)).await);
    assert_eq!(world.finish(&claim.lease).await, Settled::Done);
    assert!(seen(&world, &claim).await.is_empty());
    assert!(world.dooms(&pieces_prefix(&claim.job)).await);

    let waits = running(&world, 1).await;
    assert_eq!(world.hand_back(&waits.lease).await, Settled::Done);
    assert!(!world.dooms(&pieces_prefix(&waits.job)).await, "the next attempt wants them");
    world.cancel(waits.lease.job).await;
    assert!(world.dooms(&pieces_prefix(&waits.job)).await);
}
