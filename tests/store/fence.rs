//! Who has lost a lease can change nothing.

use std::time::Duration;

use reelway::job::Job;
use reelway::store::{LEASE, Lease, Settled, Want};
use reelway::task::Next;

use crate::fixture::{key, of_attempt, stolen};
use crate::world::{OURS, RECEIVER, World};

/// Every way to spend a lease.
#[derive(Clone, Copy, Debug)]
enum Spend {
    Finish,
    Retry,
    Fail,
    Cancel,
    HandBack,
}

impl Spend {
    const ALL: [Self; 5] = [Self::Finish, Self::Retry, Self::Fail, Self::Cancel, Self::HandBack];

    async fn with(self, world: &World, lease: &Lease) -> Settled {
        match self {
            Self::Finish => world.finish(lease).await,
            Self::Retry => world.fail(lease, Next::RetryIn(Duration::ZERO)).await,
            Self::Fail => world.fail(lease, Next::End).await,
            Self::Cancel => world.end_cancelled(lease).await,
            Self::HandBack => world.hand_back(lease).await,
        }
    }
}

/// Asserts that no verb takes this lease and that trying changes nothing. An end that was
/// written is told again.
async fn opens_nothing(world: &World, lease: &Lease, why: &str) {
    let before: Option<Job> = world.store.job(OURS, lease.job).await.expect("an answer");
    let (told, garbage) = (world.log(lease.job).await, world.garbage().await);
    let was_shown = world.shows(&key(lease, "video.mp4")).await;
    for spend in Spend::ALL {
        let is_told_again = was_shown && matches!(spend, Spend::Finish);
        let expected = if is_told_again { Settled::Done } else { Settled::Lost };
        assert_eq!(spend.with(world, lease).await, expected, "{spend:?}: {why}");
        let after = world.store.job(OURS, lease.job).await.expect("an answer");
        assert_eq!(after, before, "{spend:?}: {why}");
        assert_eq!(world.shows(&key(lease, "video.mp4")).await, was_shown, "{spend:?}: {why}");
    }
    assert_eq!(world.log(lease.job).await, told, "{why}");
    assert_eq!(world.garbage().await, garbage, "{why}");
}

pub(crate) async fn a_lease_is_one_workers_and_one_claims(world: World) {
    let claim = world.job().webhook(RECEIVER).running().await;
    let other = world.job().running().await;
    opens_nothing(&world, &stolen(&claim.lease, world.worker()), "another worker").await;
    opens_nothing(&world, &stolen(&claim.lease, other.lease.worker), "a busy worker").await;
    for attempt in [0, 2, u32::MAX] {
        opens_nothing(&world, &of_attempt(&claim.lease, attempt), "another claim").await;
    }
    let unknown = Lease { task: reelway::id::fresh(world.now()), ..of_attempt(&claim.lease, 1) };
    opens_nothing(&world, &unknown, "an unknown task").await;
    assert_eq!(world.finish(&claim.lease).await, Settled::Done);
}

pub(crate) async fn a_lease_is_spent_once(world: World) {
    for spend in Spend::ALL {
        let claim = world.job().webhook(RECEIVER).running().await;
        assert_eq!(spend.with(&world, &claim.lease).await, Settled::Done);
        opens_nothing(&world, &claim.lease, &format!("{spend:?} spent it")).await;
        world.delete(claim.lease.job).await;
    }
}

pub(crate) async fn after_the_rescue_the_lost_worker_can_change_nothing(world: World) {
    let lost = world.job().webhook(RECEIVER).running().await;
    world.pass(LEASE);
    assert_eq!(world.rescue().await, 1);
    opens_nothing(&world, &lost.lease, "its task waits").await;

    world.pass(Duration::from_mins(1));
    let holder = world.take(&lost.job).await;
    assert_eq!(holder.lease.attempt, 2);
    opens_nothing(&world, &lost.lease, "its task is in other hands").await;

    assert_eq!(world.finish(&holder.lease).await, Settled::Done);
    opens_nothing(&world, &lost.lease, "its task has ended").await;
    assert!(world.shows(&key(&holder.lease, "video.mp4")).await);
    assert!(!world.shows(&key(&lost.lease, "video.mp4")).await);
}

pub(crate) async fn the_same_worker_does_not_get_its_lost_lease_back(world: World) {
    let lost = world.job().running().await;
    world.lose_workers().await;
    world.pass(Duration::from_mins(1));
    let want = Want { heavy: 1, light: 0, ..Want::default() };
    let mut again = world.store.claim(lost.lease.worker, want).await.expect("claims");
    let again = again.pop().expect("the same task");
    assert_eq!(again.lease.task, lost.lease.task);
    opens_nothing(&world, &lost.lease, "the same worker, another attempt").await;
    assert_eq!(world.finish(&again.lease).await, Settled::Done);
}

pub(crate) async fn after_poison_the_last_worker_can_change_nothing(world: World) {
    let lost = world.job().webhook(RECEIVER).running().await;
    world.pass(LEASE);
    let once = reelway::task::RetryPolicy { max_tries: 1, ..Default::default() };
    assert_eq!(world.store.rescue(&once, 0.0).await.expect("an answer").tasks, 1);
    opens_nothing(&world, &lost.lease, "its task was given up").await;
}
