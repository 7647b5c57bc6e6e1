//! Tasks that a provider makes: handed over, told of in any order, asked about, not wanted.

use std::time::Duration;

use reelway::clock::Timestamp;
use reelway::job::{Job, JobState, RemoteFile, Status};
use reelway::store::{
    Asked, CancelOutcome, EventKind, HandOver, Heard, Lease, Overdue, Settled, Standing, Unwanted,
    Want, Word,
};
use reelway::task::{ErrorKind, Failure, StageStatus, TaskState};
use url::Url;

use crate::world::{MANY, RECEIVER, World, at_once};

/// After so long without a word a provider is asked.
const ASK_IN: Duration = Duration::from_secs(30);

/// How long nobody else asks.
const ASK_LEASE: Duration = Duration::from_mins(1);

impl World {
    async fn hand_over(&self, lease: &Lease, provider_id: &str) -> Settled {
        self.store.hand_over(lease, provider_id, ASK_IN).await.expect("an answer")
    }

    async fn hear(&self, word: &Word) -> Heard {
        self.store.hear(word, ASK_IN).await.expect("an answer")
    }

    async fn overdue(&self) -> Vec<Overdue> {
        self.store.overdue(MANY, ASK_LEASE).await.expect("a list")
    }

    async fn asked(&self, overdue: &Overdue, asked: Asked) {
        self.store.asked(overdue, asked).await.expect("an answer");
    }

    /// A job that the provider has under this name.
    async fn away(&self, provider_id: &str) -> Job {
        let claim = self.job().webhook(RECEIVER).running().await;
        assert_eq!(self.hand_over(&claim.lease, provider_id).await, Settled::Done);
        self.read(claim.lease.job).await
    }
}

fn word(provider_id: &str, standing: Standing) -> Word {
    Word { provider_id: provider_id.to_owned(), of: None, at: None, standing }
}

fn at(millis: i64, word: Word) -> Word {
    Word { at: Some(Timestamp::from_millis(millis)), ..word }
}

fn made(url: &str) -> Standing {
    Standing::Succeeded { outputs: vec![RemoteFile::at(Url::parse(url).expect("a URL"))] }
}

fn under_way(progress: f32) -> Standing {
    Standing::UnderWay { progress: Some(progress) }
}

fn broken() -> Standing {
    Standing::Failed { failure: Failure::new(ErrorKind::ProviderFailed, "no sound") }
}

pub(crate) async fn a_task_that_was_handed_over_holds_no_lease_and_is_in_no_queue(world: World) {
    let job = world.away("p1").await;
    assert_eq!((job.state.status(), job.tasks[0].state), (Status::Processing, TaskState::Away));
    assert_eq!(job.tasks[0].stages.as_slice()[0].status, StageStatus::Processing);
    assert!(world.claim(9, 9).await.is_empty());
    assert_eq!(world.lose_workers().await, 0, "nobody can be lost with it");
    let pressure = world.store.pressure().await.expect("an answer");
    assert_eq!((pressure.queued, pressure.processing), (0, 1));
    assert_eq!(world.read(job.id).await, job);
}

pub(crate) async fn who_lost_the_lease_hands_nothing_over(world: World) {
    let claim = world.job().running().await;
    world.lose_workers().await;
    assert_eq!(world.hand_over(&claim.lease, "p1").await, Settled::Lost);
    assert_eq!(world.hear(&word("p1", under_way(5.0))).await, Heard::Kept);
    assert_eq!(world.read(claim.lease.job).await.state.status(), Status::Queued);
}

