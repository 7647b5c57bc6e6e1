//! What is pushed to receivers, as OpenAPI's `webhooks`.

use serde_json::{Value, json};

/// The events, and when they come.
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

const HOW: &str = "POSTed to the `webhook_url` of its jobs, else to the server's default. Any 2xx means \
    that you have it. A redirect is a failure, 410 ends all deliveries to this URL, 429 and 503 are \
    asked again after their `Retry-After`. There are ten attempts over three days; what was not \
    delivered is kept for replay. The same event always has the same `webhook-id`: ignore one that \
    you have seen.";

/// Every event.
pub(super) fn all() -> Value {
    EVENTS.iter().map(|event| (event.name, described(event))).collect()
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
    json!({
        "post": {
            "tags": ["Webhooks"],
            "operationId": event.id,
            "summary": event.summary,
            "description": HOW,
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
    ])
}
