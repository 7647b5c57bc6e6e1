//! A request that the client has named is done once.

use std::time::Duration;

use reelway::clock::Clock as _;
use reelway::job::Job;
use reelway::store::{Idempotency, Submission, Submitted};

use crate::fixture::together;
use crate::world::{OURS, World, at_once};

/// A request called `key` for `job`, that is answered with the job's id.
fn named(key: &str, body: &str, job: Job) -> Submission {
    let response = job.id.to_string();
    let (key, body_hash) = (key.to_owned(), body.to_owned());
    let idempotency = Idempotency { owner: job.owner.clone(), key, body_hash, response };
    Submission { idempotency: Some(idempotency), ..together([job]) }
}

async fn submit(world: &World, submission: Submission) -> Submitted {
    world.store.submit(submission).await.expect("an answer")
}

pub(crate) async fn the_same_request_is_done_once_and_answered_alike(world: World) {
    let (first, second) = (world.job().build(), world.job().build());
    let answer = first.id.to_string();
    assert_eq!(submit(&world, named("k", "body", first)).await, Submitted::Accepted);
    for _ in 0..2 {
        let replayed = submit(&world, named("k", "body", second.clone())).await;
        assert_eq!(replayed, Submitted::Replayed(answer.clone()));
    }
    assert_eq!(world.count().await, 1);
    assert!(!world.is_there(second.id).await);
}

pub(crate) async fn a_key_used_with_another_body_is_a_conflict_and_changes_nothing(world: World) {
    let (first, second) = (world.job().build(), world.job().build());
    let answer = first.id.to_string();
    assert_eq!(submit(&world, named("k", "body", first.clone())).await, Submitted::Accepted);
    assert_eq!(submit(&world, named("k", "other", second)).await, Submitted::Conflict);
    assert_eq!(world.count().await, 1);
    let again = submit(&world, named("k", "body", first)).await;
    assert_eq!(again, Submitted::Replayed(answer), "the first answer stays");
}

pub(crate) async fn other_keys_and_no_key_are_other_requests(world: World) {
    for key in ["k", "K", "k ", "ключ"] {
        let submitted = submit(&world, named(key, "body", world.job().build())).await;
        assert_eq!(submitted, Submitted::Accepted, "{key:?}");
    }
    for _ in 0..2 {
        let submitted = submit(&world, together([world.job().build()])).await;
        assert_eq!(submitted, Submitted::Accepted);
    }
    assert_eq!(world.count().await, 6);
}

pub(crate) async fn each_owner_has_keys_of_its_own(world: World) {
    let of = |owner: &str| world.job().owner(owner).build();
    let (ours, theirs, nobodys) = (of("a"), of("b"), of(""));
    let answers = [&ours, &theirs, &nobodys].map(|job| job.id.to_string());
    for (job, body) in [(ours, "body"), (theirs, "body"), (nobodys, "other")] {
        assert_eq!(submit(&world, named("k", body, job)).await, Submitted::Accepted);
    }
    for ((owner, body), answer) in [("a", "body"), ("b", "body"), ("", "other")].iter().zip(answers)
    {
        let again = submit(&world, named("k", body, of(owner))).await;
        assert_eq!(again, Submitted::Replayed(answer), "{owner:?}");
    }
    assert_eq!(submit(&world, named("k", "other", of("a"))).await, Submitted::Conflict);
    assert_eq!(world.count().await, 3);
}

pub(crate) async fn a_known_key_is_answered_although_the_queue_is_full(world: World) {
    let job = world.job().build();
    let answer = job.id.to_string();
    assert_eq!(submit(&world, named("k", "body", job.clone())).await, Submitted::Accepted);
    let full = |submission| Submission { max_queued: 1, ..submission };
    let again = submit(&world, full(named("k", "body", job.clone()))).await;
    assert_eq!(again, Submitted::Replayed(answer));
    assert_eq!(submit(&world, full(named("k", "other", job.clone()))).await, Submitted::Conflict);
    assert_eq!(submit(&world, full(named("new", "body", job))).await, Submitted::QueueFull);
}

pub(crate) async fn a_refused_request_does_not_use_its_key_up(world: World) {
    let first = world.job().submit().await;
    let full = Submission { max_queued: 1, ..named("k", "body", world.job().build()) };
    assert_eq!(submit(&world, full).await, Submitted::QueueFull);
    let failed = world.store.submit(named("k", "body", first)).await;
    assert!(failed.is_err(), "a job with the same id: {failed:?}");
    let again = submit(&world, named("k", "another", world.job().build())).await;
    assert_eq!(again, Submitted::Accepted);
}

pub(crate) async fn a_hundred_requests_at_once_with_one_key_make_one_job(world: World) {
    let stores = world.two().await;
    let answers = at_once((0..100).map(|n| {
        let store = stores[n % 2].clone();
        let submission = named("k", "body", world.job().build());
        async move { store.submit(submission).await.expect("an answer") }
    }))
    .await;
    assert_eq!(world.count().await, 1);
    let filter = reelway::store::JobFilter { limit: 1, ..Default::default() };
    let page = world.store.jobs(OURS, &filter).await.expect("a page");
    let answer = Submitted::Replayed(page.jobs[0].id.to_string());
    let accepted = answers.iter().filter(|answer| **answer == Submitted::Accepted).count();
    assert_eq!(accepted, 1);
    assert_eq!(answers.iter().filter(|other| **other == answer).count(), 99);
}

pub(crate) async fn two_bodies_at_once_with_one_key_make_one_job(world: World) {
    let stores = world.two().await;
    for round in 0..10 {
        let key = format!("k{round}");
        let mut answers = at_once(["one", "other"].iter().zip(&stores).map(|(body, store)| {
            let store = store.clone();
            let submission = named(&key, body, world.job().build());
            async move { store.submit(submission).await.expect("an answer") }
        }))
        .await;
        answers.sort_by_key(|answer| *answer != Submitted::Accepted);
        assert_eq!(answers, [Submitted::Accepted, Submitted::Conflict]);
    }
    assert_eq!(world.count().await, 10);
}

pub(crate) async fn a_key_that_was_tidied_away_can_be_used_again(world: World) {
    let submitted = submit(&world, named("old", "body", world.job().build())).await;
    assert_eq!(submitted, Submitted::Accepted);
    world.pass(Duration::from_hours(1));
    let keys_before = world.clock.now();
    let job = world.job().build();
    let answer = job.id.to_string();
    assert_eq!(submit(&world, named("young", "body", job)).await, Submitted::Accepted);
    let gone = world.store.tidy(keys_before, keys_before).await.expect("an answer");
    assert_eq!(gone, 1);
    let again = submit(&world, named("old", "other", world.job().build())).await;
    assert_eq!(again, Submitted::Accepted);
    let kept = submit(&world, named("young", "body", world.job().build())).await;
    assert_eq!(kept, Submitted::Replayed(answer));
}
