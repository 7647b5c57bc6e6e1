//! The document as a page: plain HTML with one style sheet in it, made on the server.
//!
//! It runs no script and loads nothing, so that it can be read offline, saved and printed, and
//! its policy can forbid all the rest.

mod operation;
mod sample;
mod schema;
mod text;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use operation::Operation;
use text::{escaped, prose, slug};

const STYLE: &str = include_str!("style.css");

/// A reel, in the colours of the page.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'\
    %3E%3Crect width='32' height='32' rx='8' fill='%23c2410c'/%3E%3Cpath d='M12 9v14l12-7z' \
    fill='white'/%3E%3C/svg%3E";

/// The page and the policy that goes with it.
pub(super) struct Page {
    /// The whole page.
    pub(super) html: Bytes,
    /// Its `Content-Security-Policy`: the one style sheet, and nothing else.
    pub(super) policy: String,
}

impl Page {
    /// The page of a finished document.
    pub(super) fn of(document: &Value) -> Self {
        let style = STANDARD.encode(Sha256::digest(STYLE));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{style}'; img-src data:; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'"
        );
        Self { html: html(document).into(), policy }
    }
}

fn html(document: &Value) -> String {
    let version = escaped(document["info"]["version"].as_str().unwrap_or_default());
    let groups = groups(document);
    let objects = schema::objects(document);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>Reelway API</title>\n\
         <link rel=\"icon\" href=\"{ICON}\">\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#top\">To the text</a>\n{nav}\n<main id=\"top\">\n\
         <header class=\"intro\"><p class=\"mark\">Reelway <span>{version}</span></p><h1>API</h1>\n\
         {intro}\n{begin}\n</header>\n{operations}\n{webhooks}\n\
         <section class=\"group\" id=\"objects\"><h2>Objects</h2>\n\
         <p class=\"lead\">What requests and answers are made of.</p>\n{objects}</section>\n\
         </main>\n</body>\n</html>\n",
        nav = navigation(&groups, &schema::names(document)),
        intro = prose(document["info"]["description"].as_str().unwrap_or_default()),
        begin = begin(),
        operations = groups.iter().map(|group| group.html(document)).collect::<String>(),
        webhooks = webhooks(document),
    )
}

/// The first thing to do.
fn begin() -> &'static str {
    "<div class=\"begin\"><p>Every request but those marked <b class=\"open\">open</b> carries \
     <code>Authorization: Bearer KEY</code> when the server has keys. The examples take both from \
     the shell:</p><pre><code>export REELWAY=http://localhost:3000 KEY=one-of-your-keys</code></pre>\
     <p>The same as a document for programs: <a href=\"openapi.json\">openapi.json</a>, \
     OpenAPI 3.1.</p></div>"
}

/// The operations of one tag.
struct Group<'a> {
    name: &'a str,
    what: &'a str,
    operations: Vec<Operation<'a>>,
}

fn groups(document: &Value) -> Vec<Group<'_>> {
    let all = operation::all(document);
    let tags = document["tags"].as_array().into_iter().flatten();
    let groups = tags.filter_map(|tag| {
        let name = tag["name"].as_str()?;
        let operations: Vec<_> =
            all.iter().filter(|operation| operation.tag() == name).copied().collect();
        let what = tag["description"].as_str().unwrap_or_default();
        (!operations.is_empty()).then_some(Group { name, what, operations })
    });
    groups.collect()
}

impl Group<'_> {
    fn html(&self, document: &Value) -> String {
        let operations: String =
            self.operations.iter().map(|operation| operation.html(document)).collect();
        format!(
            "<section class=\"group\" id=\"{id}\"><h2>{name}</h2>\n<p class=\"lead\">{what}</p>\n\
             {operations}</section>\n",
            id = slug(self.name),
            name = escaped(self.name),
            what = escaped(self.what),
        )
    }
}

fn navigation(groups: &[Group<'_>], objects: &[&str]) -> String {
    let mut list = String::new();
    for group in groups {
        list.push_str(&format!(
            "<li><a href=\"#{}\">{}</a><ul>",
            slug(group.name),
            escaped(group.name)
        ));
        for operation in &group.operations {
            list.push_str(&operation.link());
        }
        list.push_str("</ul></li>\n");
    }
    list.push_str("<li><a href=\"#pushes\">What receivers get</a></li>\n");
    list.push_str("<li><a href=\"#objects\">Objects</a><ul class=\"names\">");
    for name in objects {
        list.push_str(&format!("<li><a href=\"#{name}\">{name}</a></li>"));
    }
    list.push_str("</ul></li>");
    format!(
        "<nav aria-label=\"Contents\"><details><summary>Contents</summary><ul>{list}</ul></details>\
         <div class=\"wide\"><p class=\"mark\"><a href=\"#top\">Reelway</a></p><ul>{list}</ul></div></nav>"
    )
}

/// What is pushed: one set of headers and one body for all events.
fn webhooks(document: &Value) -> String {
    let Some(events) = document["webhooks"].as_object() else { return String::new() };
    let Some(first) = events.values().next().map(|item| &item["post"]) else {
        return String::new();
    };
    let mut names = String::new();
    for (name, item) in events {
        names.push_str(&format!(
            "<tr><th scope=\"row\"><code>{}</code></th><td>{}</td></tr>",
            escaped(name),
            escaped(item["post"]["summary"].as_str().unwrap_or_default())
        ));
    }
    let body =
        first.pointer("/requestBody/content/application~1json/schema").unwrap_or(&Value::Null);
    format!(
        "<section class=\"group\" id=\"pushes\"><h2>What receivers get</h2>\n\
         <article><div class=\"text\">{how}<h4>Events</h4><table>{names}</table>\
         <h4>Headers</h4>{headers}<h4>Body</h4><p>The <a href=\"#Job\">Job</a> as it was when it \
         ended, or the <a href=\"#Batch\">Batch</a>, with <code>type</code> (the event) and \
         <code>seq</code>.</p></div>\
         <div class=\"code\"><figure><figcaption>Body</figcaption>{sample}</figure></div></article></section>",
        how = prose(first["description"].as_str().unwrap_or_default()),
        headers = operation::parameters(document, first),
        sample = sample::shown(&sample::of(document, body)),
    )
}
