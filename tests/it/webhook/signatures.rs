//! What a receiver can prove, with its own library and with its own HMAC.

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use reelway::clock::{Clock as _, SystemClock};
use reelway::store::DeliveryState;
use sha2::Sha256;
use standardwebhooks::Webhook;

use super::sender::{SECRET, Sender};
use crate::loopback::{Loopback, Request, status};

const OLD: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// As a receiver written for Ittybit has it: the secret's text over the body's bytes.
fn ittybit(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

fn is_verified(secret: &str, push: &Request) -> bool {
    Webhook::new(secret).expect("a secret").verify(&push.body, &push.headers).is_ok()
}

#[tokio::test]
async fn every_attempt_has_the_same_name_a_fresh_time_and_a_signature_that_holds() {
    let receiver = Loopback::start(|_, number| match number {
        2 => status("200 OK"),
        _ => status("503 Service Unavailable"),
    })
    .await;
    let sender = Sender::new().await;
    // The reference library asks the system for the time: the third attempt is about now.
    sender.app.clock.set(SystemClock.now().minus(Duration::from_secs(250)));
    let job = sender.end_job(&receiver.url("/hook")).await;
    let mut made_at = Vec::new();
    for _ in 0..3 {
        made_at.push(sender.app.clock.now().secs().to_string());
        assert_eq!(sender.deliverer().round().await.expect("a round"), 1);
        sender.until_due().await;
    }
    assert_eq!(sender.delivery(job).await.state, DeliveryState::Delivered);

    let pushes = receiver.requests();
    assert_eq!(pushes.len(), 3);
    for (push, made_at) in pushes.iter().zip(&made_at) {
        assert!(is_verified(SECRET, push), "{push:?}");
        assert!(!is_verified(OLD, push), "another secret proves nothing");
        assert_eq!(push.header("webhook-id"), pushes[0].header("webhook-id"));
        assert_eq!(push.header("webhook-timestamp"), made_at);
        assert_eq!(push.header("ittybit-signature"), ittybit(SECRET, &push.body));
        assert_eq!(push.header("content-type"), "application/json");
        assert!(push.header("user-agent").starts_with("reelway/"));
    }
    assert_ne!(pushes[0].header("webhook-signature"), pushes[1].header("webhook-signature"));

    let mut forged = pushes[0].clone();
    forged.body[10] ^= 1;
    assert!(!is_verified(SECRET, &forged), "a body that was changed proves nothing");
}

#[tokio::test]
async fn while_secrets_rotate_the_old_and_the_new_one_both_hold() {
    let receiver = Loopback::start(|_, _| status("200 OK")).await;
    let sender = Sender::new().await;
    sender.app.clock.set(SystemClock.now());
    sender.end_job(&receiver.url("/hook")).await;
    let deliverer = sender.deliverer_signing(&[SECRET, OLD]);
    assert_eq!(deliverer.round().await.expect("a round"), 1);
    let push = receiver.requests().remove(0);
    assert!(is_verified(SECRET, &push) && is_verified(OLD, &push));
    assert_eq!(push.header("webhook-signature").split(' ').count(), 2);
    assert_eq!(push.header("ittybit-signature"), ittybit(SECRET, &push.body), "the newest");
}

#[tokio::test]
async fn what_is_pushed_is_the_job_as_it_is_answered_with_type_and_seq() {
    let receiver = Loopback::start(|_, _| status("200 OK")).await;
    let sender = Sender::new().await;
    let job = sender.submit(&receiver.url("/hook")).await;
    let claim = sender.app.claim().await;
    sender.app.finish(claim, b"whole").await;
    assert_eq!(sender.deliverer().round().await.expect("a round"), 1);
    let mut pushed: serde_json::Value =
        serde_json::from_slice(&receiver.requests()[0].body).expect("JSON");
    let fields = pushed.as_object_mut().expect("an object");
    assert_eq!(fields.remove("type"), Some("job.succeeded".into()));
    assert_eq!(fields.remove("seq"), Some(1.into()));
    let answered = sender.app.get(&format!("/jobs/{job}")).await.json();
    assert_eq!(pushed, answered, "the clock stands still, so even the links are the same");
}
