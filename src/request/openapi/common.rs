//! What all routes have in common, and what the collected document cannot say by itself.

use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

use super::problems::{Row, response};
use super::webhooks;

/// The methods of a path that are operations.
const METHODS: [&str; 7] = ["get", "head", "options", "put", "post", "delete", "patch"];

/// Every route that asks for a key.
const NO_KEY: Row = (401, "No key, or one that is not known.", &["token_missing", "token_invalid"]);

/// Every route that asks for a key.
const NO_SCOPE: Row = (403, "The key has no scope for this.", &["scope_missing"]);

/// Every route that asks for a key.
const TOO_OFTEN: Row =
    (429, "The key, or the address without one, asks too often.", &["rate_limited"]);

/// Every route.
const TOO_SLOW: Row = (408, "The request took too long.", &["request_timeout"]);

/// Every route.
const AWAY: Row = (503, "The server cannot do it just now; try again.", &["server_unavailable"]);

/// Every route.
const OURS: Row = (500, "Something went wrong on the server.", &["internal_error"]);

/// The document as it is published.
pub(super) fn finished(api: &OpenApi) -> Value {
    // Texts, numbers and lists of them are always JSON.
    let mut document = serde_json::to_value(api).unwrap_or_default();
    without_empty_defaults(&mut document);
    document["webhooks"] = webhooks::all();
    document["components"]["schemas"]["Job"]["examples"] = json!([job()]);
    document["paths"]["/jobs"]["post"]["responses"]["201"]["content"]["application/json"]["example"] =
        accepted(job());
    document["components"]["responses"] = json!({
        "NoKey": response(&NO_KEY),
        "NoScope": response(&NO_SCOPE),
        "TooOften": response(&TOO_OFTEN),
        "TooSlow": response(&TOO_SLOW),
        "Ours": response(&OURS),
        "Away": response(&AWAY),
    });
    document["components"]["headers"] = json!({
        "RequestId": {
            "description": "The name of this request: yours if you sent one, else a new one.",
            "schema": {"type": "string"}
        }
    });
    if let Value::Object(paths) = document["paths"].take() {
        document["paths"] =
            paths.into_iter().map(|(path, item)| (templated(&path), item)).collect();
    }
    for operation in operations(&mut document) {
        complete(operation);
    }
    document
}

/// A job as the documentation shows it.
fn job() -> Value {
    serde_json::from_str(include_str!("job.json")).unwrap_or_default()
}

/// The same job when it has just been accepted.
fn accepted(mut job: Value) -> Value {
    job["status"] = "queued".into();
    job["progress"] = json!(0.0);
    for list in ["outputs", "tasks"] {
        job[list] = json!([]);
    }
    for later in ["output", "output_url", "started_at", "finished_at", "completed_at"] {
        job[later] = Value::Null;
    }
    job["updated_at"] = job["created_at"].clone();
    job
}

/// A path as OpenAPI writes it: axum's `{*key}`, which takes slashes too, is a `{key}`.
fn templated(path: &str) -> String {
    path.replace("{*", "{")
}

fn operations(document: &mut Value) -> impl Iterator<Item = &mut Map<String, Value>> {
    let paths = document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    let items = paths.filter_map(Value::as_object_mut).flat_map(Map::iter_mut);
    let of_methods = items.filter(|(name, _)| METHODS.contains(&name.as_str()));
    of_methods.filter_map(|(_, operation)| operation.as_object_mut())
}

/// Adds the answers that every operation has, and the header that every answer has.
fn complete(operation: &mut Map<String, Value>) {
    let asks_for_a_key = operation
        .get("security")
        .and_then(Value::as_array)
        .is_some_and(|ways| ways.iter().any(|way| way.get("key").is_some()));
    for parameter in
        operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten()
    {
        never_null(&mut parameter["schema"]);
    }
    let Some(answers) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    for answer in answers.values_mut() {
        let content = answer.get_mut("content").and_then(|content| content.get_mut("*/*"));
        if let Some(bytes) = content {
            *bytes = json!({});
        }
        let headers = &mut answer["headers"];
        for header in headers.as_object_mut().into_iter().flat_map(Map::values_mut) {
            never_null(&mut header["schema"]);
        }
        headers["X-Request-Id"] = json!({"$ref": "#/components/headers/RequestId"});
    }
    let mut add = |status: &str, name: &str| {
        let reference = json!({"$ref": format!("#/components/responses/{name}")});
        answers.entry(status).or_insert(reference);
    };
    if asks_for_a_key {
        add("401", "NoKey");
        add("403", "NoScope");
        add("429", "TooOften");
    }
    add("408", "TooSlow");
    add("500", "Ours");
    add("503", "Away");
    answers.sort_keys();
}

/// What is not in a header or a query is left out there, and never `null`.
fn never_null(schema: &mut Value) {
    let kinds = schema.get_mut("type").filter(|kinds| kinds.is_array());
    if let Some(kinds) = kinds {
        *kinds = kinds[0].take();
    }
}

/// An option without a default says nothing about one, which utoipa writes as `null`.
fn without_empty_defaults(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if object.get("default").is_some_and(Value::is_null) {
                object.shift_remove("default");
            }
            object.values_mut().for_each(without_empty_defaults);
        }
        Value::Array(items) => items.iter_mut().for_each(without_empty_defaults),
        _ => {}
    }
}
