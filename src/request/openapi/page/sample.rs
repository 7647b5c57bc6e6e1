//! Examples: the schema's own where it has one, else one that is made of its parts.

use serde_json::{Map, Value, json};

use super::schema::resolved;
use super::text::escaped;

/// How deep an example goes.
const MAX_DEPTH: usize = 6;

/// An example of a schema.
pub(super) fn of(document: &Value, schema: &Value) -> Value {
    made(document, schema, MAX_DEPTH)
}

fn made(document: &Value, schema: &Value, depth: usize) -> Value {
    let schema = resolved(document, schema);
    if let Some(given) = schema["examples"].get(0).or_else(|| schema.get("example")) {
        return given.clone();
    }
    if depth == 0 {
        return Value::Null;
    }
    let parts = |name: &str| schema[name].as_array().cloned().unwrap_or_default();
    let all_of = parts("allOf");
    if !all_of.is_empty() {
        let objects = all_of.iter().map(|part| made(document, part, depth));
        let merged: Map<String, Value> =
            objects.filter_map(|part| part.as_object().cloned()).flatten().collect();
        return Value::Object(merged);
    }
    let one_of = [parts("oneOf"), parts("anyOf")].concat();
    if let Some(first) = one_of.iter().find(|part| part["type"] != "null") {
        return made(document, first, depth);
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    of_type(document, schema, depth)
}

fn of_type(document: &Value, schema: &Value, depth: usize) -> Value {
    let name = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match name.unwrap_or_default() {
        "object" => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            let made =
                properties.map(|(name, part)| (name.clone(), made(document, part, depth - 1)));
            Value::Object(made.collect())
        }
        "array" => json!([made(document, &schema["items"], depth - 1)]),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
        "boolean" => json!(true),
        "string" => literal(schema).unwrap_or("…").into(),
        _ => Value::Null,
    }
}

/// The one word that a pattern such as `^job$` allows.
pub(super) fn literal(schema: &Value) -> Option<&str> {
    let word = schema["pattern"].as_str()?.strip_prefix('^')?.strip_suffix('$')?;
    word.bytes().all(|byte| byte.is_ascii_alphanumeric()).then_some(word)
}

/// JSON in colours.
pub(super) fn shown(value: &Value) -> String {
    format!("<pre><code>{}</code></pre>", coloured(&format!("{value:#}")))
}

/// Strings, keys and numbers of a JSON text in spans of their own.
pub(super) fn coloured(json: &str) -> String {
    let mut html = String::new();
    for line in json.lines() {
        let text = line.trim_start();
        html.push_str(&line[..line.len() - text.len()]);
        let (key, rest) = match text.split_once("\": ") {
            Some((key, rest)) if key.starts_with('"') => (Some(key), rest),
            _ => (None, text),
        };
        if let Some(key) = key {
            html.push_str(&format!("<b>{}&quot;</b>: ", escaped(key)));
        }
        let (value, comma) = rest.strip_suffix(',').map_or((rest, ""), |value| (value, ","));
        match value.chars().next() {
            Some('"') => html.push_str(&format!("<i>{}</i>", escaped(value))),
            Some(c) if c.is_ascii_alphanumeric() || c == '-' => {
                html.push_str(&format!("<em>{}</em>", escaped(value)));
            }
            _ => html.push_str(&escaped(value)),
        }
        html.push_str(comma);
        html.push('\n');
    }
    html.truncate(html.trim_end().len());
    html
}