pub(crate) async fn a_word_of_the_end_ends_the_job_as_a_worker_would(world: World) {
    let job = world.away("p1").await;
    let file = RemoteFile {
        format: Some("webm".to_owned()),
        filesize: Some(77),
        width: Some(640),
        ..RemoteFile::at(Url::parse("https://cdn.example/a.webm").expect("a URL"))
    };
    let outputs = vec![file, RemoteFile::at(Url::parse("https://cdn.example/b").expect("a URL"))];
    assert_eq!(world.hear(&word("p1", Standing::Succeeded { outputs })).await, Heard::Noted);
    let ended = world.read(job.id).await;
    let JobState::Succeeded { outputs, .. } = &ended.state else { panic!("{:?}", ended.state) };
    let urls: Vec<_> = outputs.iter().filter_map(reelway::job::File::url_elsewhere).collect();
    assert_eq!(urls, ["https://cdn.example/a.webm", "https://cdn.example/b"]);
    assert_eq!((outputs[0].filesize, outputs[0].width), (77, Some(640)));
    assert_eq!(ended.tasks[0].state, TaskState::Succeeded);
    assert!((ended.progress - 100.0).abs() < f32::EPSILON);
    let due = world.due_one().await;
    assert_eq!((due.kind, due.seq), (EventKind::JobSucceeded, 1));
    let rows = world.database.query_media_jobs().await;
    assert_eq!(rows[0].output_url.as_deref(), Some("https://cdn.example/a.webm"));
    world.pass(Duration::from_hours(1));
    assert!(world.overdue().await.is_empty(), "there is nothing more to ask");
}

pub(crate) async fn each_end_that_a_provider_tells_ends_the_job_that_way(world: World) {
    let failed = world.away("p1").await;
    world.hear(&word("p1", broken())).await;
    let failed = world.read(failed.id).await;
    assert_eq!(failed.state.failure().map(|failure| failure.message.as_str()), Some("no sound"));
    assert_eq!(failed.tasks[0].state, TaskState::Failed);
    let cancelled = world.away("p2").await;
    world.hear(&word("p2", Standing::Cancelled)).await;
    assert_eq!(world.read(cancelled.id).await.state.status(), Status::Cancelled);
    let kinds: Vec<_> = world.due(9, 9).await.into_iter().map(|due| due.kind).collect();
    assert_eq!(kinds, [EventKind::JobFailed, EventKind::JobCancelled]);
}

pub(crate) async fn a_word_that_comes_twice_or_late_changes_nothing(world: World) {
    let job = world.away("p1").await;
    assert_eq!(world.hear(&at(200, word("p1", under_way(50.0)))).await, Heard::Noted);
    assert_eq!(world.hear(&at(100, word("p1", under_way(90.0)))).await, Heard::Stale);
    let seen = world.read(job.id).await;
    assert!((seen.progress - 50.0).abs() < f32::EPSILON, "{}", seen.progress);
    world.hear(&at(300, word("p1", under_way(20.0)))).await;
    let seen = world.read(job.id).await;
    assert!((seen.progress - 50.0).abs() < f32::EPSILON, "never back: {}", seen.progress);
    assert_eq!(world.hear(&at(400, word("p1", made("https://cdn.example/a")))).await, Heard::Noted);
    let ended = world.read(job.id).await;
    for late in [made("https://cdn.example/b"), broken(), under_way(10.0), Standing::Cancelled] {
        assert_eq!(world.hear(&at(500, word("p1", late.clone()))).await, Heard::Stale, "{late:?}");
    }
    assert_eq!(world.read(job.id).await, ended);
    assert_eq!(world.log(job.id).await.len(), 1);
}

pub(crate) async fn ten_words_of_the_end_at_once_end_the_job_once(world: World) {
    let job = world.away("p1").await;
    let all = (0..10).map(|_| {
        let store = world.store.clone();
        async move { store.hear(&word("p1", made("https://cdn.example/a")), ASK_IN).await }
    });
    let heard = at_once(all).await;
    let noted = heard.into_iter().filter(|heard| matches!(heard, Ok(Heard::Noted))).count();
    assert_eq!((noted, world.log(job.id).await.len()), (1, 1));
}

pub(crate) async fn a_word_before_the_answer_counts_when_the_answer_is_there(world: World) {
    for (id, standing, status) in [
        ("p1", made("https://cdn.example/a"), Status::Succeeded),
        ("p2", broken(), Status::Failed),
        ("p3", under_way(40.0), Status::Processing),
    ] {
        let claim = world.job().running().await;
        assert_eq!(world.hear(&word(id, standing)).await, Heard::Kept);
        assert_eq!(world.hand_over(&claim.lease, id).await, Settled::Done);
        assert_eq!(world.read(claim.lease.job).await.state.status(), status, "{id}");
    }
}

