//! `/keys` and `/audit`, and what keys open until they do not.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use insta::assert_snapshot;
use reelway::access::{Rates, Scope, Scopes};
use reelway::request::{Auth, Peer, TrustedProxies};
use reelway::store::{Newest, Store as _};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tower::ServiceExt as _;

use crate::answer::Answer;
use crate::app::{TestApp, rates};

/// A server with one key in its settings, called with it.
async fn app() -> TestApp {
    TestApp::with(|state| state.auth = Auth::new(&["first-key".into()])).await.key("first-key")
}

async fn made(app: &TestApp, body: &Value) -> Value {
    let answer = app.post("/keys", body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

fn text(made: &Value) -> String {
    made["key"].as_str().expect("a key").to_owned()
}

/// The status and the kind of what a key gets.
async fn seen(app: &TestApp, key: &str, path: &str) -> (u16, String) {
    let value = format!("Bearer {key}");
    let request = Request::get(path).header("authorization", value).body(Body::empty());
    let request = request.expect("a request");
    let answer = Answer::of(app.router.clone().oneshot(request).await.expect("an answer")).await;
    let is_good = answer.status.is_success();
    (answer.status.as_u16(), if is_good { String::new() } else { answer.kind() })
}

#[tokio::test]
async fn a_key_is_told_once_and_then_only_described() {
    let app = app().await;
    let sent = json!({"name": "the app", "project": "team-a", "scopes": ["jobs:read"]});
    let answer = app.post("/keys", &sent).await;
    let key = text(&answer.json());
    assert!(key.starts_with("rw_") && key.len() == 79, "{key}");
    assert_snapshot!(answer.shown().replace(&key, "rw_…"));
    let path = answer.header("location").to_owned();
    let mut described = answer.json();
    described.as_object_mut().expect("an object").remove("key");
    assert_eq!(app.get(&path).await.json(), described);
    assert_eq!(app.get("/keys").await.json(), json!([described]));
    assert_eq!(seen(&app, &key, "/jobs").await.0, 200);
    for unknown in ["/keys/key_01h2xcejqtf2nbrexx3vqjhp41", "/keys/7"] {
        assert_eq!(app.get(unknown).await.kind(), "key_not_found");
        assert_eq!(app.delete(unknown).await.kind(), "key_not_found");
    }
}

#[tokio::test]
async fn without_a_word_a_key_is_of_its_makers_project_and_no_administrators() {
    let app = app().await;
    let first = made(&app, &json!({})).await;
    assert_eq!(first["project"], "default");
    assert_eq!(first["scopes"], json!(["jobs:write", "jobs:read", "files:read"]));
    let admin = made(&app, &json!({"project": "team-a", "scopes": ["admin"]})).await;
    let app = app.key(&text(&admin));
    assert_eq!(made(&app, &json!({})).await["project"], "team-a");
    assert_eq!(app.get("/keys").await.json().as_array().map(Vec::len), Some(3), "of all projects");
}

#[tokio::test]
async fn the_same_named_request_makes_one_key_and_tells_it_once() {
    let app = app().await;
    let named = [("idempotency-key", "key-1")];
    let first = app.post_with("/keys", &named, &json!({"name": "a"})).await;
    let again = app.post_with("/keys", &named, &json!({"name": "a"})).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 200));
    assert_eq!(again.header("idempotency-replayed"), "true");
    let mut expected = first.json();
    expected["key"] = Value::Null;
    assert_eq!(again.json(), expected);
    let other = app.post_with("/keys", &named, &json!({"name": "b"})).await;
    assert_eq!(other.kind(), "idempotency_conflict");
    assert_eq!(app.get("/keys").await.json().as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn what_cannot_be_a_key_is_told_field_by_field() {
    let app = app().await;
    let mut shown = Vec::new();
    for body in [
        json!({"name": ""}),
        json!({"name": "a\u{7}"}),
        json!({"name": 7}),
        json!({"project": "Team A"}),
        json!({"project": ""}),
        json!({"scopes": []}),
        json!({"scopes": ["jobs:read", "all"]}),
        json!({"scopes": [7]}),
        json!({"scopes": "admin"}),
        json!({"expires_at": crate::app::NOW}),
        json!({"expires_at": -1}),
        json!({"expires_at": "tomorrow"}),
        json!({"scope": ["admin"]}),
    ] {
        let answer = app.post("/keys", &body).await;
        assert_eq!(answer.status, 400, "{body}");
        let problem = answer.json();
        let part = |name: &str| problem[name].as_str().unwrap_or("-").to_owned();
        shown.push(format!("{}: {} ({})", part("field"), part("message"), part("hint")));
    }
    assert_snapshot!(shown.join("\n"));
    assert_eq!(app.get("/keys").await.json(), json!([]));
}

#[tokio::test]
async fn a_key_that_was_revoked_or_has_expired_opens_nothing_from_then_on() {
    let app = app().await;
    let end = crate::app::NOW + 60_000;
    let (lasting, ending) =
        (made(&app, &json!({})).await, made(&app, &json!({"expires_at": end})).await);
    for key in [&lasting, &ending] {
        assert_eq!(seen(&app, &text(key), "/jobs").await.0, 200);
    }
    app.clock.advance(Duration::from_millis(59_999));
    assert_eq!(seen(&app, &text(&ending), "/jobs").await.0, 200);
    app.clock.advance(Duration::from_millis(1));
    let token_invalid = (401, "token_invalid".to_owned());
    assert_eq!(seen(&app, &text(&ending), "/jobs").await, token_invalid);

    let path = format!("/keys/{}", lasting["id"].as_str().expect("an id"));
    for _ in 0..2 {
        assert_eq!(app.delete(&path).await.status, 204, "to ask twice is no error");
        assert_eq!(seen(&app, &text(&lasting), "/jobs").await, token_invalid);
    }
    let shown = async |key: &Value| {
        let path = format!("/keys/{}", key["id"].as_str().expect("an id"));
        app.get(&path).await.json()
    };
    assert_eq!(shown(&ending).await["status"], "expired");
    let revoked = shown(&lasting).await;
    assert_eq!((&revoked["status"], &revoked["revoked_at"]), (&json!("revoked"), &json!(end)));
    let bearer = app.key(&text(&lasting));
    assert_snapshot!(bearer.get("/jobs").await.shown());
}

#[tokio::test]
async fn a_slip_of_the_pen_is_told_apart_from_a_key_that_is_not_known() {
    let app = app().await;
    let key = text(&made(&app, &json!({})).await);
    let slipped = app.key(&key[..key.len() - 1]);
    assert_snapshot!(slipped.get("/jobs").await.shown());
    // One that another server has made.
    let (_, foreign) = slipped.some_key();
    let foreign = slipped.key(&foreign);
    assert!(
        foreign.get("/jobs").await.json()["message"]
            .as_str()
            .expect("words")
            .contains("does not know")
    );
}

#[tokio::test]
async fn an_open_server_keeps_what_a_key_opens_to_that_key() {
    let app = TestApp::new().await;
    let (_, bearer) = app.key_of("team-a", Scopes::usual().iter()).await;
    let job = json!({"input": "https://example.com/a.mp4", "kind": "video"});
    let header = [("authorization", &*bearer)];
    let theirs =
        app.post_with("/jobs", &header, &job).await.json()["id"].as_str().map(str::to_owned);
    let path = format!("/jobs/{}", theirs.expect("an id"));
    assert_eq!(app.get(&path).await.status, 404, "without a key it is another project");
    assert_eq!(app.call(Method::GET, &path, &header, Body::empty()).await.status, 200);
    let slipped = [("authorization", &bearer[..bearer.len() - 1])];
    assert_eq!(app.post_with("/jobs", &slipped, &job).await.status, 401, "and not the open one");
    let words = [("authorization", "Bearer whatever")];
    assert_eq!(
        app.post_with("/jobs", &words, &job).await.status,
        201,
        "an open server asks for none"
    );
}

#[tokio::test]
async fn the_last_use_of_a_key_is_written_down_beside_the_request() {
    let app = app().await;
    let key = made(&app, &json!({})).await;
    assert_eq!(key["last_used_at"], Value::Null);
    seen(&app, &text(&key), "/jobs").await;
    let path = format!("/keys/{}", key["id"].as_str().expect("an id"));
    let noted = timeout(Duration::from_secs(10), async {
        while app.get(&path).await.json()["last_used_at"] != json!(crate::app::NOW) {
            // It is written while the answer is on its way.
            sleep(Duration::from_millis(5)).await;
        }
    });
    noted.await.expect("it is written down");
}

#[tokio::test]
async fn each_scope_opens_its_routes_and_no_other() {
    let app = TestApp::with(|state| state.auth = Auth::new(&["first-key".into()])).await;
    let contract = crate::contract::Contract::of(&app.router).await;
    let mut asked = std::collections::BTreeSet::new();
    for (path, method, operation) in contract.operations() {
        let ways = operation.value()["security"].as_array().cloned().unwrap_or_default();
        let Some(scope) = ways.iter().find_map(|way| way["key"][0].as_str()) else { continue };
        let scope = Scope::from_name(scope).expect("a scope");
        asked.insert(scope);
        let path = path.replace("{id}", "job_01h2xcejqtf2nbrexx3vqjhp41").replace("{key}", "a/b");
        let call = async |scopes: &[Scope]| {
            let (name, value) = app.key_of("default", scopes.iter().copied()).await;
            let headers = [(name, &*value), ("content-type", "application/json")];
            app.call(method.clone(), &path, &headers, Body::from("{}")).await
        };
        let others = Scope::ALL.into_iter().filter(|it| *it != scope && *it != Scope::Admin);
        let refused = call(&others.collect::<Vec<_>>()).await;
        assert_eq!(
            (refused.status.as_u16(), refused.kind().as_str()),
            (403, "scope_missing"),
            "{method} {path}"
        );
        let hint = refused.json()["hint"].as_str().expect("a hint").to_owned();
        assert!(hint.contains(scope.name()), "{method} {path}: {hint}");
        for scopes in [[scope].as_slice(), &[Scope::Admin]] {
            let answer = call(scopes).await;
            assert!(![401, 403].contains(&answer.status.as_u16()), "{method} {path}: {answer:?}");
        }
    }
    assert_eq!(asked.len(), Scope::ALL.len(), "{asked:?}");
}

#[tokio::test]
async fn who_sends_a_file_may_ask_how_much_is_here_and_gets_no_bytes() {
    let app = TestApp::new().await;
    let (name, writer) = app.key_of("default", [Scope::JobsWrite]).await;
    let tus = [(name, &*writer), ("tus-resumable", "1.0.0"), ("upload-length", "7")];
    let begun = app.call(Method::POST, "/uploads", &tus, Body::empty()).await;
    let path = begun.header("location").to_owned();
    assert_eq!(app.call(Method::HEAD, &path, &tus, Body::empty()).await.status, 200);
    assert_eq!(app.call(Method::GET, &path, &tus, Body::empty()).await.status, 403);
    let (name, reader) = app.key_of("default", [Scope::JobsRead]).await;
    let tus = [(name, &*reader), ("tus-resumable", "1.0.0")];
    assert_eq!(app.call(Method::HEAD, &path, &tus, Body::empty()).await.status, 403);
}

#[tokio::test]
async fn the_audit_log_says_who_did_what_from_where() {
    let app = TestApp::with(|state| {
        state.auth = Auth::new(&["first-key".into()]);
        state.keyring = reelway::connection::Keyring::parse([&*"07".repeat(32)]).expect("a key");
        state.proxies = TrustedProxies::new(["10.0.0.0/8".parse().expect("a network")]);
    })
    .await;
    let send = async |method: Method, path: &str, body: &Value| {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", "Bearer first-key")
            .header("content-type", "application/json")
            .header("x-forwarded-for", "192.0.2.7")
            .extension(Peer("10.0.0.1:4711".parse().expect("an address")))
            .body(Body::from(body.to_string()));
        let request = request.expect("a request");
        let answer =
            Answer::of(app.router.clone().oneshot(request).await.expect("an answer")).await;
        assert!(answer.status.is_success(), "{answer:?}");
        app.clock.advance(Duration::from_secs(1));
        answer
    };
    let key = send(Method::POST, "/keys", &json!({"name": "the app"})).await;
    send(Method::DELETE, key.header("location"), &Value::Null).await;
    let bucket =
        json!({"kind": "s3", "access_key_id": "AKIA", "secret_access_key": "secret-of-it"});
    let connection = send(Method::POST, "/connections", &bucket).await;
    send(Method::DELETE, connection.header("location"), &Value::Null).await;

    let app = app.key("first-key");
    let log = app.get("/audit").await;
    assert_snapshot!(log.shown());
    assert!(!log.shown().contains("secret-of-it"));
    let first = app.get("/audit?limit=3").await;
    assert_eq!(first.header("has-more"), "true");
    let next = first.header("link").split(['<', '>']).nth(1).expect("a link").to_owned();
    let rest = app.get(&next).await;
    assert_eq!(rest.header("has-more"), "false");
    assert_eq!(rest.json()[0]["action"], "key.created");
    assert_eq!(app.get("/audit?limit=0").await.json()["field"], "limit");
    assert_eq!(app.get("/audit?after=job_1").await.json()["field"], "after");
}

#[tokio::test]
async fn keys_and_connections_are_told_a_page_at_a_time() {
    let app = TestApp::with(|state| {
        state.auth = Auth::new(&["first-key".into()]);
        state.keyring = reelway::connection::Keyring::parse([&*"07".repeat(32)]).expect("a key");
    })
    .await
    .key("first-key");
    let bucket =
        json!({"kind": "s3", "access_key_id": "AKIA", "secret_access_key": "secret-of-it"});
    for (path, body) in [("/keys", &json!({})), ("/connections", &bucket)] {
        let mut made = Vec::new();
        for _ in 0..5 {
            let answer = app.post(path, body).await;
            assert_eq!(answer.status, 201, "{answer:?}");
            made.push(answer.json()["id"].clone());
            app.clock.advance(Duration::from_millis(1));
        }
        made.reverse();
        let (mut walked, mut next) = (Vec::new(), Some(format!("{path}?limit=2")));
        while let Some(page) = next {
            let answer = app.get(&page).await;
            let rows = answer.json();
            let rows = rows.as_array().expect("a list");
            walked.extend(rows.iter().map(|row| row["id"].clone()));
            let has_more = answer.header("has-more") == "true";
            next = has_more.then(|| {
                answer.header("link").split(['<', '>']).nth(1).expect("a link").to_owned()
            });
        }
        assert_eq!(walked, made, "{path}");
        assert_eq!(app.get(&format!("{path}?limit=101")).await.json()["field"], "limit");
    }
}

fn rate(per_minute: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(per_minute)
}

#[tokio::test]
async fn a_key_that_asks_too_often_is_told_when_to_come_back() {
    let limit = Rates { per_key: rate(2), refused_per_address: None };
    let app = TestApp::with(|state| {
        let clock = Arc::new(reelway::clock::ManualClock::at(state.clock.now()));
        state.rates = rates(limit, &clock);
    })
    .await;
    let (name, one) = app.key_of("default", [Scope::JobsRead]).await;
    let (_, two) = app.key_of("default", [Scope::JobsRead]).await;
    let ask = async |key: &str| app.call(Method::GET, "/jobs", &[(name, key)], Body::empty()).await;
    for _ in 0..2 {
        assert_eq!(ask(&one).await.status, 200);
    }
    let refused = ask(&one).await;
    assert_snapshot!(refused.shown());
    assert_eq!(refused.header("retry-after"), "30");
    assert_eq!(ask(&two).await.status, 200, "another key");
    assert_eq!(app.get("/healthz").await.status, 200);
    assert_eq!(app.get("/jobs").await.status, 200, "an open server counts nobody");
}

#[tokio::test]
async fn an_address_that_guesses_is_slowed_down_and_good_callers_there_are_not() {
    let limit = Rates { per_key: None, refused_per_address: rate(2) };
    let app = TestApp::with(|state| {
        state.auth = Auth::new(&["first-key".into(), "second-key".into()]);
        let clock = Arc::new(reelway::clock::ManualClock::at(state.clock.now()));
        state.rates = rates(limit, &clock);
    })
    .await;
    let (_, made) = app.key_of("default", [Scope::JobsRead]).await;
    let ask = async |from: &str, bearer: Option<&str>, path: &str| {
        let mut request = Request::get(path).extension(Peer(from.parse().expect("an address")));
        if let Some(bearer) = bearer {
            request = request.header("authorization", bearer);
        }
        let request = request.body(Body::empty()).expect("a request");
        Answer::of(app.router.clone().oneshot(request).await.expect("an answer")).await
    };
    let (here, there) = ("192.0.2.1:1", "192.0.2.2:1");
    assert_eq!(ask(here, Some("Bearer first-key"), "/jobs").await.status, 200);
    for guess in [Some("Bearer guess"), None] {
        assert_eq!(ask(here, guess, "/jobs").await.status, 401);
    }
    for guess in [Some("Bearer guess"), Some("Bearer second-key"), None] {
        let slowed = ask(here, guess, "/jobs").await;
        assert_eq!(slowed.kind(), "rate_limited", "a guess is not told from a miss: {guess:?}");
        assert_eq!(slowed.header("retry-after"), "30");
    }
    assert_eq!(ask(here, Some("Bearer first-key"), "/jobs").await.status, 200);
    assert_eq!(ask(here, Some(&made), "/jobs").await.status, 200);
    assert_eq!(ask(there, Some("Bearer second-key"), "/jobs").await.status, 200);
    assert_eq!(ask(here, None, "/healthz").await.status, 200);
    assert_eq!(ask(here, None, "/readyz").await.status, 200);
    assert_eq!(app.store.keys(&Newest::up_to(9)).await.expect("keys").rows.len(), 1);
}
