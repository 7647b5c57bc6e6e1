//! The API's document: whole, true, and the one that the repository shows.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reelway::clock::Clock as _;
use reelway::job::{Kind, Options};
use reelway::request::Auth;
use reelway::store::Store as _;
use reelway::webhook::{Message, Secret};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::app::TestApp;
use crate::contract::Contract;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Each file of the request module with its text, tests apart.
fn sources() -> Vec<(String, String)> {
    let folder = root().join("src/request");
    let files = fs::read_dir(folder).expect("a folder").filter_map(Result::ok);
    let files = files.filter(|file| file.path().is_file());
    files
        .map(|file| {
            let text = fs::read_to_string(file.path()).expect("a file");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
            (file.file_name().to_string_lossy().into_owned(), code)
        })
        .collect()
}

#[tokio::test]
async fn the_openapi_reference_page_is_what_the_server_says() {
    let app = TestApp::new().await;
    let path = root().join("docs/openapi.json");
    let said = app.get("/openapi.json").await.body;
    if std::env::var_os("REELWAY_UPDATE_DOCS").is_some() {
        fs::write(&path, &said).expect("docs/openapi.json");
    }
    assert!(
        fs::read(&path).is_ok_and(|kept| kept == said),
        "docs/openapi.json is not of this version: `make docs` writes it"
    );
}

#[tokio::test]
async fn the_document_and_its_page_need_no_key() {
    let app = TestApp::with(|state| state.auth = Auth::new(&["secret".into()])).await;
    for path in ["/openapi.json", "/docs"] {
        assert_eq!(app.get(path).await.status, 200, "{path}");
    }
    assert_eq!(app.get("/jobs").await.status, 401);
}

#[tokio::test]
async fn every_route_is_in_the_document_and_nothing_else_is() {
    // A route that is added past the document would be added by `.route(`.
    let sources = sources();
    for (name, code) in &sources {
        assert!(!code.contains(".route("), "{name}: use `.routes(routes!(…))`");
    }
    let described: usize =
        sources.iter().map(|(_, code)| code.matches("#[utoipa::path(").count()).sum();
    let app = TestApp::new().await;
    let contract = Contract::of(&app.router).await;
    let operations = contract.operations();
    // The two of the document itself are described below `openapi`.
    assert_eq!(operations.len(), described + 2, "a handler is in no router");
    for (path, method, _) in &operations {
        let path = path.replace("{id}", "job_01h2xcejqtf2nbrexx3vqjhp41").replace("{key}", "a/b");
        let json = [("content-type", "application/json")];
        let answer = app.call(method.clone(), &path, &json, Body::from("{}")).await;
        let is_a_route =
            answer.status != 405 && (answer.body.is_empty() || !is_no_route(&answer.body));
        assert!(is_a_route, "{method} {path}: {answer:?}");
    }
}

fn is_no_route(body: &[u8]) -> bool {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    body["kind"] == "not_found"
}

#[tokio::test]
async fn every_operation_has_a_name_of_its_own_and_says_what_it_does() {
    let app = TestApp::new().await;
    let contract = Contract::of(&app.router).await;
    let tags = contract.document()["tags"].as_array().expect("tags");
    let mut names = BTreeSet::new();
    for (path, method, operation) in contract.operations() {
        let text = |name: &str| operation.value()[name].as_str().unwrap_or_default().to_owned();
        assert!(names.insert(text("operationId")), "{method} {path}: its name is taken");
        for name in ["operationId", "summary", "description"] {
            assert!(!text(name).is_empty(), "{method} {path}: no {name}");
        }
        let tag = &operation.value()["tags"][0];
        assert!(tags.iter().any(|known| known["name"] == *tag), "{method} {path}: {tag}");
    }
}

