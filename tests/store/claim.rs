//! Tasks are taken on leases.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reelway::id::{JobId, WorkerId, fresh};
use reelway::job::{JobState, Kind};
use reelway::store::{Claim, Settled, Store, Want};
use reelway::task::{Lane, Next, Stages, TaskState};

use crate::fixture::{broken, together};
use crate::world::{NOW, World, at_once};

fn jobs(claims: &[Claim]) -> Vec<JobId> {
    claims.iter().map(|claim| claim.lease.job).collect()
}

pub(crate) async fn a_claim_is_the_job_as_it_is_from_now_on(world: World) {
    let sent = world.job().submit().await;
    world.pass(Duration::from_secs(7));
    let worker = world.worker();
    let mut claims = world
        .store
        .claim(worker, Want { heavy: 1, light: 1, ..Want::default() })
        .await
        .expect("claims");
    let claim = claims.pop().expect("a claim");
    assert!(claims.is_empty());
    assert_eq!((claim.lease.task, claim.lease.job), (sent.tasks[0].id, sent.id));
    assert_eq!((claim.lease.worker, claim.lease.attempt), (worker, 1));
    assert_eq!((claim.lane, claim.tries), (Lane::Heavy, 1));
    assert_eq!(claim.job.state, JobState::Processing { started_at: world.now() });
    assert_eq!(claim.job.tasks[0].state, TaskState::Processing);
    assert_eq!((claim.job.tasks[0].attempt, claim.job.tasks[0].tries), (1, 1));
    assert_eq!(claim.job.updated_at, world.now());
    assert_eq!(claim.job, world.read(sent.id).await);
}

pub(crate) async fn tasks_are_taken_in_the_order_in_which_they_came(world: World) {
    let mut sent = Vec::new();
    for _ in 0..5 {
        sent.push(world.job().submit().await.id);
    }
    assert_eq!(jobs(&world.claim(2, 0).await), sent[..2]);
    assert_eq!(jobs(&world.claim(1, 0).await), sent[2..3]);
    assert_eq!(jobs(&world.claim(9, 0).await), sent[3..]);
    assert!(world.claim(9, 0).await.is_empty());
}

pub(crate) async fn jobs_sent_together_are_all_taken(world: World) {
    let sent: Vec<_> = (0..12).map(|_| world.job().build()).collect();
    world.store.submit(together(sent.clone())).await.expect("an answer");
    let sent: Vec<_> = sent.iter().map(|job| job.id).collect();
    assert_eq!(jobs(&world.claim(12, 0).await), sent);
}

pub(crate) async fn each_lane_is_a_queue_of_its_own(world: World) {
    let video = world.job().submit().await;
    let image = world.job().kind(Kind::Image).submit().await;
    let audio = world.job().kind(Kind::Audio).submit().await;
    let still = world.job().kind(Kind::Image).submit().await;
    let light = world.claim(0, 1).await;
    assert_eq!(jobs(&light), [image.id]);
    assert_eq!(light[0].lane, Lane::Light);
    let mut both = jobs(&world.claim(1, 5).await);
    both.sort_unstable();
    assert_eq!(both, [video.id, still.id]);
    assert!(world.claim(0, 5).await.is_empty());
    assert_eq!(jobs(&world.claim(5, 0).await), [audio.id]);
}

pub(crate) async fn who_has_no_room_gets_nothing(world: World) {
    world.job().submit().await;
    assert!(world.claim(0, 0).await.is_empty());
    assert_eq!(world.claim(1, 0).await.len(), 1);
}

pub(crate) async fn a_task_is_not_taken_before_its_time(world: World) {
    let wait = Duration::from_mins(1);
    let job = world.job().failed_once(wait).await;
    let due = world.now().plus(wait);
    assert_eq!(job.tasks[0].state, TaskState::Queued { run_at: due });
    world.clock.set(due.minus(Duration::from_millis(1)));
    assert!(world.claim(9, 9).await.is_empty());
    world.clock.set(due);
    assert_eq!(jobs(&world.claim(9, 9).await), [job.id]);
}

pub(crate) async fn an_attempt_begins_with_the_claim_and_the_job_began_with_the_first(
    world: World,
) {
    let first = world.job().running().await;
    let started_at = first.job.state.started_at();
    let failed = world
        .store
        .fail(&first.lease, crate::fixture::encoding(60.0), broken(), Next::RetryIn(Duration::ZERO))
        .await;
    assert_eq!(failed.expect("an answer"), Settled::Done);
    world.pass(Duration::from_secs(3));
    let second = world.take(&first.job).await;
    assert_eq!((second.lease.attempt, second.tries), (2, 2));
    assert_eq!(second.lease.task, first.lease.task);
    assert_eq!(second.job.state.started_at(), started_at);
    assert_eq!(second.job.tasks[0].stages, Stages::default(), "stages are the attempt's own");
}

/// Claims a few at a time until `left` are taken.
async fn take_all(store: Arc<dyn Store>, worker: WorkerId, left: Arc<AtomicUsize>) -> Vec<Claim> {
    let mut taken = Vec::new();
    // Far more rounds than it takes, so that a task that nobody gets ends the test.
    for _ in 0..1_000 {
        if left.load(Ordering::SeqCst) == 0 {
            break;
        }
        let claims = store
            .claim(worker, Want { heavy: 3, light: 2, ..Want::default() })
            .await
            .expect("claims");
        left.fetch_sub(claims.len(), Ordering::SeqCst);
        taken.extend(claims);
    }
    taken
}

pub(crate) async fn many_workers_at_once_never_get_the_same_task(world: World) {
    const TASKS: usize = 120;
    let sent: Vec<_> =
        (0..TASKS).map(|n| world.job().kind([Kind::Video, Kind::Image][n % 2]).build()).collect();
    world.store.submit(together(sent.clone())).await.expect("an answer");
    let stores = world.two().await;
    let left = Arc::new(AtomicUsize::new(TASKS));
    let workers: Vec<WorkerId> = (0..12).map(|_| fresh(NOW)).collect();
    let taken = at_once(
        workers
            .iter()
            .enumerate()
            .map(|(n, id)| take_all(stores[n % 2].clone(), *id, left.clone())),
    )
    .await;
    let mut holders = HashMap::new();
    for (worker, claims) in workers.iter().zip(&taken) {
        for claim in claims {
            assert_eq!((claim.lease.worker, claim.lease.attempt), (*worker, 1));
            assert_eq!(holders.insert(claim.lease.job, worker), None, "taken twice");
        }
    }
    assert!(sent.iter().all(|job| holders.contains_key(&job.id)));
    assert_eq!(holders.len(), TASKS);
}

pub(crate) async fn the_last_task_has_one_winner(world: World) {
    let stores = world.two().await;
    for _ in 0..10 {
        world.job().submit().await;
        let claims = at_once((0..6).map(|n| {
            let (store, worker) = (stores[n % 2].clone(), fresh(NOW));
            async move {
                store
                    .claim(worker, Want { heavy: 1, light: 0, ..Want::default() })
                    .await
                    .expect("claims")
            }
        }))
        .await;
        let claims: Vec<Claim> = claims.into_iter().flatten().collect();
        let [claim] = claims.as_slice() else { panic!("{claims:?}") };
        assert_eq!(world.finish(&claim.lease).await, Settled::Done);
    }
}
