//! What could not be delivered is kept, and sent again when somebody asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reelway::store::DeliveryState;
use serde_json::{Value, json};

use super::sender::Sender;
use crate::app::NOW;
use crate::loopback::{Loopback, status};

/// A receiver that says "gone" until it is told to come back.
async fn gone() -> (Loopback, Arc<AtomicBool>) {
    let is_back = Arc::new(AtomicBool::new(false));
    let seen = is_back.clone();
    let receiver = Loopback::start(move |_, _| {
        status(if seen.load(Ordering::SeqCst) { "200 OK" } else { "410 Gone" })
    })
    .await;
    (receiver, is_back)
}

#[tokio::test]
async fn gone_holds_what_waits_and_what_comes_and_a_replay_brings_all_of_it() {
    let (receiver, is_back) = gone().await;
    let sender = Sender::new().await;
    let hook = receiver.url("/hook");
    let mut jobs = Vec::new();
    for _ in 0..6 {
        jobs.push(sender.end_job(&hook).await);
    }
    assert_eq!(sender.deliverer().round().await.expect("a round"), 4);
    jobs.push(sender.end_job(&hook).await);
    for job in &jobs {
        assert_eq!(sender.delivery(*job).await.state, DeliveryState::Held);
    }
    assert_eq!(sender.deliverer().round().await.expect("a round"), 0);

    is_back.store(true, Ordering::SeqCst);
    let replay = sender.app.post("/webhooks/deliveries/replay", &json!({"since": NOW})).await;
    assert_eq!(replay.json(), json!({"replayed": 7}));
    while sender.deliverer().round().await.expect("a round") > 0 {}
    for job in &jobs {
        assert_eq!(sender.delivery(*job).await.state, DeliveryState::Delivered);
    }
    assert_eq!(receiver.requests().len(), 4 + 7);
}

#[tokio::test]
async fn one_replay_keeps_the_events_name_and_trusts_the_destination_again() {
    let (receiver, is_back) = gone().await;
    let sender = Sender::new().await;
    let job = sender.end_job(&receiver.url("/hook")).await;
    assert_eq!(sender.deliverer().round().await.expect("a round"), 1);
    let held = sender.delivery(job).await;

    is_back.store(true, Ordering::SeqCst);
    let path = format!("/webhooks/deliveries/{}/replay", held.id);
    assert_eq!(sender.app.post(&path, &json!({})).await.json()["state"], "pending");
    assert_eq!(sender.deliverer().round().await.expect("a round"), 1);
    let next = sender.end_job(&receiver.url("/hook")).await;
    assert_eq!(
        sender.deliverer().round().await.expect("a round"),
        1,
        "it is not disabled any more"
    );
    assert_eq!(sender.delivery(next).await.state, DeliveryState::Delivered);

    let pushes = receiver.requests();
    assert_eq!(pushes[0].header("webhook-id"), pushes[1].header("webhook-id"));
    assert_eq!(pushes[0].header("webhook-id"), held.event_id.to_string());
    let log = sender.app.get(&format!("/webhooks/deliveries?job_id={job}")).await.json();
    let told: Vec<&Value> =
        log[0]["attempts"].as_array().expect("attempts").iter().map(|it| &it["status"]).collect();
    assert_eq!(told, [&json!(410), &json!(200)], "the log shows every attempt");
}

#[tokio::test]
async fn a_replayed_delivery_has_all_its_ten_attempts_again() {
    let receiver = Loopback::start(|_, _| status("500 Internal Server Error")).await;
    let sender = Sender::new().await;
    let deliverer = sender.deliverer();
    let job = sender.end_job(&receiver.url("/hook")).await;
    let to_the_end = async || {
        loop {
            assert_eq!(deliverer.round().await.expect("a round"), 1);
            if sender.until_due().await.is_none() {
                break;
            }
        }
    };
    to_the_end().await;
    let failed = sender.delivery(job).await;
    let path = format!("/webhooks/deliveries/{}/replay", failed.id);
    sender.app.post(&path, &json!({})).await;
    to_the_end().await;
    let failed = sender.delivery(job).await;
    assert_eq!((failed.state, failed.attempts.len()), (DeliveryState::Failed, 20));
    let last = receiver.requests().pop().expect("twenty requests");
    assert_eq!(last.header("webhook-attempt"), "20", "the number grows for ever");
}