/// Every value of `name` anywhere in `value`.
fn all<'a>(name: &str, value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get(name));
            object.values().for_each(|value| all(name, value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| all(name, value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    let app = TestApp::new().await;
    let document = Contract::of(&app.router).await.document();
    let mut references = Vec::new();
    all("$ref", document, &mut references);
    assert!(references.len() > 50, "{references:?}");
    for reference in references {
        let pointer =
            reference.as_str().and_then(|text| text.strip_prefix('#')).expect("a pointer");
        assert!(document.pointer(pointer).is_some(), "{pointer} is not there");
    }
}

#[tokio::test]
async fn the_kinds_of_problems_in_the_document_are_those_of_the_code() {
    let app = TestApp::new().await;
    let document = Contract::of(&app.router).await.document();
    let mut in_document = BTreeSet::new();
    for part in [&document["paths"], &document["components"]["responses"]] {
        let mut schemas = Vec::new();
        all("allOf", part, &mut schemas);
        for schema in
            schemas.into_iter().filter(|schema| schema[0]["$ref"] == "#/components/schemas/Problem")
        {
            let kinds = schema[1]["properties"]["kind"]["enum"].as_array().expect("kinds");
            in_document.extend(kinds.iter().map(|kind| kind.as_str().expect("a name").to_owned()));
        }
    }
    // A kind is a literal right behind the status of a problem.
    let mut in_code = BTreeSet::from(["method_not_allowed".to_owned()]);
    for (_, code) in sources() {
        let after = [
            "Problem::new(StatusCode::",
            "Self::new(StatusCode::",
            "Problem::not_found(",
            "unauthorized(",
        ];
        for start in after {
            for rest in code.split(start).skip(1) {
                let literal = rest.split('"').nth(1).unwrap_or_default();
                let is_kind = literal.contains('_')
                    && literal.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
                in_code.extend(is_kind.then(|| literal.to_owned()));
            }
        }
    }
    // No operation has it: the method is none of the document's.
    in_document.insert("method_not_allowed".to_owned());
    assert_eq!(in_document, in_code);
}

/// The schema of a kind's options.
fn options_of(contract: &Contract, kind: Kind) -> &Value {
    let schemas = &contract.document()["components"]["schemas"];
    let words = kind.name().split('_').map(|word| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    });
    let making = &schemas[words.collect::<String>() + "Making"];
    let mut references = Vec::new();
    all("$ref", &making["properties"]["options"], &mut references);
    let pointer =
        references[0].as_str().and_then(|text| text.strip_prefix('#')).expect("a pointer");
    contract.document().pointer(pointer).expect("options")
}

/// What the decoder says when it is asked for an option that no kind has.
fn names_of(kind: Kind) -> BTreeSet<String> {
    let Value::Object(unknown) = json!({"no such option": 1}) else { unreachable!() };
    let error = Options::decode(kind, &unknown).expect_err("an unknown option");
    let (_, names) = error.message.split_once("there are ").expect("names");
    names.split(", ").filter(|name| *name != "none").map(str::to_owned).collect()
}

#[tokio::test]
async fn the_options_in_the_document_are_those_that_the_decoder_knows() {
    let app = TestApp::new().await;
    let contract = Contract::of(&app.router).await;
    for kind in Kind::ALL {
        let schema = options_of(contract, kind);
        let properties = schema["properties"].as_object();
        let documented: BTreeSet<String> =
            properties.into_iter().flat_map(|properties| properties.keys().cloned()).collect();
        assert_eq!(documented, names_of(kind), "{kind:?}");
        assert_eq!(schema["additionalProperties"], false, "{kind:?}");
    }
}

/// Values near every limit that an option has, and far from all.
fn candidates() -> Vec<Value> {
    let mut candidates = vec![Value::Null, json!(true), json!([]), json!({}), json!(1e300)];
    let numbers = [
        -1.5,
        -1.0,
        0.0,
        0.5,
        1.0,
        1.5,
        10.0,
        59.0,
        60.0,
        60.5,
        61.0,
        640.0,
        8192.0,
        8193.0,
        31_999.0,
        32_000.0,
        320_000.0,
        320_001.0,
        299_999.0,
        300_000.0,
        360_000.0,
        360_001.0,
        60_000_000.0,
        60_000_001.0,
    ];
    for number in numbers {
        let is_whole = f64::fract(number) == 0.0;
        candidates.push(if is_whole { json!(number as i64) } else { json!(number) });
    }
    let texts = [
        "", "0", "1", "640", "8192", "8193", "0%", "0.5%", "50%", "100%", "100.5%", "101%", "50",
        "%", "#fff", "fff", "#ffff", "#1e90ff", "1E90FF", "#12345g", "red", "nonsense", "MP4",
    ];
    candidates.extend(texts.map(|text| json!(text)));
    // Every name that any option takes.
    let names = [
        "hls",
        "dash",
        "fmp4",
        "ts",
        "mp4",
        "webm",
        "mov",
        "h264",
        "h265",
        "vp9",
        "av1",
        "mp3",
        "aac",
        "m4a",
        "ogg",
        "opus",
        "wav",
        "flac",
        "jpeg",
        "jpg",
        "png",
        "webp",
        "avif",
        "gif",
        "very_low",
        "low",
        "medium",
        "high",
        "very_high",
        "contain",
        "cover",
        "fill",
        "center",
        "top",
        "bottom",
        "left",
        "right",
        "top_left",
        "top_right",
        "bottom_left",
        "bottom_right",
        "burn_in",
        "lufs",
        "json",
        "hls",
        "dash",
        "fmp4",
        "ts",
    ];
    candidates.extend(names.map(|name| json!(name)));
    candidates
}

/// What an option needs beside it to be good at all: the rules between two options are the
/// decoder's alone.
fn company(kind: Kind, name: &str, value: &Value) -> Map<String, Value> {
    let mut options = Map::new();
    if kind == Kind::Animation {
        options.insert("end".to_owned(), json!(360_000));
        options.insert("start".to_owned(), json!(359_990));
    }
    if name == "start" {
        let end = value.as_f64().map_or(5.0, |start| start + 1.0);
        if options_take(kind, "end") {
            options.insert("end".to_owned(), json!(end.clamp(1.0, 360_000.0)));
        }
    }
    if name == "end" && kind == Kind::Animation {
        let start = value.as_f64().map_or(0.0, |end| (end - 1.0).max(0.0));
        options.insert("start".to_owned(), json!(start));
    }
    if name == "codec" && value == "vp9" {
        options.insert("format".to_owned(), json!("webm"));
    }
    if name == "waveform_points" {
        options.insert("waveform".to_owned(), json!("json"));
    }
    if name == "target_lufs" {
        options.insert("normalize".to_owned(), json!("lufs"));
    }
    if name == "subtitle_style" {
        options.insert("subtitle_url".to_owned(), json!("https://example.com/a.srt"));
    }
    options
}

/// Times that leave no room for the one beside them.
fn has_no_company(name: &str, value: &Value) -> bool {
    (name == "end" && *value == 0) || (name == "start" && *value == 360_000)
}

fn options_take(kind: Kind, name: &str) -> bool {
    names_of(kind).contains(name)
}

#[tokio::test]
async fn what_the_document_allows_an_option_to_be_the_decoder_takes_and_nothing_else() {
    let app = TestApp::new().await;
    let contract = Contract::of(&app.router).await;
    let mut differ = Vec::new();
    for kind in Kind::ALL {
        let allowed = contract.validator(options_of(contract, kind));
        for name in names_of(kind) {
            for value in candidates().into_iter().filter(|value| !has_no_company(&name, value)) {
                let mut options = company(kind, &name, &value);
                options.insert(name.clone(), value);
                let decoded = Options::decode(kind, &options);
                let options = Value::Object(options);
                let is_allowed = allowed.is_valid(&options);
                if is_allowed != decoded.is_ok() {
                    differ.push(format!("{kind:?} {options}: allowed {is_allowed}, {decoded:?}"));
                }
            }
        }
    }
    assert!(differ.is_empty(), "{differ:#?}");
}

#[tokio::test]
async fn every_example_of_a_request_is_accepted() {
    let app = TestApp::with(|state| {
        let key = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        state.keyring = reelway::connection::Keyring::parse([key]).expect("a key");
    })
    .await;
    let contract = Contract::of(&app.router).await;
    let mut seen = 0;
    for (path, method, operation) in contract.operations() {
        let Some(schema) = operation.request() else { continue };
        let schema = contract.resolved(schema);
        let examples =
            schema["examples"].as_array().into_iter().flatten().chain(schema.get("example"));
        for example in examples {
            let answer = app.post(path, example).await;
            assert!(answer.status.is_success(), "{method} {path} {example}: {answer:?}");
            seen += 1;
        }
    }
    assert!(seen >= 6, "{seen}");
}

#[tokio::test]
async fn what_receivers_get_is_what_the_document_says() {
    let app = TestApp::new().await;
    let contract = Contract::of(&app.router).await;
    let submit = async || {
        let body = json!({
            "input": "https://example.com/a.mp4", "kind": "video", "metadata": {"post": 4711},
            "webhook_url": "https://hooks.example.com/"
        });
        app.post("/jobs", &body).await.json()["id"].as_str().expect("an id").to_owned()
    };
    submit().await;
    app.finish(app.claim().await, b"whole").await;
    submit().await;
    app.fail(app.claim().await).await;
    let body = json!({
        "url": "https://example.com/a.mp4", "webhook_url": "https://hooks.example.com/",
        "tasks": [{"kind": "image"}]
    });
    let batch = app.post("/process", &body).await.json();
    let id = batch["tasks"][0]["task_id"].as_str().expect("an id");
    app.post(&format!("/jobs/{id}/cancel"), &json!({})).await;

    let secrets = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret").into();
    let mut due = app.store.claim_deliveries(10, 10, Duration::from_secs(30)).await.expect("due");
    app.submit("video").await;
    due.extend(app.tell_operators(&due[0]).await);
    let mut told = BTreeSet::new();
    for due in due {
        let message = Message::of(&due, &app.links, &secrets, app.clock.now()).expect("a message");
        let event = &contract.document()["webhooks"][due.kind.name()]["post"];
        let schema = &event["requestBody"]["content"]["application/json"]["schema"];
        let body = serde_json::from_slice(&message.body).expect("JSON");
        assert_eq!(contract.errors(schema, &body), [""; 0], "{body}");
        let documented = event["parameters"].as_array().expect("headers").iter();
        let always: Vec<_> = documented.filter(|header| header["required"] == true).collect();
        for header in &always {
            let name = header["name"].as_str().expect("a name");
            let value = message.headers.get(name).unwrap_or_else(|| panic!("no {name}"));
            let value = json!(value.to_str().expect("text"));
            assert_eq!(contract.errors(&header["schema"], &value), [""; 0], "{name}: {value}");
        }
        // All but what every request has.
        assert_eq!(always.len() + 2, message.headers.len(), "{:?}", message.headers);
        told.insert(due.kind.name().to_owned());
    }
    let documented = contract.document()["webhooks"].as_object().expect("webhooks").keys();
    assert_eq!(told, documented.cloned().collect());
}

#[tokio::test]
async fn every_example_in_the_document_is_what_its_schema_says() {
    let app = TestApp::new().await;
    let contract = Contract::of(&app.router).await;
    let schemas = contract.document()["components"]["schemas"].as_object().expect("schemas");
    for (name, schema) in schemas {
        let examples =
            schema["examples"].as_array().into_iter().flatten().chain(schema.get("example"));
        for example in examples {
            assert_eq!(contract.errors(schema, example), [""; 0], "{name}: {example}");
        }
    }
}

#[tokio::test]
async fn the_page_shows_every_operation_and_loads_nothing() {
    let app = TestApp::new().await;
    let page = app.get("/docs").await;
    let html = String::from_utf8(page.body.to_vec()).expect("UTF-8");
    for (path, method, operation) in Contract::of(&app.router).await.operations() {
        let name = operation.value()["operationId"].as_str().expect("a name");
        assert!(html.contains(&format!("id=\"{name}\"")), "{method} {path}");
    }
    let links = html.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next());
    for anchor in links {
        assert!(html.contains(&format!("id=\"{anchor}\"")), "#{anchor} is not there");
    }
    for foreign in ["<script", "<img", "@import", "url(", " src=", "href=\"http"] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    let style = html.split("<style>").nth(1).and_then(|rest| rest.split("</style>").next());
    let digest = STANDARD.encode(Sha256::digest(style.expect("a style sheet")));
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(policy.contains(&format!("style-src 'sha256-{digest}';")), "{policy}");
}
