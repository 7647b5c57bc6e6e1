//! What a provider says about a job, from JSON of any generation of the API. Pure.
//!
//! A webhook's body and an answer about a job are read alike. Everything in it is bounded, and
//! nothing that is missing or strange but the job's name makes it unreadable.

use std::time::SystemTime;

use serde_json::{Map, Value};
use url::Url;

use crate::clock::Timestamp;
use crate::job::{Codecs, FileKind, RemoteFile};
use crate::store::{HandOver, Standing, Word};
use crate::task::{ErrorKind, Failure};

/// The field of a job's metadata in which the provider is told our name for it.
pub const JOB_FIELD: &str = "reelway_job_id";

/// The field in which it is told which hand-over of the job it is.
pub const SEQ_FIELD: &str = "reelway_seq";

/// The longest name that a provider may give to a job, in bytes.
const MAX_ID: usize = 128;

/// The longest text of a provider that is shown, in characters.
const MAX_WORDS: usize = 500;

/// The longest URL of an output.
const MAX_URL: usize = 8192;

/// The most outputs of one job.
const MAX_OUTPUTS: usize = 1000;

/// Times before this are in seconds: as milliseconds they were in 1973.
const FIRST_MILLIS: i64 = 100_000_000_000;

/// Why nothing can be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Unreadable {
    #[error("it is not a JSON object")]
    NotAnObject,
    #[error("it names no job: a text of 1 to 128 visible characters under id, job_id or task_id")]
    NoId,
}

type Object = Map<String, Value>;

/// Reads a provider's word.
pub fn read(value: &Value) -> Result<Word, Unreadable> {
    let outer = value.as_object().ok_or(Unreadable::NotAnObject)?;
    let job = job(outer);
    let id = ["id", "job_id", "task_id"].iter().find_map(|name| text(job, name));
    let id = id.filter(|id| is_id(id)).ok_or(Unreadable::NoId)?;
    Ok(Word {
        provider_id: id.to_owned(),
        of: job.get("metadata").and_then(Value::as_object).and_then(hand_over),
        at: time(job.get("updated_at")),
        standing: standing(job, outer),
    })
}

