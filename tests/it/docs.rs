//! What the documents say is so: modules, links, commands, routes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::Method;
use clap::Parser as _;
use clap::error::ErrorKind;
use reelway::cli::Cli;
use reelway::job::{Kind, Options};
use reelway::webhook::sign::{Secret, ittybit_signature, signatures};
use serde_json::Value;

use crate::app::TestApp;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every page of the repository.
fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").filter_map(Result::ok) {
            let (path, name) = (entry.path(), entry.file_name());
            let is_ours = !["target", "node_modules", "data"].iter().any(|other| name == *other);
            if path.is_dir() && is_ours && !name.to_string_lossy().starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    assert!(pages.len() > 5, "{pages:?}");
    pages
}

/// What stands between backquotes.
fn spans(page: &str) -> Vec<&str> {
    let outside_blocks = page.split("```").step_by(2);
    let odd = |text| str::split(text, '`').skip(1).step_by(2).collect::<Vec<_>>();
    outside_blocks.flat_map(odd).collect()
}

/// The lines of the page's shell blocks, those that go on joined, without comments.
fn shell_lines(page: &str) -> Vec<String> {
    let blocks = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let text = blocks.collect::<String>().replace("\\\n", " ");
    // A quoted body may go over several lines.
    let mut lines: Vec<String> = Vec::new();
    let mut is_quoted = false;
    for line in text.lines() {
        match lines.last_mut() {
            Some(last) if is_quoted => last.push_str(line),
            _ => lines.push(line.to_owned()),
        }
        is_quoted ^= line.matches('\'').count() % 2 == 1;
    }
    let without_comment = |line: String| {
        let end = line.find(" #").unwrap_or(line.len());
        line[..end].trim().to_owned()
    };
    lines.into_iter().map(without_comment).filter(|line| !line.is_empty()).collect()
}

#[test]
fn the_code_map_names_every_module_and_no_other() {
    let page = read("ARCHITECTURE.md");
    let mut named = BTreeSet::new();
    for span in spans(&page) {
        let is_path = span.starts_with("src/") || span.starts_with("crates/");
        if is_path && !span.contains(['{', ' ']) {
            assert!(root().join(span).exists(), "`{span}` is not there");
            named
                .extend(span.split('/').nth(1).map(|name| name.trim_end_matches(".rs").to_owned()));
        }
    }
    let mut there = BTreeSet::new();
    for folder in ["src", "crates"] {
        for entry in fs::read_dir(root().join(folder)).expect("a folder") {
            let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
            there.insert(name.trim_end_matches(".rs").to_owned());
        }
    }
    // Those two are the map's own frame.
    for frame in ["main", "lib"] {
        assert!(there.remove(frame));
        named.remove(frame);
    }
    assert_eq!(named, there);
}

/// A heading as an anchor.
fn slug(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().replace(' ', "-")
}

fn has_heading(page: &str, anchor: &str) -> bool {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| slug(line.trim_start_matches('#'))).any(|found| found == anchor)
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        let prose = text.split("```").step_by(2).collect::<String>();
        let targets = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = match path {
                "" => page.clone(),
                path => page.parent().expect("a folder").join(path),
            };
            let is_well = match fs::read_to_string(&file) {
                Ok(text) => anchor.is_empty() || has_heading(&text, anchor),
                Err(_) => file.exists() && anchor.is_empty(),
            };
            if !is_well {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Commands of the pages that begin with `program`, without what stands before it.
fn commands(program: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let of_the_time = ["CHANGELOG.md", "decisions"];
    for page in pages() {
        let name = page.strip_prefix(root()).expect("below it").display().to_string();
        // What was true once may be told of there.
        if of_the_time.iter().any(|old| name.contains(old)) {
            continue;
        }
        let text = read(&page);
        let typed =
            shell_lines(&text).into_iter().chain(spans(&text).into_iter().map(str::to_owned));
        for line in typed {
            let words = line.split_whitespace().skip_while(|word| is_setting(word));
            let mut words = words.map(str::to_owned);
            let first = words.next().unwrap_or_default();
            if first.rsplit('/').next() == Some(program) && first != format!("/{program}") {
                found.push((name.clone(), words.collect::<Vec<_>>().join(" ")));
            }
        }
    }
    found
}

/// `NAME=value` before a command.
fn is_setting(word: &str) -> bool {
    word.split_once('=')
        .is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
}

#[test]
fn every_command_that_the_pages_show_can_be_typed() {
    let commands = commands("reelway");
    assert!(commands.len() >= 8, "{commands:?}");
    for (page, words) in commands {
        // `video|audio` stands for one of them, and `…` for whatever comes; `&` is the shell's.
        let words = words.split_whitespace().take_while(|word| !["…", "&"].contains(word));
        let words = words.map(|word| word.split('|').next().unwrap_or(word));
        let typed = std::iter::once("reelway").chain(words);
        let Err(error) = Cli::try_parse_from(typed) else { continue };
        let is_only_a_name = matches!(
            error.kind(),
            ErrorKind::DisplayHelp
                | ErrorKind::DisplayVersion
                | ErrorKind::MissingRequiredArgument
                | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        );
        assert!(is_only_a_name, "{page}: {error}");
    }
}

#[test]
fn every_make_target_that_the_pages_show_is_one() {
    let makefile = read("Makefile");
    let targets: BTreeSet<&str> = makefile
        .lines()
        .filter(|line| line.contains(": ##") || line.contains(":##"))
        .filter_map(|line| line.split(':').next())
        .collect();
    let commands = commands("make");
    assert!(commands.len() >= 3, "{commands:?}");
    for (page, words) in commands {
        for target in words.split_whitespace().filter(|word| !word.contains('=')) {
            assert!(targets.contains(target), "{page}: `make {target}` is not in {targets:?}");
        }
    }
}

#[test]
fn the_webhook_that_the_page_shows_is_signed_as_ours_are() {
    let page = read("docs/webhooks.md");
    let shown = page.split("```text\n").nth(1).and_then(|rest| rest.split("\n```").next());
    let (head, body) = shown.and_then(|text| text.split_once("\n\n")).expect("head and body");
    let field = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(found, _)| *found == name).expect(name).1
    };
    let secret = Secret::parse(field("secret")).expect("a secret");
    let secs = field("webhook-timestamp").parse().expect("seconds");
    let signed =
        signatures(std::slice::from_ref(&secret), field("webhook-id"), secs, body.as_bytes());
    assert_eq!(signed, field("webhook-signature"));
    assert_eq!(ittybit_signature(&secret, body.as_bytes()), field("Ittybit-Signature"));
}

