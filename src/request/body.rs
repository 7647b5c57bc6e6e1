//! A JSON object from the body, or the 4xx that says why not.
//!
//! The first of two steps: here the body becomes an object, in [`mod@super::submit`] the object
//! becomes a job. Types are checked in the second step, where the path of a wrong value is known
//! exactly.

use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use serde_json::{Map, Value};

use super::{AppState, Problem};

/// The deepest nesting that is read: far more than any valid body has.
const MAX_DEPTH: usize = 32;

/// The body of a request: a JSON object, and the bytes that it was read from.
pub(super) struct Sent {
    /// As it was sent.
    pub(super) bytes: Bytes,
    /// As it was read.
    pub(super) object: Map<String, Value>,
}

impl FromRequest<AppState> for Sent {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        check_content_type(request.headers())?;
        let bytes = read(request.into_body(), state.limits.max_body_bytes).await?;
        let object = parse(&bytes)?;
        Ok(Self { bytes, object })
    }
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    let sent = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let essence = sent.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    if is_json(essence) {
        return Ok(());
    }
    let message = match sent {
        None => "the request does not say what its body is",
        Some(_) => "the body must be JSON",
    };
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
        .hint("send the header `Content-Type: application/json`"))
}

fn is_json(essence: &str) -> bool {
    let essence = essence.to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

pub(super) async fn read(body: Body, max_bytes: usize) -> Result<Bytes, Problem> {
    // An honest length is refused before anything is read.
    if body.size_hint().lower() > max_bytes as u64 {
        return Err(too_large(max_bytes));
    }
    let mut chunks = body.into_data_stream();
    let mut bytes = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| {
            let message = "the body did not arrive whole";
            Problem::new(StatusCode::BAD_REQUEST, "invalid_input", message)
        })?;
        if bytes.len() + chunk.len() > max_bytes {
            return Err(too_large(max_bytes));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

fn too_large(max_bytes: usize) -> Problem {
    let message = format!("the body is larger than {max_bytes} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
        .hint("send the URL of the media, not the media itself")
}

fn parse(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    if is_too_deep(bytes) {
        let message = format!("the body is nested deeper than {MAX_DEPTH} levels");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_json", message));
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => {
            let message = "the body must be a JSON object";
            Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_input", message)
                .hint(r#"for example {"input": "https://example.com/a.mp4", "kind": "video"}"#))
        }
        Err(error) => {
            let message = format!("the body is not JSON: {error}");
            Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_json", message))
        }
    }
}

/// Counts brackets outside of strings, before a parser sees them.
fn is_too_deep(bytes: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(bytes: &[u8]) -> &'static str {
        parse(bytes).err().map_or("fine", |problem| problem.kind())
    }

    #[test]
    fn a_body_is_an_object_of_limited_depth() {
        assert_eq!(kind(br#"{"a": "\"[[[["}"#), "fine");
        assert_eq!(kind(b"[]"), "invalid_input");
        assert_eq!(kind(b""), "invalid_json");
        assert_eq!(kind(b"{\"a\": \xff}"), "invalid_json");
        let nested = |depth: usize| {
            format!(r#"{{"a": {}{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1))
        };
        assert_eq!(kind(nested(MAX_DEPTH).as_bytes()), "fine");
        assert_eq!(kind(nested(MAX_DEPTH + 1).as_bytes()), "invalid_json");
        assert_eq!(kind(nested(100_000).as_bytes()), "invalid_json");
    }

    #[test]
    fn only_json_media_types_are_json() {
        for json in ["application/json", "APPLICATION/JSON", "application/cloudevents+json"] {
            assert!(is_json(json), "{json}");
        }
        for other in ["", "text/json", "application/x-www-form-urlencoded", "json", "text/plain"] {
            assert!(!is_json(other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _outcome = parse(&bytes);
        }
    }
}