/// Whether a text can be a provider's name for a job: it becomes part of a path.
fn is_id(text: &str) -> bool {
    (1..=MAX_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The job itself, or what an envelope holds.
fn job(outer: &Object) -> &Object {
    let names =
        |object: &&Object| ["id", "job_id", "task_id"].iter().any(|n| object.contains_key(*n));
    let inner = ["data", "job", "task"].iter().find_map(|name| outer.get(*name)?.as_object());
    inner.filter(names).unwrap_or(outer)
}

fn text<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str()
}

fn hand_over(metadata: &Object) -> Option<HandOver> {
    let job = text(metadata, JOB_FIELD)?.parse().ok()?;
    let seq = metadata.get(SEQ_FIELD)?.as_u64()?;
    Some(HandOver { job, seq: u32::try_from(seq).ok()? })
}

/// Milliseconds, seconds, or a date in the manner of RFC 3339.
fn time(value: Option<&Value>) -> Option<Timestamp> {
    let millis = match value? {
        Value::Number(number) => {
            let number = number.as_i64()?;
            if number < FIRST_MILLIS { number.checked_mul(1000)? } else { number }
        }
        Value::String(date) => {
            let date = humantime::parse_rfc3339(date).ok()?;
            let since = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
            i64::try_from(since.as_millis()).ok()?
        }
        _ => return None,
    };
    Some(Timestamp::from_millis(millis))
}

fn standing(job: &Object, outer: &Object) -> Standing {
    let said = text(job, "status").or_else(|| text(job, "state"));
    let event = || ["type", "event"].iter().find_map(|name| text(outer, name));
    let said = said.or_else(|| event().and_then(|event| event.rsplit('.').next()));
    match said.unwrap_or_default().to_ascii_lowercase().as_str() {
        "succeeded" | "completed" | "success" => {
            let outputs = outputs(job);
            // It is said to be there and is not named: perhaps it is when it is asked for.
            if outputs.is_empty() { Standing::Unproven } else { Standing::Succeeded { outputs } }
        }
        "failed" | "error" | "errored" => Standing::Failed { failure: failure(job) },
        "cancelled" | "canceled" => Standing::Cancelled,
        _ => {
            let progress = job.get("progress").and_then(Value::as_f64);
            let progress = progress.filter(|percent| (0.0..=100.0).contains(percent));
            Standing::UnderWay { progress: progress.map(|percent| percent as f32) }
        }
    }
}

/// Every output, whether it is told as a text, an object or a list, or by its URL alone.
fn outputs(job: &Object) -> Vec<RemoteFile> {
    let lists = ["outputs", "output"].iter().filter_map(|name| job.get(*name)).map(files);
    let found = lists.into_iter().find(|files| !files.is_empty());
    let by_url = || job.get("output_url").map(files).unwrap_or_default();
    found.unwrap_or_else(by_url)
}

fn files(value: &Value) -> Vec<RemoteFile> {
    match value {
        Value::Array(list) => list.iter().take(MAX_OUTPUTS).filter_map(file).collect(),
        one => file(one).into_iter().collect(),
    }
}

fn file(value: &Value) -> Option<RemoteFile> {
    let object = match value {
        Value::String(address) => return url(address).map(RemoteFile::at),
        Value::Object(object) => object,
        _ => return None,
    };
    let number = |name: &str| object.get(name).and_then(Value::as_f64).filter(|n| *n >= 0.0);
    let whole = |name: &str| object.get(name).and_then(Value::as_u64);
    let side = |name: &str| whole(name).and_then(|side| u32::try_from(side).ok());
    let kind = object.get("kind").cloned();
    let kind: Option<FileKind> = kind.and_then(|kind| serde_json::from_value(kind).ok());
    Some(RemoteFile {
        url: url(text(object, "url")?)?,
        kind,
        format: text(object, "format").map(str::to_ascii_lowercase),
        filesize: whole("filesize")
            .or_else(|| whole("size"))
            .filter(|size| i64::try_from(*size).is_ok()),
        width: side("width"),
        height: side("height"),
        duration: number("duration"),
        fps: number("fps"),
        bitrate: whole("bitrate").filter(|rate| i64::try_from(*rate).is_ok()),
        codecs: object.get("codecs").and_then(Value::as_object).map(|codecs| Codecs {
            video: text(codecs, "video").map(words),
            audio: text(codecs, "audio").map(words),
        }),
        sha256: text(object, "sha256").filter(|digest| is_digest(digest)).map(str::to_owned),
    })
}

fn url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|_| text.len() <= MAX_URL)?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Why the provider failed, in its words. What it says of the input or of ffmpeg has our own names.
fn failure(job: &Object) -> Failure {
    let error = job.get("error");
    let fields = error.and_then(Value::as_object);
    let field = |name: &str| fields.and_then(|fields| text(fields, name));
    let said = field("message").or_else(|| error.and_then(Value::as_str));
    let said = said.or_else(|| text(job, "error_message")).map(words);
    let kind = field("kind").and_then(ErrorKind::from_name).filter(|kind| is_of_the_work(*kind));
    let message = said.filter(|words| !words.is_empty());
    let failure = Failure::new(
        kind.unwrap_or(ErrorKind::ProviderFailed),
        message.unwrap_or_else(|| "the provider failed and did not say why".to_owned()),
    );
    let failure = match field("hint") {
        Some(hint) => failure.hint(words(hint)),
        None => failure,
    };
    let log = fields.and_then(|fields| fields.get("log")).and_then(Value::as_array);
    let lines = log.into_iter().flatten().filter_map(Value::as_str);
    failure.log(lines.map(words).collect())
}

/// Whether a kind tells of the work itself, and not of the server that did it.
fn is_of_the_work(kind: ErrorKind) -> bool {
    ["input_", "output_", "ffmpeg_"].iter().any(|family| kind.name().starts_with(family))
}

