//! What a receiver gets: an event as headers and a body.
//!
//! Pure. The body is the job as it was when it ended, with links made fresh for this attempt,
//! then `type` and `seq`. The event keeps its name over all attempts; time, signature and
//! attempt are new each time.

use axum::http::header::{CONTENT_TYPE, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use serde::Serialize;
use serde_json::json;

use super::sign::{
    ITTYBIT_SIGNATURE, Secrets, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP, ascii,
    ittybit_signature, signatures,
};
use crate::clock::Timestamp;
use crate::id::EventId;
use crate::output::Links;
use crate::store::{DueDelivery, EventBody, EventKind};

/// The number of the attempt, from 1.
pub const WEBHOOK_ATTEMPT: HeaderName = HeaderName::from_static("webhook-attempt");

const AGENT: &str = concat!("reelway/", env!("CARGO_PKG_VERSION"));

/// An event, ready to be sent once.
#[derive(Clone, Debug)]
pub struct Message {
    /// All headers but those of HTTP itself.
    pub headers: HeaderMap,
    /// The bytes that are signed.
    pub body: Bytes,
}

/// The fields of the job or batch first, then the event's own.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(flatten)]
    told: &'a EventBody,
    r#type: EventKind,
    seq: u32,
}

impl Message {
    /// The message for an attempt made at the moment `at`.
    ///
    /// # Errors
    ///
    /// The job cannot be written as JSON, which no job read from the store should cause.
    pub fn of(
        due: &DueDelivery,
        links: &Links,
        secrets: &Secrets,
        at: Timestamp,
    ) -> Result<Self, serde_json::Error> {
        let told = due.body.clone().linked(|key| links.link(key), |path| links.page(path));
        let body = serde_json::to_vec(&Body { told: &told, r#type: due.kind, seq: due.seq })?;
        let headers = headers(due.event, due.attempt, secrets, at, &body);
        Ok(Self { headers, body: body.into() })
    }

    /// A message that tells nothing: for whoever wants to see whether a receiver takes what is sent
    /// and agrees with its signature.
    #[must_use]
    pub fn test(event: EventId, secrets: &Secrets, at: Timestamp) -> Self {
        let body = json!({
            "id": event, "object": "event", "type": TEST, "created_at": at, "seq": 0,
            "message": "a test: no job has ended"
        });
        let body = body.to_string().into_bytes();
        let headers = headers(event, 1, secrets, at, &body);
        Self { headers, body: body.into() }
    }
}

/// The type of a message that tells nothing.
pub const TEST: &str = "webhook.test";

fn headers(
    event: EventId,
    attempt: u32,
    secrets: &Secrets,
    at: Timestamp,
    body: &[u8],
) -> HeaderMap {
    let id = event.to_string();
    let signatures = signatures(secrets.as_slice(), &id, at.secs(), body);
    let mut headers = HeaderMap::new();
    headers.insert(WEBHOOK_ID, ascii(id));
    headers.insert(WEBHOOK_TIMESTAMP, at.secs().into());
    headers.insert(WEBHOOK_SIGNATURE, signatures);
    headers.insert(ITTYBIT_SIGNATURE, ittybit_signature(secrets.newest(), body));
    headers.insert(WEBHOOK_ATTEMPT, attempt.into());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::{Map, Value, json};
    use url::Url;

    use super::*;
    use crate::clock::ManualClock;
    use crate::id::fresh;
    use crate::job::view::JobView;
    use crate::job::{File, FileKind, InputUrl, Job, JobEvent, JobSpec, Options, Priority};
    use crate::task::Kind;
    use crate::webhook::sign::{Proof, Secret, verify};

    const ENDED: Timestamp = Timestamp::from_millis(1_764_000_005_000);

    fn links(clock: &Arc<ManualClock>) -> Links {
        let base = Url::parse("https://media.example.com").expect("a URL");
        Links::new(base, "secret".into(), Duration::from_hours(1), clock.clone())
    }

    fn secrets() -> Secrets {
        Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret").into()
    }

    fn file() -> File {
        File {
            key: "job_1/1/video.mp4".to_owned(),
            kind: FileKind::Video,
            format: "mp4".to_owned(),
            content_type: "video/mp4".to_owned(),
            filesize: 1234,
            width: Some(1280),
            height: Some(720),
            duration: Some(5.0),
            fps: Some(25.0),
            bitrate: None,
            codecs: None,
            sha256: "ab".repeat(32),
            loudness: None,
            delivered_to: None,
            remote_url: None,
        }
    }

    fn due(attempt: u32) -> DueDelivery {
        let accepted = Timestamp::from_millis(1_764_000_000_000);
        let Value::Object(options) = json!({ "width": 1280 }) else { panic!("an object") };
        let Value::Object(metadata) = json!({ "type": "mine", "seq": 99, "name": "Zoë" }) else {
            panic!("an object")
        };
        let spec = JobSpec {
            input: InputUrl::parse("https://example.com/a.mov").expect("an input"),
            options: Options::decode(Kind::Video, &options).expect("options"),
            raw_options: options,
            metadata,
            webhook_url: None,
            priority: Priority::default(),
            via: None,
        };
        let mut job = Job::accepted(fresh(accepted), None, spec, accepted);
        let started = job.state.on(JobEvent::Started, accepted).expect("started");
        job.state = started.on(JobEvent::Succeeded(vec![file()]), ENDED).expect("succeeded");
        job.progress = 100.0;
        job.updated_at = ENDED;
        DueDelivery {
            id: fresh(ENDED),
            event: fresh(ENDED),
            kind: EventKind::JobSucceeded,
            seq: 1,
            body: EventBody::Job(Box::new(JobView::of(&job))),
            url: Url::parse("https://app.example.com/hook").expect("a URL"),
            attempt,
            tries: attempt,
            failing_since: None,
            trace: None,
        }
    }

    fn body(message: &Message) -> Map<String, Value> {
        serde_json::from_slice(&message.body).expect("an object")
    }

    #[test]
    fn a_message_is_the_job_then_type_and_seq_under_signed_headers() {
        let clock = Arc::new(ManualClock::at(ENDED));
        let mut due = due(3);
        due.event = "evt_01kath67r8e0h8qxqmfqdt2ktq".parse().expect("an event id");
        let EventBody::Job(job) = &mut due.body else { panic!("a job") };
        job.id = "job_01kath62w0e0s9z2n7h9rj3c0k".parse().expect("a job id");
        job.task_id = job.id;
        let message = Message::of(&due, &links(&clock), &secrets(), ENDED).expect("a message");
        let headers: Vec<String> = message
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().expect("ASCII")))
            .collect();
        let body = serde_json::to_string_pretty(&body(&message)).expect("JSON");
        let text = format!("{}\n\n{body}", headers.join("\n"));
        insta::assert_snapshot!(text.replace(AGENT, "reelway/[version]"));
    }