#[test]
fn every_option_that_stands_for_one_of_fluent_ffmpeg_is_one() {
    let page = read("docs/from-fluent-ffmpeg.md");
    let mut seen = 0;
    for line in page.lines().filter(|line| line.starts_with("| `.")) {
        let ours = spans(line.split(" | ").nth(1).expect("two columns"));
        if !ours.first().is_some_and(|span| span.starts_with('"')) {
            continue;
        }
        let object = format!("{{{}}}", ours.join(", "));
        let Ok(Value::Object(mut options)) = serde_json::from_str(&object) else {
            panic!("{object} is no JSON")
        };
        let kind = options.shift_remove("kind").unwrap_or("video".into());
        let kind = kind.as_str().and_then(Kind::from_name).expect("a kind");
        let decoded = Options::decode(kind, &options);
        assert!(decoded.is_ok(), "{line}: {decoded:?}");
        seen += 1;
    }
    assert!(seen >= 8, "{page}");
}

/// Asks the router; whether it knows the route for this method.
async fn is_route(app: &TestApp, method: &Method, path: &str) -> bool {
    let json = [("content-type", "application/json")];
    let answer = app.open(method.clone(), path, &json, Body::from("{}")).await;
    let status = answer.status();
    let answer = crate::answer::Answer::of(answer).await;
    status != 405 && !(status == 404 && answer.kind() == "not_found")
}

#[tokio::test]
async fn every_curl_that_the_readme_shows_asks_for_a_route() {
    let app = TestApp::new().await;
    let readme = read("README.md");
    let mut seen = 0;
    for line in shell_lines(&readme).iter().filter(|line| line.starts_with("curl ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let after = |flag: &str| {
            let at = words.iter().position(|word| *word == flag)?;
            words.get(at + 1).copied()
        };
        let has_body = words.iter().any(|word| ["-d", "--data", "--json"].contains(word));
        let method = after("-X").unwrap_or(if has_body { "POST" } else { "GET" });
        let url = words.iter().find_map(|word| word.split_once("localhost:3000"));
        let Some((_, path)) = url else { continue };
        let method: Method = method.parse().expect("a method");
        // An event stream of an unknown job is a 404 of the job's, and so a route.
        assert!(is_route(&app, &method, path).await, "{method} {path} is no route");
        seen += 1;
        if let Some((_, body)) = line.split_once("-d '") {
            let body = body.rsplit_once('\'').expect("a closed quote").0;
            let parsed: Result<Value, _> = serde_json::from_str(body);
            assert!(parsed.is_ok(), "the body is no JSON: {body}");
        }
    }
    assert!(seen >= 3, "{readme}");
}

#[tokio::test]
async fn every_route_of_the_reference_is_one() {
    let app = TestApp::new().await;
    let page = read("docs/api.md");
    let mut seen = 0;
    for span in spans(&page) {
        let Some((method, path)) = span.split_once(' ') else { continue };
        let Ok(method) = method.parse::<Method>() else { continue };
        if !["GET", "POST", "DELETE", "PUT"].contains(&method.as_str()) || !path.starts_with('/') {
            continue;
        }
        let path = path.replace("{id}", "job_01h2xcejqtf2nbrexx3vqjhp41").replace(['{', '}'], "");
        assert!(is_route(&app, &method, &path).await, "{method} {path} is no route");
        seen += 1;
    }
    assert!(seen >= 10, "{page}");
    assert!(!is_route(&app, &Method::GET, "/no-such-route").await, "the check can fail");
    assert!(!is_route(&app, &Method::PUT, "/jobs").await, "the check can fail");
}