pub(crate) async fn an_early_end_is_not_taken_back_by_what_came_before_it(world: World) {
    let claim = world.job().running().await;
    for early in [
        at(100, word("p1", under_way(10.0))),
        at(300, word("p1", made("https://cdn.example/a"))),
        at(200, word("p1", under_way(60.0))),
        at(400, word("p1", under_way(70.0))),
    ] {
        assert_eq!(world.hear(&early).await, Heard::Kept);
    }
    assert_eq!(world.hand_over(&claim.lease, "p1").await, Settled::Done);
    assert_eq!(world.read(claim.lease.job).await.state.status(), Status::Succeeded);
}

pub(crate) async fn a_word_and_a_hand_over_at_once_miss_each_other_never(world: World) {
    for round in 0..10 {
        let claim = world.job().running().await;
        let (id, [here, there]) = (format!("p{round}"), world.two().await);
        let (named, job) = (id.clone(), claim.lease.job);
        let over = tokio::spawn(async move { here.hand_over(&claim.lease, &named, ASK_IN).await });
        let told = word(&id, made("https://cdn.example/a"));
        let heard = tokio::spawn(async move { there.hear(&told, ASK_IN).await });
        assert_eq!(over.await.expect("no panic").expect("an answer"), Settled::Done);
        heard.await.expect("no panic").expect("an answer");
        assert_eq!(world.read(job).await.state.status(), Status::Succeeded, "round {round}");
    }
}

pub(crate) async fn no_more_early_words_are_kept_than_there_is_room_for(world: World) {
    let claim = world.job().running().await;
    let oldest = word("first", made("https://cdn.example/a"));
    world.hear(&oldest).await;
    for number in 0..1000 {
        world.pass(Duration::from_millis(1));
        world.hear(&word(&format!("x{number}"), Standing::Unproven)).await;
    }
    assert_eq!(world.hand_over(&claim.lease, "first").await, Settled::Done);
    let job = world.read(claim.lease.job).await;
    assert_eq!(job.state.status(), Status::Processing, "the oldest word has gone");
    let next = world.job().running().await;
    world.hear(&word("last", broken())).await;
    world.store.tidy(world.now().plus(Duration::from_millis(1)), world.now()).await.expect("tidy");
    assert_eq!(world.hand_over(&next.lease, "last").await, Settled::Done);
    let job = world.read(next.lease.job).await;
    assert_eq!(job.state.status(), Status::Processing, "and those that are old go");
}

pub(crate) async fn an_early_word_names_the_job_that_it_is_about(world: World) {
    let claim = world.job().running().await;
    let of = HandOver { job: claim.lease.job, seq: 0 };
    let known = || async { world.store.early_word(of).await.expect("an answer") };
    assert_eq!(known().await, None);
    world.hear(&Word { of: Some(HandOver { seq: 1, ..of }), ..word("p0", broken()) }).await;
    assert_eq!(known().await, None, "another hand-over of the same job");
    world.hear(&Word { of: Some(of), ..word("p1", under_way(5.0)) }).await;
    assert_eq!(known().await.as_deref(), Some("p1"));
    assert_eq!(world.hand_over(&claim.lease, "p1").await, Settled::Done);
    assert_eq!(known().await, None);
}

pub(crate) async fn a_job_that_a_provider_made_twice_ends_with_the_first_that_is_done(
    world: World,
) {
    let job = world.away("kept").await;
    let of = Some(HandOver { job: job.id, seq: 0 });
    assert_eq!(world.hear(&Word { of, ..word("twin", broken()) }).await, Heard::Kept);
    assert_eq!(world.read(job.id).await.state.status(), Status::Processing, "the other goes on");
    let done = Word { of, ..word("twin", made("https://cdn.example/a")) };
    assert_eq!(world.hear(&done).await, Heard::Noted);
    assert_eq!(world.read(job.id).await.state.status(), Status::Succeeded);
    let overdue = world.overdue().await;
    let told: Vec<_> = overdue.iter().map(|one| (one.provider_id.as_str(), one.unwanted)).collect();
    assert_eq!(told, [("kept", Some(Unwanted::Cancel))]);
}

