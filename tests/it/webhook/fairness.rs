//! No receiver holds another back.

use std::collections::BTreeMap;

use reelway::store::{DeliveryFilter, DeliveryState, Store as _};
use reelway::webhook::Limits;
use tokio_util::sync::CancellationToken;

use super::sender::Sender;
use crate::app::OURS;
use crate::loopback::{Act, Loopback, answer, patiently, status};

async fn count(sender: &Sender, state: DeliveryState) -> usize {
    let filter = DeliveryFilter { state: Some(state), limit: 200, ..DeliveryFilter::default() };
    sender.app.store.deliveries(OURS, &filter).await.expect("the log").len()
}

#[tokio::test]
async fn a_hundred_destinations_are_served_although_one_of_them_swallows_everything() {
    let hole = CancellationToken::new();
    let swallowed = hole.clone();
    let receiver = Loopback::start(move |push, _| match push.path.as_str() {
        "/hole" => {
            let late = answer("500 Internal Server Error", &[], b"");
            vec![Act::Wait(swallowed.clone()), Act::Send(late)]
        }
        _ => status("200 OK"),
    })
    .await;
    let sender = Sender::new().await;
    // The hole's queue is the oldest and longer than all places together.
    for _ in 0..70 {
        sender.end_job(&receiver.url("/hole")).await;
    }
    for number in 1..100 {
        sender.end_job(&receiver.url(&format!("/good/{number}"))).await;
    }
    let stop = CancellationToken::new();
    let (deliverer, stopped) = (sender.deliverer(), stop.clone());
    let running = tokio::spawn(async move { deliverer.run(stopped).await });

    let in_the_hole = Limits::default().per_destination as usize;
    receiver.until_requests(99 + in_the_hole).await;
    patiently("the good ones are delivered", async {
        // Each is written down right after its answer: there is nothing to wait for but that.
        while count(&sender, DeliveryState::Delivered).await < 99 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut by_path: BTreeMap<String, usize> = BTreeMap::new();
    for push in receiver.requests() {
        *by_path.entry(push.path).or_default() += 1;
    }
    assert_eq!(by_path.remove("/hole"), Some(in_the_hole), "it has its own places and no more");
    assert_eq!(by_path.len(), 99);
    assert!(by_path.values().all(|times| *times == 1), "{by_path:?}");

    stop.cancel();
    hole.cancel();
    patiently("what is under way comes to its end", running).await.expect("it ends");
    assert_eq!(count(&sender, DeliveryState::Pending).await, 70, "nothing was lost");
}

#[tokio::test]
async fn a_destination_that_fails_again_and_again_gets_one_delivery_at_a_time() {
    let receiver = Loopback::start(|_, _| status("500 Internal Server Error")).await;
    let sender = Sender::new().await;
    for _ in 0..6 {
        sender.end_job(&receiver.url("/hook")).await;
    }
    let deliverer = sender.deliverer();
    assert_eq!(deliverer.round().await.expect("a round"), 4, "as many as it may have");
    assert_eq!(deliverer.round().await.expect("a round"), 2, "the rest");
    sender.until_due().await;
    assert_eq!(deliverer.round().await.expect("a round"), 1, "after six failures in a row");
}