/// A provider's text as it can be shown: one line, and not too long.
#[must_use]
pub fn words(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(MAX_WORDS).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "job_01h2xcejqtf2nbrexx3vqjhp41";

    fn said(value: Value) -> Word {
        read(&value).expect("a word")
    }

    fn urls(value: Value) -> Vec<String> {
        match said(value).standing {
            Standing::Succeeded { outputs } => {
                outputs.into_iter().map(|file| file.url.to_string()).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_output_is_a_text_an_object_a_list_or_a_url_beside_it() {
        let a = "https://cdn.example/a.mp4";
        let b = "https://cdn.example/b.mp4";
        for (rest, expected) in [
            (json!({"output": a}), vec![a]),
            (json!({"output": {"url": a}}), vec![a]),
            (json!({"output_url": a}), vec![a]),
            (json!({"output": null, "outputs": [], "output_url": a}), vec![a]),
            (json!({"output": {"object": "file"}, "output_url": a}), vec![a]),
            (json!({"output": {"url": a}, "outputs": [{"url": a}, {"url": b}]}), vec![a, b]),
            (json!({"output": [a, {"url": b}, 7, "ftp://x/y", "not a url"]}), vec![a, b]),
        ] {
            for status in ["succeeded", "completed", "Success"] {
                let mut value = rest.clone();
                value["id"] = json!("p1");
                value["status"] = json!(status);
                assert_eq!(urls(value), expected, "{rest}");
            }
        }
    }

    #[test]
    fn the_job_is_found_under_any_of_its_names_and_in_any_envelope() {
        let done = |mut value: Value| {
            value["status"] = json!("failed");
            value
        };
        for value in [
            done(json!({"id": "p1"})),
            done(json!({"task_id": "p1"})),
            done(json!({"job_id": "p1", "object": "event"})),
            json!({"id": "evt_1", "type": "job.failed", "data": done(json!({"id": "p1"}))}),
            json!({"id": "evt_1", "event": "task.error", "data": {"task_id": "p1"}}),
            json!({"type": "job.failed", "job": {"id": "p1"}}),
            json!({"id": "p1", "data": {"title": "mine"}, "status": "error"}),
        ] {
            let word = said(value.clone());
            assert_eq!(word.provider_id, "p1", "{value}");
            assert!(matches!(word.standing, Standing::Failed { .. }), "{value}");
        }
    }

    #[test]
    fn what_names_no_job_cannot_be_read() {
        for value in [json!(null), json!([]), json!("p1"), json!(7)] {
            assert_eq!(read(&value), Err(Unreadable::NotAnObject), "{value}");
        }
        let long = "x".repeat(129);
        for id in [json!(""), json!(7), json!(null), json!("a b"), json!("a\0"), json!(long)] {
            assert_eq!(read(&json!({"id": id})), Err(Unreadable::NoId), "{id}");
        }
        assert_eq!(read(&json!({"status": "succeeded"})), Err(Unreadable::NoId));
    }

    #[test]
    fn progress_is_passed_on_when_it_can_be_one() {
        for (progress, expected) in [
            (json!(42.5), Some(42.5)),
            (json!(0), Some(0.0)),
            (json!(100), Some(100.0)),
            (json!(101), None),
            (json!(-1), None),
            (json!("50%"), None),
            (json!(null), None),
        ] {
            let value = json!({"id": "p", "status": "processing", "progress": progress});
            assert_eq!(said(value).standing, Standing::UnderWay { progress: expected });
        }
        let stranger = json!({"id": "p", "status": "warming up"});
        assert_eq!(said(stranger).standing, Standing::UnderWay { progress: None });
    }

    #[test]
    fn an_end_without_an_output_has_to_be_asked_about() {
        for output in [json!(null), json!({}), json!("s3://bucket/key"), json!([])] {
            let value = json!({"id": "p", "status": "succeeded", "output": output});
            assert_eq!(said(value).standing, Standing::Unproven, "{output}");
        }
    }

    #[test]
    fn times_of_every_generation_are_the_same_moment() {
        let millis = 1_764_000_000_000_i64;
        let date = "2025-11-24T16:00:00Z";
        for time in [json!(millis), json!(millis / 1000), json!(date)] {
            let word = said(json!({"id": "p", "updated_at": time}));
            assert_eq!(word.at.map(Timestamp::millis), Some(millis), "{time}");
        }
        for time in [json!(null), json!("yesterday"), json!({}), json!(1.5), json!(i64::MIN)] {
            let word = said(json!({"id": "p", "updated_at": time}));
            assert_eq!(word.at, None, "{time}");
        }
    }

    #[test]
    fn a_failure_has_our_name_when_it_is_of_the_work_and_is_never_long() {
        let failure =
            |error: Value| match said(json!({"id": "p", "status": "failed", "error": error}))
                .standing
            {
                Standing::Failed { failure } => failure,
                other => panic!("{other:?}"),
            };
        let known = failure(json!({"kind": "input_not_found", "message": "gone", "hint": "look",
                                   "log": ["a\nb", 7, "c"]}));
        assert_eq!(known.kind, ErrorKind::InputNotFound);
        assert_eq!((known.message.as_str(), known.hint.as_deref()), ("gone", Some("look")));
        assert_eq!(known.log, ["a b", "c"]);
        for (error, words) in [
            (json!("no sound"), "no sound"),
            (json!({"kind": "internal_error", "message": "oops"}), "oops"),
            (json!({"kind": "provider_no_credit", "message": "theirs"}), "theirs"),
            (json!(null), "the provider failed and did not say why"),
            (json!({"message": ""}), "the provider failed and did not say why"),
        ] {
            let failure = failure(error.clone());
            assert_eq!(failure.kind, ErrorKind::ProviderFailed, "{error}");
            assert_eq!(failure.message, words);
        }
        let long = failure(json!({"message": "ü".repeat(5000), "log": vec!["x".repeat(9999); 99]}));
        assert_eq!(long.message.chars().count(), MAX_WORDS);
        assert!(long.log.len() <= 20 && long.log.iter().all(|line| line.len() <= MAX_WORDS));
    }

    #[test]
    fn our_own_name_for_the_job_comes_back() {
        let word = said(json!({"id": "p", "metadata": {JOB_FIELD: ID, SEQ_FIELD: 2}}));
        let of = word.of.expect("a hand-over");
        assert_eq!((of.job.to_string().as_str(), of.seq), (ID, 2));
        for metadata in [
            json!({JOB_FIELD: ID}),
            json!({JOB_FIELD: "job_1", SEQ_FIELD: 0}),
            json!({JOB_FIELD: ID, SEQ_FIELD: -1}),
            json!("text"),
            json!(null),
        ] {
            assert_eq!(said(json!({"id": "p", "metadata": metadata})).of, None, "{metadata}");
        }
    }

    #[test]
    fn a_files_facts_are_taken_as_far_as_they_can_be_so() {
        let value = json!({"id": "p", "status": "succeeded", "output": {
            "url": "https://cdn.example/a", "kind": "video", "format": "MP4", "filesize": 9,
            "width": 1280, "height": -1, "duration": 2.04, "fps": "25", "bitrate": 800,
            "codecs": {"video": "h264", "audio": null}, "sha256": "ab"
        }});
        let Standing::Succeeded { outputs } = said(value).standing else { panic!("an end") };
        let file = &outputs[0];
        assert_eq!(file.format.as_deref(), Some("mp4"));
        assert_eq!((file.kind, file.filesize), (Some(FileKind::Video), Some(9)));
        assert_eq!((file.width, file.height, file.fps), (Some(1280), None, None));
        assert_eq!((file.duration, file.bitrate), (Some(2.04), Some(800)));
        let codecs = file.codecs.clone().expect("codecs");
        assert_eq!((codecs.video.as_deref(), codecs.audio), (Some("h264"), None));
        assert_eq!(file.sha256, None, "no digest");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(id in ".*", status in ".*", time in ".*", url in ".*") {
            let value = json!({"id": id, "status": status, "updated_at": time, "output": url});
            let _read = read(&value);
            let _shown = words(&status);
        }
    }
}
