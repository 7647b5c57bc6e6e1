//! What is pushed to receivers, as OpenAPI's `webhooks`.

use serde_json::{Value, json};

/// The events of jobs, and when they come.
const EVENTS: [Event; 4] = [
    Event::of_job("job.succeeded", "jobSucceeded", "A job has made its outputs"),
    Event::of_job("job.failed", "jobFailed", "A job has failed"),
    Event::of_job("job.cancelled", "jobCancelled", "A job was cancelled"),
    Event {
        name: "batch.finished",
        id: "batchFinished",
        summary: "All jobs of a batch have ended",
        tells_of: "Batch",
    },
];

struct Event {
    name: &'static str,
    id: &'static str,
    summary: &'static str,
    /// The schema of what it tells of.
    tells_of: &'static str,
}

impl Event {
    const fn of_job(name: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self { name, id, summary, tells_of: "Job" }
    }
}

const TO_CALLERS: &str = "POSTed to the `webhook_url` of its jobs, else to the server's default.";

const TO_OPERATORS: &str =
    "POSTed to the server's `REELWAY_OPERATIONS_URL`, once until it was well again.";

const HOW_IT_IS_SENT: &str = "Any 2xx means that you have it. A redirect is a failure, 410 ends all deliveries to this URL, 429 and 503 are \
    asked again after their `Retry-After`. There are ten attempts over three days; what was not \
    delivered is kept for replay. The same event always has the same `webhook-id`: ignore one that \
    you have seen.";

/// What whoever runs the server is told of, and the fields that say what it is.
const CONDITIONS: [Condition; 4] = [
    Condition {
        name: "endpoint.disabled",
        id: "endpointDisabled",
        summary: "A receiver gets nothing any more: it answered 410, or failed for five days",
        fields: &[
            ("endpoint_url", "string", "The receiver, without what may be secret of its URL."),
            ("project", "string", "Whose it is."),
            ("status", "integer|null", "The status of its last answer."),
            ("error", "string|null", "The class of error when it did not answer."),
            (
                "failing_since",
                "integer|null",
                "Since when it has failed, in milliseconds since 1970.",
            ),
            ("held", "integer", "How many deliveries are held for it."),
        ],
    },
    Condition {
        name: "worker.lost",
        id: "workerLost",
        summary: "A process has said nothing for 45 seconds, and no goodbye",
        fields: &[
            ("worker_id", "string", "The process."),
            ("name", "string", "Its host."),
            ("version", "string", "Its version of Reelway."),
            ("answers", "boolean", "Whether it answered requests too."),
            ("started_at", "integer", "When it began, in milliseconds since 1970."),
            ("last_seen_at", "integer", "When it spoke last, in milliseconds since 1970."),
        ],
    },
    Condition {
        name: "disk.low",
        id: "diskLow",
        summary: "Less than `REELWAY_MIN_FREE_DISK` is free on the disk of a data folder",
        fields: &[
            ("host", "string", "The machine."),
            ("folder", "string", "The data folder on it."),
            ("free_bytes", "integer", "What is free."),
            ("min_free_bytes", "integer", "What should be."),
        ],
    },
    Condition {
        name: "job.poisoned",
        id: "jobPoisoned",
        summary: "A job was given up because its workers died",
        fields: &[
            ("job_id", "string", "The job."),
            ("project", "string", "Whose it is."),
            ("kind", "string", "What it was to make."),
            ("tries", "integer", "How many tries it had."),
        ],
    },
];

struct Condition {
    name: &'static str,
    id: &'static str,
    summary: &'static str,
    /// Name, type and meaning of what only it has.
    fields: &'static [(&'static str, &'static str, &'static str)],
}

/// Every event.
pub(super) fn all() -> Value {
    let of_jobs = EVENTS.iter().map(|event| (event.name, described(event)));
    of_jobs.chain(CONDITIONS.iter().map(|event| (event.name, condition(event)))).collect()
}

