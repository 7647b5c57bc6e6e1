//! What the server said, in a form that can be compared.

use std::collections::HashMap;

use axum::body::to_bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use serde_json::Value;

/// The prefixes of ids.
const PREFIXES: [&str; 11] =
    ["job_", "task_", "batch_", "evt_", "dlv_", "wrk_", "req_", "conn_", "upl_", "key_", "aud_"];

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) async fn of(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a whole body");
        Self { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The `kind` of a problem.
    pub(crate) fn kind(&self) -> String {
        self.json()["kind"].as_str().unwrap_or_default().to_owned()
    }

    /// Status, telling headers and body, with every id replaced by its number of appearance.
    pub(crate) fn shown(&self) -> String {
        let told = ["allow", "location", "link", "has-more", "retry-after", "www-authenticate"];
        let mut text = self.status.to_string();
        for name in told.into_iter().chain(["idempotency-replayed"]) {
            if self.headers.contains_key(name) {
                text.push_str(&format!("\n{name}: {}", self.header(name)));
            }
        }
        if !self.body.is_empty() {
            let pretty = serde_json::to_string_pretty(&self.json()).expect("JSON");
            text.push_str(&format!("\n\n{pretty}"));
        }
        redacted(&text)
    }
}

/// The text with ids numbered and signatures taken out: the same id has the same number.
pub(crate) fn redacted(text: &str) -> String {
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut shown = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let id = PREFIXES.iter().find(|prefix| rest.starts_with(**prefix)).and_then(|prefix| {
            let id = rest.get(..prefix.len() + 26)?;
            let tail = &id[prefix.len()..];
            tail.bytes().all(|b| b.is_ascii_alphanumeric()).then_some((id, prefix))
        });
        if let Some((id, prefix)) = id {
            let next = numbers.len() + 1;
            let number = *numbers.entry(id).or_insert(next);
            shown.push_str(&format!("{prefix}#{number}"));
            rest = &rest[id.len()..];
        } else if let Some(after) = rest.strip_prefix("signature=") {
            shown.push_str("signature=…");
            rest = after.trim_start_matches(|c: char| c.is_ascii_hexdigit());
        } else {
            shown.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    shown
}
