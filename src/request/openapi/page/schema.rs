//! Schemas as tables of fields.

use serde_json::{Map, Value};

use super::sample::literal;
use super::text::{escaped, inline};

/// A field of an object as the page shows it.
struct Field<'a> {
    name: &'a str,
    schema: &'a Value,
    is_required: bool,
}

/// Follows references to the schema itself.
pub(super) fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
        Some(pointer) => document.pointer(pointer).unwrap_or(&Value::Null),
        None => schema,
    }
}

fn schemas(document: &Value) -> impl Iterator<Item = (&String, &Value)> {
    document["components"]["schemas"].as_object().into_iter().flatten()
}

/// Whether a schema is shown on its own: it has fields, and is not shown elsewhere.
fn is_object(name: &str, schema: &Value) -> bool {
    schema["properties"].is_object() && !name.ends_with("Making")
}

/// The names of the objects that [`objects`] shows.
pub(super) fn names(document: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = schemas(document)
        .filter(|(name, schema)| is_object(name, schema))
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    names
}

/// Every object with its fields.
pub(super) fn objects(document: &Value) -> String {
    let table = |name: &str| {
        let schema = &document["components"]["schemas"][name];
        let what = schema["description"].as_str().unwrap_or_default();
        format!(
            "<article id=\"{name}\" class=\"object\"><h3>{name}</h3><p>{}</p>{}</article>\n",
            inline(what),
            fields(document, schema)
        )
    };
    names(document).into_iter().map(table).collect()
}

/// The fields of a body: several tables when it can be one of several things.
pub(super) fn fields(document: &Value, schema: &Value) -> String {
    let schema = resolved(document, schema);
    let is_titled = |part: &&Value| part["title"].is_string();
    let parts: Vec<&Value> =
        schema["anyOf"].as_array().into_iter().flatten().filter(is_titled).collect();
    if parts.is_empty() {
        return table(document, schema);
    }
    let titled = parts.into_iter().map(|part| {
        let title = escaped(part["title"].as_str().unwrap_or_default());
        format!("<h5>{title}</h5>{}", table(document, part))
    });
    titled.collect()
}

fn table(document: &Value, schema: &Value) -> String {
    let mut rows = String::new();
    for Field { name, schema, is_required } in flat(document, schema) {
        let what = described(document, schema);
        rows.push_str(&row(name, is_required, &kind(document, schema), &what));
    }
    rows.push_str(&making(document, schema));
    format!("<table class=\"fields\">{rows}</table>")
}

pub(super) fn row(name: &str, is_required: bool, kind: &str, what: &str) -> String {
    let needed = if is_required { " <small>required</small>" } else { "" };
    format!(
        "<tr><th scope=\"row\"><code>{}</code>{needed}</th><td><span class=\"kind\">{kind}</span>{what}</td></tr>\n",
        escaped(name)
    )
}

/// What a field says of itself, or what its type does.
fn described(document: &Value, schema: &Value) -> String {
    let of = |schema: &Value| schema["description"].as_str().map(str::to_owned);
    let mut parts = schema["oneOf"].as_array().into_iter().flatten();
    let what = of(schema)
        .or_else(|| parts.find_map(|part| of(part).or_else(|| of(resolved(document, part)))))
        .or_else(|| of(resolved(document, schema)))
        .unwrap_or_default();
    let default = schema.get("default").map(|value| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!(" <span class=\"default\">default <code>{}</code></span>", escaped(&value))
    });
    format!("{}{}", inline(&what), default.unwrap_or_default())
}

/// The fields of an object, those of all its parts together.
fn flat<'a>(document: &'a Value, schema: &'a Value) -> Vec<Field<'a>> {
    let schema = resolved(document, schema);
    if let Some(parts) = schema["allOf"].as_array() {
        return parts.iter().flat_map(|part| flat(document, part)).collect();
    }
    // Two names for the same thing: the first is the one to use.
    if let Some(first) = schema["anyOf"].get(0).filter(|first| first["required"].is_array()) {
        return flat(document, first);
    }
    let required = schema["required"].as_array();
    let is_required =
        |name: &str| required.is_some_and(|names| names.iter().any(|known| known == name));
    let properties = schema["properties"].as_object().into_iter().flat_map(Map::iter);
    properties
        .filter(|(_, schema)| schema["type"] != "null")
        .map(|(name, schema)| Field { name, schema, is_required: is_required(name) })
        .collect()
}

