//! One operation: what it does, what it takes, what it answers, and how to call it.

use serde_json::{Map, Value};

use super::sample;
use super::schema::{self, resolved};
use super::text::{escaped, inline, prose};

/// The methods, in the order in which one meets them: a thing is made before it is listed.
const METHODS: [&str; 7] = ["post", "get", "head", "put", "patch", "delete", "options"];

/// A method of a path.
#[derive(Clone, Copy)]
pub(super) struct Operation<'a> {
    path: &'a str,
    method: &'a str,
    value: &'a Value,
}

/// Every operation, in the order of the document.
pub(super) fn all(document: &Value) -> Vec<Operation<'_>> {
    let paths = document["paths"].as_object().into_iter().flat_map(Map::iter);
    let all = paths.flat_map(|(path, item)| {
        let methods = METHODS.into_iter().filter_map(|method| Some((method, item.get(method)?)));
        methods.map(move |(method, value)| Operation { path, method, value })
    });
    all.collect()
}

impl Operation<'_> {
    pub(super) fn tag(&self) -> &str {
        self.value["tags"][0].as_str().unwrap_or_default()
    }

    fn text(&self, name: &str) -> &str {
        self.value[name].as_str().unwrap_or_default()
    }

    /// Whether it can be called without a key.
    fn is_open(&self) -> bool {
        self.value["security"]
            .as_array()
            .is_some_and(|ways| ways.iter().any(|way| way.as_object().is_some_and(Map::is_empty)))
    }

    /// Its line in the contents.
    pub(super) fn link(&self) -> String {
        format!(
            "<li><a href=\"#{}\"><span class=\"verb {method}\">{verb}</span>{}</a></li>",
            self.text("operationId"),
            escaped(self.text("summary")),
            method = self.method,
            verb = verb(self.method),
        )
    }

    pub(super) fn html(&self, document: &Value) -> String {
        let open = if self.is_open() { "<b class=\"open\">open</b>" } else { "" };
        format!(
            "<article id=\"{id}\"><div class=\"text\"><h3>{summary}</h3>\
             <p class=\"route\"><span class=\"verb {method}\">{verb}</span><code>{path}</code>{open}</p>\n\
             {what}{parameters}{body}{answers}</div>\n<div class=\"code\">{call}{answer}</div></article>\n",
            id = self.text("operationId"),
            summary = escaped(self.text("summary")),
            method = self.method,
            verb = self.method.to_uppercase(),
            path = path(self.path),
            what = prose(self.text("description")),
            parameters = self.parameters(document),
            body = self.body(document),
            answers = self.answers(document),
            call = self.call(document),
            answer = self.answer(document),
        )
    }

    fn parameters(&self, document: &Value) -> String {
        if self.value["parameters"].as_array().is_none_or(Vec::is_empty) {
            return String::new();
        }
        format!("<h4>Parameters</h4>{}", parameters(document, self.value))
    }

    fn request(&self) -> Option<&Value> {
        self.value.pointer("/requestBody/content/application~1json/schema")
    }

    fn body(&self, document: &Value) -> String {
        let table = self.request().map(|schema| schema::fields(document, schema));
        // In a request `null` is the same as nothing.
        table
            .map(|table| format!("<h4>Body</h4>{}", table.replace(" or null", "")))
            .unwrap_or_default()
    }

    /// Every status with what it means, and the kinds of problem that come with it.
    fn answers(&self, document: &Value) -> String {
        let answers = self.value["responses"].as_object().into_iter().flat_map(Map::iter);
        let mut rows = String::new();
        for (status, answer) in answers {
            let answer = resolved(document, answer);
            let what = inline(answer["description"].as_str().unwrap_or_default());
            let family = if status.starts_with('2') { "fine" } else { "not" };
            rows.push_str(&format!(
                "<tr class=\"{family}\"><th scope=\"row\">{}</th><td>{what}{}</td></tr>\n",
                escaped(status),
                carried(document, answer)
            ));
        }
        format!("<h4>Answers</h4><table class=\"answers\">{rows}</table>")
    }

    /// The call as it is typed.
    fn call(&self, document: &Value) -> String {
        let mut lines = vec![match self.method {
            "get" => format!("curl \"$REELWAY{}\"", self.path),
            method => format!("curl -X {} \"$REELWAY{}\"", method.to_uppercase(), self.path),
        }];
        if !self.is_open() {
            lines.push("  -H \"Authorization: Bearer $KEY\"".to_owned());
        }
        let mut text = escaped(&lines.join(" \\\n"));
        if let Some(schema) = self.request() {
            let example = sample::of(document, schema);
            text.push_str(&escaped(" \\\n  -H 'content-type: application/json' \\\n  -d '"));
            text.push_str(&sample::coloured(&format!("{example:#}").replace('\n', "\n  ")));
            text.push_str("&#39;");
        }
        format!("<figure><figcaption>Call</figcaption><pre><code>{text}</code></pre></figure>")
    }

    /// The first good answer that has a body.
    fn answer(&self, document: &Value) -> String {
        let answers = self.value["responses"].as_object().into_iter().flat_map(Map::iter);
        let good = answers.filter(|(status, _)| status.starts_with('2'));
        let mut with_body = good.filter_map(|(status, answer)| {
            let media = answer.pointer("/content/application~1json")?;
            Some((status, media)).filter(|(_, media)| media["schema"]["type"] != "object")
        });
        // A new thing is more telling than one that was there before.
        let with_body = with_body.by_ref().max_by_key(|(status, _)| status.as_str());
        let Some((status, media)) = with_body else { return String::new() };
        let example = media.get("example").cloned();
        let example = example.unwrap_or_else(|| sample::of(document, &media["schema"]));
        format!(
            "<figure><figcaption>{}</figcaption>{}</figure>",
            escaped(status),
            sample::shown(&example)
        )
    }
}

