//! Ten attempts over three days, in virtual time.

use std::time::Duration;

use reelway::clock::Clock as _;
use reelway::store::DeliveryState;
use reelway::webhook::Limits;

use super::sender::Sender;
use crate::loopback::{Loopback, status};

/// wire.md section 4, as it is promised and not as it is coded: seconds between the attempts.
const WAITS: [u64; 9] = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];

const MILLISECOND: Duration = Duration::from_millis(1);

/// Lets one delivery fail to its end; returns the waits between its attempts.
async fn waits(chance: fn() -> f64) -> Vec<Duration> {
    let receiver = Loopback::start(|_, _| status("500 Internal Server Error")).await;
    let sender = Sender::new().await;
    let deliverer = sender.deliverer_with(chance, Limits::default());
    let begun = sender.app.clock.now();
    let job = sender.end_job(&receiver.url("/hook")).await;
    let mut waits = Vec::new();
    loop {
        assert_eq!(deliverer.round().await.expect("a round"), 1);
        let Some(wait) = sender.until_due().await else { break };
        sender.app.clock.set(sender.app.clock.now().minus(MILLISECOND));
        assert_eq!(deliverer.round().await.expect("a round"), 0, "a moment too early");
        sender.app.clock.advance(MILLISECOND);
        waits.push(wait);
    }
    let delivery = sender.delivery(job).await;
    assert_eq!((delivery.state, delivery.attempt), (DeliveryState::Failed, 10));
    let made: Vec<Duration> = delivery.attempts.iter().map(|made| made.at.since(begun)).collect();
    let expected: Vec<Duration> = (0..10).map(|attempt| waits.iter().take(attempt).sum()).collect();
    assert_eq!(made, expected, "the log tells when each attempt was made");
    let told: Vec<String> =
        receiver.requests().iter().map(|push| push.header("webhook-attempt").to_owned()).collect();
    assert_eq!(told, ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]);
    waits
}

fn assert_scaled(waits: &[Duration], by: f64) {
    assert_eq!(waits.len(), WAITS.len());
    for (wait, secs) in waits.iter().zip(WAITS) {
        let promised = Duration::from_secs(secs).mul_f64(by);
        assert!(wait.abs_diff(promised) <= MILLISECOND, "{wait:?} is not {promised:?}");
    }
}

#[tokio::test]
async fn a_receiver_that_always_fails_is_tried_ten_times_over_75_h_35_min() {
    let waits = waits(|| 0.5).await;
    assert_scaled(&waits, 1.0);
    let span: Duration = waits.iter().sum();
    assert_eq!(span, Duration::from_secs(75 * 3600 + 35 * 60 + 5));
}

#[tokio::test]
async fn the_least_jitter_makes_every_wait_a_fifth_shorter() {
    assert_scaled(&waits(|| 0.0).await, 0.8);
}

#[tokio::test]
async fn the_most_jitter_makes_every_wait_a_fifth_longer() {
    assert_scaled(&waits(|| 1.0).await, 1.2);
}

/// Rounds until nothing is due any more.
async fn to_the_end(sender: &Sender) {
    let deliverer = sender.deliverer();
    loop {
        deliverer.round().await.expect("a round");
        if sender.until_due().await.is_none() {
            return;
        }
    }
}

#[tokio::test]
async fn a_destination_that_has_failed_for_five_days_is_disabled_and_later_events_are_kept() {
    let receiver = Loopback::start(|_, _| status("500 Internal Server Error")).await;
    let sender = Sender::new().await;
    let hook = receiver.url("/hook");

    let first = sender.end_job(&hook).await;
    to_the_end(&sender).await;
    assert_eq!(
        sender.delivery(first).await.state,
        DeliveryState::Failed,
        "three days are not five"
    );

    let second = sender.end_job(&hook).await;
    to_the_end(&sender).await;
    let held = sender.delivery(second).await;
    assert_eq!((held.state, held.attempts.len()), (DeliveryState::Held, 10));

    let third = sender.end_job(&hook).await;
    assert_eq!(sender.deliverer().round().await.expect("a round"), 0);
    let kept = sender.delivery(third).await;
    assert_eq!((kept.state, kept.attempts.len()), (DeliveryState::Held, 0));
    assert_eq!(receiver.requests().len(), 20, "a disabled destination is left alone");
}

#[tokio::test]
async fn one_success_begins_the_five_days_anew() {
    let receiver = Loopback::start(|push, _| match push.path.as_str() {
        "/hook?fail" => status("500 Internal Server Error"),
        _ => status("200 OK"),
    })
    .await;
    let sender = Sender::new().await;
    let first = sender.end_job(&receiver.url("/hook?fail")).await;
    to_the_end(&sender).await;
    let between = sender.end_job(&receiver.url("/hook?good")).await;
    to_the_end(&sender).await;
    let second = sender.end_job(&receiver.url("/hook?fail")).await;
    to_the_end(&sender).await;
    assert_eq!(sender.delivery(first).await.state, DeliveryState::Failed);
    assert_eq!(sender.delivery(between).await.state, DeliveryState::Delivered);
    assert_eq!(sender.delivery(second).await.state, DeliveryState::Failed);
}
