//! What a receiver may say or do, and what follows.

use std::time::{Duration, SystemTime};

use reelway::outbound::{MAX_ANSWER_BYTES, TableResolver};
use reelway::store::{Delivery, DeliveryState};
use reelway::webhook::Limits;
use tokio::net::TcpListener;

use super::sender::{Sender, client};
use crate::app::NOW;
use crate::loopback::{Act, Loopback, answer, status};

/// One attempt at a receiver that does these things: the log, and the wait that follows.
async fn attempt(acts: Vec<Act>) -> (Delivery, Option<Duration>) {
    let receiver = Loopback::start(move |_, _| acts.clone()).await;
    let sender = Sender::new().await;
    let limits = Limits { timeout: Duration::from_millis(500), ..Limits::default() };
    let deliverer = sender.deliverer_with(|| 0.5, limits);
    let job = sender.end_job(&receiver.url("/hook")).await;
    assert_eq!(deliverer.round().await.expect("a round"), 1);
    assert_eq!(receiver.requests().len(), 1, "one attempt is one request");
    let wait = sender.until_due().await;
    (sender.delivery(job).await, wait)
}

/// State, status, class of error and the wait in seconds.
type Seen = (DeliveryState, Option<u16>, Option<String>, Option<u64>);

async fn seen(acts: Vec<Act>) -> Seen {
    let (delivery, wait) = attempt(acts).await;
    let [made] = delivery.attempts.as_slice() else { panic!("one attempt: {delivery:?}") };
    (delivery.state, made.status, made.error.clone(), wait.map(|wait| wait.as_secs()))
}

const RETRY: Option<u64> = Some(5);

#[tokio::test]
async fn every_2xx_is_delivered() {
    for (line, code) in [("200 OK", 200), ("201 Created", 201), ("204 No Content", 204)] {
        let expected = (DeliveryState::Delivered, Some(code), None, None);
        assert_eq!(seen(status(line)).await, expected, "{line}");
    }
}

#[tokio::test]
async fn what_is_no_2xx_is_tried_again_in_five_seconds() {
    let lines = [
        ("400 Bad Request", 400),
        ("404 Not Found", 404),
        ("429 Too Many Requests", 429),
        ("500 Internal Server Error", 500),
        ("502 Bad Gateway", 502),
        ("503 Service Unavailable", 503),
        ("504 Gateway Timeout", 504),
    ];
    for (line, code) in lines {
        let expected = (DeliveryState::Pending, Some(code), None, RETRY);
        assert_eq!(seen(status(line)).await, expected, "{line}");
    }
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let elsewhere = Loopback::start(|_, _| status("200 OK")).await;
    for (line, code) in [("301 Moved Permanently", 301), ("302 Found", 302)] {
        let location = format!("location: {}", elsewhere.url("/new"));
        let acts = vec![Act::Send(answer(line, &[&location], b""))];
        let expected = (DeliveryState::Pending, Some(code), None, RETRY);
        assert_eq!(seen(acts).await, expected, "{line}");
    }
    assert!(elsewhere.requests().is_empty(), "nobody went there");
}

#[tokio::test]
async fn gone_disables_the_destination_at_once() {
    let expected = (DeliveryState::Held, Some(410), None, None);
    assert_eq!(seen(status("410 Gone")).await, expected);
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it_in_seconds_or_as_a_date() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(NOW as u64);
    let date = httpdate::fmt_http_date(now + Duration::from_secs(90));
    let past = httpdate::fmt_http_date(now - Duration::from_secs(90));
    let lines = [
        ("429 Too Many Requests", 429),
        ("502 Bad Gateway", 502),
        ("503 Service Unavailable", 503),
        ("504 Gateway Timeout", 504),
    ];
    for (line, code) in lines {
        let asked = [("120", 120), (date.as_str(), 90), ("1", 5), (&past, 5), ("soon", 5)];
        for (value, secs) in asked {
            let acts = vec![Act::Send(answer(line, &[&format!("retry-after: {value}")], b""))];
            let expected = (DeliveryState::Pending, Some(code), None, Some(secs));
            assert_eq!(seen(acts).await, expected, "{line}, {value}");
        }
    }
    let never = vec![Act::Send(answer(lines[0].0, &["retry-after: 99999999999999999999"], b""))];
    assert_eq!(seen(never).await.3, Some(24 * 3600), "a day is the longest");
}