/// A table of what stands in path, query and headers.
pub(super) fn parameters(document: &Value, operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let rows: String = parameters
        .map(|parameter| {
            let name = parameter["name"].as_str().unwrap_or_default();
            let place = parameter["in"].as_str().unwrap_or_default();
            let what = inline(parameter["description"].as_str().unwrap_or_default());
            let kind = format!("{}, {place}", schema::kind(document, &parameter["schema"]));
            let kind = kind.replace(" or null", "");
            schema::row(name, parameter["required"] == true, &kind, &what)
        })
        .collect();
    format!("<table class=\"fields\">{rows}</table>")
}

/// What an answer carries: an object, the kinds of its problem, its headers.
fn carried(document: &Value, answer: &Value) -> String {
    let mut text = String::new();
    if let Some((media, content)) =
        answer["content"].as_object().and_then(|content| content.iter().next())
    {
        let kinds = &content["schema"]["allOf"][1]["properties"]["kind"]["enum"];
        if let Some(kinds) = kinds.as_array() {
            let kinds = kinds.iter().filter_map(Value::as_str);
            text.extend(
                kinds.map(|kind| format!(" <code class=\"problem\">{}</code>", escaped(kind))),
            );
        } else if media == "application/json" {
            text.push_str(&format!(
                " <span class=\"kind\">{}</span>",
                schema::kind(document, &content["schema"])
            ));
        } else {
            text.push_str(&format!(" <span class=\"kind\">{}</span>", escaped(media)));
        }
    }
    let headers = answer["headers"].as_object().into_iter().flat_map(Map::iter);
    for (name, header) in headers.filter(|(name, _)| *name != "X-Request-Id") {
        let what = inline(header["description"].as_str().unwrap_or_default());
        text.push_str(&format!("<br><code>{}</code> {what}", escaped(name)));
    }
    text
}

/// A path with its variables marked.
fn path(path: &str) -> String {
    escaped(path).replace('{', "<var>{").replace('}', "}</var>")
}

/// A method in five letters at most.
fn verb(method: &str) -> String {
    let verb = match method {
        "delete" => "del",
        "options" => "opt",
        other => other,
    };
    verb.to_uppercase()
}