pub(crate) async fn a_name_that_a_provider_gave_to_two_tasks_fails_the_second(world: World) {
    let first = world.away("p1").await;
    let claim = world.job().running().await;
    assert_eq!(world.hand_over(&claim.lease, "p1").await, Settled::Done);
    let second = world.read(claim.lease.job).await;
    let kind = second.state.failure().map(|failure| failure.kind);
    assert_eq!(kind, Some(ErrorKind::ProviderUnreadable));
    world.hear(&word("p1", made("https://cdn.example/a"))).await;
    assert_eq!(world.read(first.id).await.state.status(), Status::Succeeded);
}

pub(crate) async fn a_provider_is_asked_after_a_time_without_a_word(world: World) {
    world.away("p1").await;
    world.pass_almost(ASK_IN);
    assert!(world.overdue().await.is_empty());
    world.hear(&word("p1", under_way(10.0))).await;
    world.pass_almost(ASK_IN);
    assert!(world.overdue().await.is_empty(), "a word is a sign of life");
    world.pass(Duration::from_millis(1));
    let overdue = world.overdue().await;
    assert_eq!((overdue.len(), overdue[0].missed, overdue[0].unwanted), (1, 0, None));
    assert_eq!(overdue[0].away_for, ASK_IN + Duration::from_millis(29_999));
    assert!(world.overdue().await.is_empty(), "one asks at a time");
    world.asked(&overdue[0], Asked::MissedAgainIn(ASK_IN)).await;
    world.pass(ASK_IN);
    let overdue = world.overdue().await;
    assert_eq!(overdue[0].missed, 1);
    world.asked(&overdue[0], Asked::AgainIn(Duration::ZERO)).await;
    assert_eq!(world.overdue().await[0].missed, 0, "a miss in a row is counted");
    world.pass(ASK_LEASE);
    assert_eq!(world.overdue().await.len(), 1, "who asked was lost");
}

pub(crate) async fn no_more_is_asked_than_there_is_room_for_and_nothing_twice(world: World) {
    for number in 0..12 {
        world.away(&format!("p{number}")).await;
    }
    world.pass(ASK_IN);
    assert_eq!(world.store.overdue(2, ASK_LEASE).await.expect("a list").len(), 2);
    let all = world
        .two()
        .await
        .into_iter()
        .cycle()
        .take(8)
        .map(|store| async move { store.overdue(5, ASK_LEASE).await.expect("a list") });
    let mut ids: Vec<String> =
        at_once(all).await.into_iter().flatten().map(|one| one.provider_id).collect();
    ids.extend(world.overdue().await.into_iter().map(|one| one.provider_id));
    ids.sort();
    let taken = ids.len();
    ids.dedup();
    assert_eq!((taken, ids.len()), (10, 10));
}

pub(crate) async fn a_hint_makes_a_job_due_and_changes_nothing_else(world: World) {
    let job = world.away("p1").await;
    assert_eq!(world.hear(&word("p1", Standing::Unproven)).await, Heard::Noted);
    assert_eq!(world.read(job.id).await, job);
    assert_eq!(world.overdue().await.len(), 1);
}

pub(crate) async fn a_cancelled_job_ends_at_once_and_its_provider_is_told(world: World) {
    let job = world.away("p1").await;
    let CancelOutcome::Cancelled(cancelled) = world.cancel(job.id).await else {
        panic!("not cancelled")
    };
    assert_eq!(*cancelled, world.read(job.id).await);
    assert_eq!(cancelled.tasks[0].state, TaskState::Cancelled);
    assert_eq!(world.due_one().await.kind, EventKind::JobCancelled);
    assert_eq!(world.hear(&word("p1", made("https://cdn.example/a"))).await, Heard::Stale);
    let overdue = world.overdue().await;
    assert_eq!(overdue[0].unwanted, Some(Unwanted::Cancel));
    world.asked(&overdue[0], Asked::Done).await;
    world.pass(Duration::from_hours(1));
    assert!(world.overdue().await.is_empty());
}