/// `kind` and the `options` that belong to it, where a schema has that choice.
fn making(document: &Value, schema: &Value) -> String {
    let schema = resolved(document, schema);
    if !schema["discriminator"].is_null() {
        let makings = schema["oneOf"].as_array().into_iter().flatten();
        let (mut kinds, mut options) = (Vec::new(), Vec::new());
        for making in makings.map(|making| resolved(document, making)) {
            let kind =
                escaped(making["properties"]["kind"]["enum"][0].as_str().unwrap_or_default());
            kinds.push(format!("<code>{kind}</code>"));
            options.push(format!(
                "{kind}: {}",
                self::kind(document, &making["properties"]["options"])
            ));
        }
        return row("kind", true, &kinds.join(" "), "What is made.")
            + &row(
                "options",
                false,
                "object",
                &format!("How it is made. {}.", options.join(", ")),
            );
    }
    let parts = ["allOf", "anyOf"].into_iter().filter_map(|name| schema[name].as_array()).flatten();
    parts.map(|part| making(document, part)).collect()
}

/// The type of a value in a few words.
pub(super) fn kind(document: &Value, schema: &Value) -> String {
    let target = resolved(document, schema);
    let name = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
    if let Some(name) = name.filter(|name| is_object(name, target)) {
        return format!("<a href=\"#{name}\">{name}</a>");
    }
    let parts = ["oneOf", "anyOf"].into_iter().filter_map(|name| target[name].as_array()).flatten();
    let parts: Vec<&Value> = parts.collect();
    if !target["discriminator"].is_null() {
        return "an object of <code>kind</code> and <code>options</code>".to_owned();
    }
    if !parts.is_empty() {
        let (nulls, others): (Vec<&Value>, Vec<&Value>) =
            parts.into_iter().partition(|part| part["type"] == "null");
        let mut names: Vec<String> = others.into_iter().map(|part| kind(document, part)).collect();
        names.dedup();
        names.extend((!nulls.is_empty()).then(|| "null".to_owned()));
        return names.join(" or ");
    }
    if let Some(names) = target["enum"].as_array() {
        let shown = names
            .iter()
            .filter_map(Value::as_str)
            .map(|name| format!("<code>{}</code>", escaped(name)));
        return shown.collect::<Vec<_>>().join(" ");
    }
    of_type(document, target)
}

fn of_type(document: &Value, schema: &Value) -> String {
    let names: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => vec!["anything"],
    };
    let name = names.iter().find(|name| **name != "null").copied().unwrap_or("null");
    let mut text = match name {
        "array" => format!("list of {}", kind(document, &schema["items"])),
        "string" => string(schema),
        "integer" | "number" => number(name, schema),
        other => other.to_owned(),
    };
    if names.contains(&"null") && names.len() > 1 {
        text.push_str(" or null");
    }
    text
}

fn string(schema: &Value) -> String {
    if let Some(word) = literal(schema) {
        return format!("<code>{word}</code>");
    }
    let example = schema["examples"][0].as_str().filter(|example| example.len() <= 40);
    match (schema["format"].as_str(), example) {
        (Some("uri"), _) => "URL".to_owned(),
        (_, Some(example)) => format!("string such as <code>{}</code>", escaped(example)),
        _ => "string".to_owned(),
    }
}

fn number(name: &str, schema: &Value) -> String {
    match (schema.get("minimum"), schema.get("maximum")) {
        (Some(min), Some(max)) => format!("{name}, {min} to {max}"),
        (Some(min), None) if min != 0 => format!("{name}, {min} or more"),
        (None, Some(max)) => format!("{name}, at most {max}"),
        _ => name.to_owned(),
    }
}