fn condition(event: &Condition) -> Value {
    let always = [
        ("hint", "string", "What to do about it."),
        ("page", "string", "The URL of the page that shows it."),
    ];
    let fields: Vec<_> = event.fields.iter().copied().chain(always).collect();
    let names: Vec<_> = fields.iter().map(|(name, ..)| name).collect();
    let properties: Value = fields
        .iter()
        .map(|(name, kind, meaning)| {
            let kinds: Vec<_> = kind.split('|').collect();
            let kind = if let [kind] = kinds[..] { json!(kind) } else { json!(kinds) };
            (*name, json!({"type": kind, "description": meaning}))
        })
        .collect();
    let body = json!({
        "type": "object",
        "required": ["type", "timestamp", "data", "seq"],
        "properties": {
            "type": {"type": "string", "enum": [event.name]},
            "timestamp": {"type": "integer", "description": "In milliseconds since 1970."},
            "data": {"type": "object", "required": names, "properties": properties},
            "seq": {"type": "integer", "enum": [0], "description": "It is the event of no job."}
        }
    });
    push(event.id, event.summary, &format!("{TO_OPERATORS} {HOW_IT_IS_SENT}"), &body)
}

fn described(event: &Event) -> Value {
    let body = json!({
        "allOf": [
            {"$ref": format!("#/components/schemas/{}", event.tells_of)},
            {
                "type": "object",
                "required": ["type", "seq"],
                "properties": {
                    "type": {"type": "string", "enum": [event.name]},
                    "seq": {
                        "type": "integer",
                        "minimum": 1,
                        "description": "Grows with each end: what failed can be retried."
                    }
                }
            }
        ]
    });
    push(event.id, event.summary, &format!("{TO_CALLERS} {HOW_IT_IS_SENT}"), &body)
}

fn push(id: &str, summary: &str, description: &str, body: &Value) -> Value {
    json!({
        "post": {
            "tags": ["Webhooks"],
            "operationId": id,
            "summary": summary,
            "description": description,
            "security": [{}],
            "parameters": headers(),
            "requestBody": {"required": true, "content": {"application/json": {"schema": body}}},
            "responses": {
                "2XX": {"description": "You have it."},
                "410": {"description": "You want no more at this URL."},
                "429": {"description": "Later, please: after `Retry-After` seconds."}
            }
        }
    })
}

/// The headers of every push.
fn headers() -> Value {
    let header = |name: &str, pattern: &str, description: &str| {
        json!({
            "name": name, "in": "header", "required": true, "description": description,
            "schema": {"type": "string", "pattern": pattern}
        })
    };
    let trace = |name: &str, description: &str| {
        json!({
            "name": name, "in": "header", "required": false, "description": description,
            "schema": {"type": "string"}
        })
    };
    json!([
        header("webhook-id", "^evt_", "The event: the same at every attempt."),
        header(
            "webhook-timestamp",
            "^[0-9]+$",
            "When this attempt was made, in seconds since 1970."
        ),
        header(
            "webhook-signature",
            "^v1,[A-Za-z0-9+/=]+( v1,[A-Za-z0-9+/=]+)*$",
            "Standard Webhooks 1.0: `v1,` and the base64 of the HMAC-SHA256 of \
             `{webhook-id}.{webhook-timestamp}.{body}` under the decoded `whsec_` secret; several \
             with spaces between while secrets are changed."
        ),
        header(
            "Ittybit-Signature",
            "^[0-9a-f]{64}$",
            "The hex HMAC-SHA256 of the body under the secret as text, for receivers written for Ittybit."
        ),
        header("webhook-attempt", "^[0-9]+$", "The number of this attempt, from 1."),
        trace(
            "traceparent",
            "W3C Trace Context: the trace that the job was sent with, or that this server began. It is \
             not signed."
        ),
        trace("tracestate", "Goes with it, as it was sent."),
    ])
}