#[tokio::test]
async fn a_refused_connection_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let nobody = listener.local_addr().expect("an address");
    drop(listener);
    let sender = Sender::new().await;
    let job = sender.end_job(&format!("http://{nobody}/hook")).await;
    assert_eq!(sender.deliverer().round().await.expect("a round"), 1);
    let delivery = sender.delivery(job).await;
    assert_eq!(delivery.state, DeliveryState::Pending);
    assert_eq!(delivery.attempts[0].error.as_deref(), Some("connect"));
    assert_eq!(delivery.attempts[0].status, None);
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_status_is_a_failure() {
    let expected = (DeliveryState::Pending, None, Some("reset".to_owned()), RETRY);
    assert_eq!(seen(vec![Act::Reset]).await, expected);
    let half = b"HTTP/1.1 200 OK\r\ncontent-le".to_vec();
    assert_eq!(seen(vec![Act::Send(half), Act::Reset]).await, expected);
}

#[tokio::test]
async fn the_status_decides_although_the_body_breaks_off() {
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nthanks".to_vec();
    let (delivery, _) = attempt(vec![Act::Send(half.clone()), Act::Hang]).await;
    assert_eq!(delivery.state, DeliveryState::Delivered);
    assert_eq!(delivery.attempts[0].response.as_deref(), Some("thanks"));
    let (delivery, _) = attempt(vec![Act::Send(half), Act::Reset]).await;
    assert_eq!(delivery.state, DeliveryState::Delivered);
}

#[tokio::test]
async fn a_receiver_that_hangs_is_given_up_in_time_and_tried_again() {
    let expected = (DeliveryState::Pending, None, Some("timeout".to_owned()), RETRY);
    assert_eq!(seen(vec![Act::Hang]).await, expected);
}

#[tokio::test]
async fn what_is_not_http_is_a_failure() {
    let expected = (DeliveryState::Pending, None, Some("protocol".to_owned()), RETRY);
    assert_eq!(seen(vec![Act::Send(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())]).await, expected);
}

#[tokio::test]
async fn of_an_answer_without_end_16_kib_are_kept() {
    let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let acts = vec![Act::Send(head), Act::SendForever(vec![b'x'; 4096])];
    let (delivery, _) = attempt(acts).await;
    assert_eq!(delivery.state, DeliveryState::Delivered);
    let kept = delivery.attempts[0].response.as_deref().expect("an answer");
    assert_eq!((kept.len(), MAX_ANSWER_BYTES), (16 << 10, 16 << 10));
}

#[tokio::test]
async fn an_answer_that_is_no_text_is_kept_as_far_as_it_can_be_shown() {
    let body = [b"\0\xff".as_slice(), "é".repeat(20_000).as_bytes()].concat();
    let (delivery, _) = attempt(vec![Act::Send(answer("200 OK", &[], &body))]).await;
    let kept = delivery.attempts[0].response.as_deref().expect("an answer");
    assert!(kept.len() <= MAX_ANSWER_BYTES && kept.starts_with("\u{fffd}\u{fffd}é"));
}

#[tokio::test]
async fn a_private_address_is_reached_by_no_name_and_no_number() {
    let receiver = Loopback::start(|_, _| status("200 OK")).await;
    let port = receiver.port();
    let names = TableResolver::default().with("hook.example", &["127.0.0.1"]);
    let sender = Sender::new().await;
    let deliverer = sender.deliverer_through(client(&[], names));
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "hook.example", "10.0.0.1", "169.254.169.254"] {
        let job = sender.end_job(&format!("http://{host}:{port}/{host}")).await;
        assert_eq!(deliverer.round().await.expect("a round"), 1);
        let delivery = sender.delivery(job).await;
        assert_eq!(delivery.state, DeliveryState::Pending, "{host}");
        assert_eq!(delivery.attempts[0].error.as_deref(), Some("blocked_address"), "{host}");
    }
    assert!(receiver.requests().is_empty(), "nobody was reached");
}

#[tokio::test]
async fn a_name_that_leads_nowhere_is_tried_again() {
    let sender = Sender::new().await;
    let deliverer = sender.deliverer_through(client(&[], TableResolver::default()));
    let job = sender.end_job("https://no-such-name.example/hook").await;
    assert_eq!(deliverer.round().await.expect("a round"), 1);
    let delivery = sender.delivery(job).await;
    assert_eq!(delivery.attempts[0].error.as_deref(), Some("dns"));
    assert_eq!(delivery.state, DeliveryState::Pending);
}
