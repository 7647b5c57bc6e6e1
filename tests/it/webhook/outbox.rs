//! The event is written where the job ends, and belongs to one deliverer at a time.

use std::time::Duration;

use reelway::job::Status;
use reelway::store::{DeliveryFilter, DeliveryState, Settled, Store as _};
use reelway::task::Stages;
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;
use tokio_util::sync::CancellationToken;

use super::sender::Sender;
use crate::app::OURS;
use crate::loopback::{Act, Loopback, answer, patiently, status};

async fn database(sender: &Sender) -> SqlitePool {
    let options = SqliteConnectOptions::new().filename(sender.app.database());
    SqlitePool::connect_with(options).await.expect("the database")
}

async fn deliveries(sender: &Sender) -> usize {
    let filter = DeliveryFilter { limit: 100, ..DeliveryFilter::default() };
    sender.app.store.deliveries(OURS, &filter).await.expect("the log").len()
}

#[tokio::test]
async fn a_job_whose_webhook_cannot_be_written_has_not_ended() {
    let sender = Sender::new().await;
    let job = sender.submit("http://127.0.0.1:9/hook").await;
    let claim = sender.app.claim().await;
    let database = database(&sender).await;
    let refuse = "create trigger refuse before insert on deliveries
                  begin select raise(abort, 'the disk says no'); end";
    sqlx::query(refuse).execute(&database).await.expect("a trigger");
    let refused = sender.app.store.finish(&claim.lease, Stages::default(), Vec::new()).await;
    assert!(refused.is_err(), "{refused:?}");
    let seen = sender.app.store.job(OURS, job).await.expect("an answer").expect("the job");
    assert_eq!((seen.state.status(), seen.seq), (Status::Processing, 0));

    sqlx::query("drop trigger refuse").execute(&database).await.expect("no trigger");
    sender.app.finish(claim, b"whole").await;
    let seen = sender.app.store.job(OURS, job).await.expect("an answer").expect("the job");
    assert_eq!((seen.state.status(), seen.seq), (Status::Succeeded, 1));
    assert_eq!(deliveries(&sender).await, 1);
}

#[tokio::test]
async fn a_lost_lease_writes_no_event() {
    let sender = Sender::new().await;
    sender.submit("http://127.0.0.1:9/hook").await;
    let lost = sender.app.claim().await;
    sender.app.clock.advance(Duration::from_secs(31));
    let policy = reelway::task::RetryPolicy::default();
    assert_eq!(sender.app.store.rescue(&policy, 0.0).await.expect("a rescue").tasks, 1);
    let late = sender.app.store.finish(&lost.lease, Stages::default(), Vec::new()).await;
    assert_eq!(late.expect("an answer"), Settled::Lost);
    assert_eq!(deliveries(&sender).await, 0);
}

#[tokio::test]
async fn a_deliverer_that_was_too_slow_for_its_lease_changes_nothing() {
    let slow = CancellationToken::new();
    let released = slow.clone();
    let receiver = Loopback::start(move |_, number| match number {
        0 => {
            let late = answer("500 Internal Server Error", &[], b"too late");
            vec![Act::Wait(released.clone()), Act::Send(late)]
        }
        _ => status("200 OK"),
    })
    .await;
    let sender = Sender::new().await;
    let job = sender.end_job(&receiver.url("/hook")).await;
    let first = sender.deliverer();
    let first = tokio::spawn(async move { first.round().await });
    receiver.until_requests(1).await;
    assert_eq!(sender.deliverer().round().await.expect("a round"), 0, "it is the first one's");

    sender.app.clock.advance(Duration::from_secs(61));
    assert_eq!(sender.deliverer().round().await.expect("a round"), 1);
    slow.cancel();
    let sent = patiently("the first one ends", first).await.expect("no panic");
    assert_eq!(sent.expect("a lost lease is no error"), 1);

    let delivery = sender.delivery(job).await;
    assert_eq!((delivery.state, delivery.attempt), (DeliveryState::Delivered, 2));
    let told: Vec<Option<u16>> = delivery.attempts.iter().map(|made| made.status).collect();
    assert_eq!(told, [Some(200)], "what the slow one saw is not written over it");
    let pushes = receiver.requests();
    assert_eq!(pushes[0].header("webhook-id"), pushes[1].header("webhook-id"));
    assert_eq!(pushes[1].header("webhook-attempt"), "2");
}