pub(crate) async fn a_job_that_was_cancelled_on_its_way_to_the_provider_never_stays_there(
    world: World,
) {
    for is_deleted in [false, true] {
        let claim = world.job().running().await;
        let id = format!("p{is_deleted}");
        if is_deleted {
            world.delete(claim.lease.job).await;
        } else {
            world.cancel(claim.lease.job).await;
        }
        assert_eq!(world.hand_over(&claim.lease, &id).await, Settled::Done);
        let wanted = if is_deleted { Unwanted::Delete } else { Unwanted::Cancel };
        let overdue = world.overdue().await;
        assert_eq!(overdue.len(), 1);
        assert_eq!((overdue[0].provider_id.as_str(), overdue[0].unwanted), (&*id, Some(wanted)));
        if !is_deleted {
            let job = world.read(claim.lease.job).await;
            assert_eq!(job.state.status(), Status::Cancelled);
        }
    }
}

pub(crate) async fn a_deleted_job_is_deleted_at_its_provider_whether_it_has_ended_or_not(
    world: World,
) {
    let (away, ended) = (world.away("p1").await, world.away("p2").await);
    world.hear(&word("p2", made("https://cdn.example/a"))).await;
    for job in [&away, &ended] {
        world.delete(job.id).await;
        assert!(!world.is_there(job.id).await);
    }
    let overdue = world.overdue().await;
    let told: Vec<_> = overdue.iter().map(|one| one.unwanted).collect();
    assert_eq!(told, [Some(Unwanted::Delete); 2]);
    // A wish that has grown meanwhile is not lost with the answer to the smaller one.
    let stale = Overdue { unwanted: Some(Unwanted::Cancel), ..overdue[0].clone() };
    world.asked(&stale, Asked::Done).await;
    world.pass(ASK_LEASE);
    assert_eq!(world.overdue().await.len(), 2);
}

pub(crate) async fn a_job_that_is_tried_again_is_handed_over_anew(world: World) {
    let job = world.away("p1").await;
    world.hear(&word("p1", broken())).await;
    let again = world.retry(job.id).await;
    assert_eq!(again.seq, 1, "the next hand-over is another");
    let claim = world.take(&again).await;
    assert_eq!(world.hand_over(&claim.lease, "p2").await, Settled::Done);
    assert_eq!(world.hear(&word("p1", made("https://cdn.example/old"))).await, Heard::Stale);
    world.hear(&word("p2", made("https://cdn.example/new"))).await;
    assert_eq!(world.read(job.id).await.state.outputs().len(), 1);
    world.store.expire_outputs(world.now().plus(ASK_IN), MANY).await.expect("an answer");
    world.pass(Duration::from_hours(1));
    world.store.tidy(world.now(), world.now()).await.expect("tidy");
}

pub(crate) async fn what_a_provider_has_takes_up_its_owners_share(world: World) {
    let claim = world.job().owner("a").running().await;
    world.job().owner("a").submit().await;
    world.job().owner("b").submit().await;
    assert_eq!(world.hand_over(&claim.lease, "p1").await, Settled::Done);
    let want = || Want { heavy: 9, per_owner: Some(1), ..Want::default() };
    let claims = world.store.claim(world.worker(), want()).await.expect("claims");
    let owners: Vec<&str> = claims.iter().map(|claim| claim.job.owner.as_str()).collect();
    assert_eq!(owners, ["b"]);
    world.hear(&word("p1", made("https://cdn.example/a"))).await;
    let claims = world.store.claim(world.worker(), want()).await.expect("claims");
    let owners: Vec<&str> = claims.iter().map(|claim| claim.job.owner.as_str()).collect();
    assert_eq!(owners, ["a"]);
}