    #[test]
    fn a_message_proves_itself_with_either_signature() {
        let clock = Arc::new(ManualClock::at(ENDED));
        let due = due(1);
        let mut message = Message::of(&due, &links(&clock), &secrets(), ENDED).expect("a message");
        let check =
            |headers: &HeaderMap, body: &[u8]| verify(secrets().as_slice(), headers, body, ENDED);
        let standard = check(&message.headers, &message.body).expect("proof");
        let (id, timestamp_secs) = (due.event.to_string(), ENDED.secs());
        assert_eq!(standard, Proof::Standard { id, timestamp_secs });
        for name in [WEBHOOK_ID, WEBHOOK_TIMESTAMP, WEBHOOK_SIGNATURE] {
            message.headers.remove(name);
        }
        assert_eq!(check(&message.headers, &message.body), Ok(Proof::Ittybit));
    }

    #[test]
    fn every_attempt_has_new_links_and_a_new_signature_under_the_same_name() {
        let clock = Arc::new(ManualClock::at(ENDED));
        let mut due = due(1);
        let first = Message::of(&due, &links(&clock), &secrets(), ENDED).expect("a message");
        clock.advance(Duration::from_hours(10));
        due.attempt = 2;
        let later = ENDED.plus(Duration::from_hours(10));
        let second = Message::of(&due, &links(&clock), &secrets(), later).expect("a message");
        let header = |message: &Message, name: HeaderName| message.headers[name].clone();
        assert_eq!(header(&first, WEBHOOK_ID), header(&second, WEBHOOK_ID));
        for name in [WEBHOOK_TIMESTAMP, WEBHOOK_SIGNATURE, ITTYBIT_SIGNATURE, WEBHOOK_ATTEMPT] {
            assert_ne!(header(&first, name.clone()), header(&second, name.clone()), "{name}");
        }
        assert_ne!(body(&first)["output_url"], body(&second)["output_url"]);
        assert_eq!(body(&second)["output_url"], body(&second)["outputs"][0]["url"]);
    }

    #[test]
    fn the_callers_metadata_cannot_pass_for_the_events_own_fields() {
        let clock = Arc::new(ManualClock::at(ENDED));
        let message = Message::of(&due(1), &links(&clock), &secrets(), ENDED).expect("a message");
        let body = body(&message);
        assert_eq!((&body["type"], &body["seq"]), (&json!("job.succeeded"), &json!(1)));
        assert_eq!(body["metadata"]["seq"], json!(99));
        let last_two: Vec<&str> = body.keys().rev().take(2).map(String::as_str).collect();
        assert_eq!(last_two, ["seq", "type"]);
    }
}
