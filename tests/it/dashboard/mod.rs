//! The pages: who may see them, what they are made of, and that nothing else changed.

mod lists;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, StatusCode};
use reelway::dashboard::{Desk, Tester, routes};
use reelway::request::{AppParts, AppState, Auth, router_with};
use reelway::store::AttemptRecord;
use serde_json::json;
use std::sync::{Arc, Mutex};

use crate::answer::Answer;
use crate::app::TestApp;

/// A server with its pages, and who looks at them.
struct Pages {
    app: TestApp,
    cookie: Mutex<Option<String>>,
}

impl Pages {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut AppParts)) -> Self {
        let kept: Arc<Mutex<Option<AppParts>>> = Arc::default();
        let mut app = TestApp::with(|state| {
            change(state);
            *kept.lock().expect("a lock") = Some(state.clone());
        })
        .await;
        let state = kept.lock().expect("a lock").take().expect("a state");
        app.router = with_pages(state.into());
        Self { app, cookie: Mutex::default() }
    }

    /// A server that asks for this key.
    async fn locked(key: &str) -> Self {
        let auth = Auth::new(&[key.into()]);
        Self::with(|state| state.auth = auth).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &[], "").await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let cookie = self.cookie.lock().expect("a lock").clone().unwrap_or_default();
        let mut all = vec![("host", "localhost:3000")];
        if !cookie.is_empty() {
            all.push(("cookie", &cookie));
        }
        if !body.is_empty() {
            all.push(("content-type", "application/x-www-form-urlencoded"));
        }
        all.extend(headers);
        let answer = self.app.open(method, path, &all, Body::from(body.to_owned())).await;
        Answer::of(answer).await
    }

    /// Sends a form with the token of the page at `from`.
    async fn post(&self, from: &str, path: &str, body: &str) -> Answer {
        let token = token(&self.get(from).await.text());
        self.call(Method::POST, path, &[], &format!("token={token}&{body}")).await
    }

    async fn sign_in(&self, key: &str) -> Answer {
        let answer = self
            .call(Method::POST, "/ui/sign-in", &[], &format!("password={key}&next=%2Fui%2Fnew"))
            .await;
        if let Some(cookie) = answer.headers.get("set-cookie") {
            let cookie = cookie.to_str().expect("text").split(';').next().expect("a pair");
            *self.cookie.lock().expect("a lock") = Some(cookie.to_owned());
        }
        answer
    }
}

fn with_pages(state: AppState) -> Router {
    let tester = Tester::new(|_| {
        Box::pin(async {
            AttemptRecord {
                at: reelway::clock::Timestamp::from_millis(crate::app::NOW),
                duration_ms: 12,
                status: Some(401),
                error: None,
                response: Some("<b>no</b>".to_owned()),
            }
        })
    });
    let pages = routes(&state, Desk::new("session secret".into(), 2, tester));
    router_with(state, pages)
}

fn token(html: &str) -> String {
    let (_, rest) = html.split_once("name=\"token\" value=\"").expect("a form");
    rest.split('"').next().expect("a token").to_owned()
}

const OPEN_PAGES: [&str; 7] = [
    "/",
    "/ui/new",
    "/ui/webhooks",
    "/ui/system",
    "/ui/batches",
    "/ui/keys",
    "/ui/new/task?kind=image",
];

#[tokio::test]
async fn every_page_has_the_policy_that_runs_no_strangers_script() {
    let pages = Pages::new().await;
    let id = pages.app.submit("video").await;
    for path in OPEN_PAGES.into_iter().chain([&*format!("/ui/jobs/{id}"), "/ui/jobs/none"]) {
        let answer = pages.get(path).await;
        let policy = answer.headers["content-security-policy"].to_str().expect("text");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"),
            "{path}"
        );
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{path}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(answer.headers["cache-control"], "no-store", "{path}");
        let html = answer.text();
        for inline in [" style=", "<style", " onclick=", "javascript:"] {
            assert!(!html.contains(inline), "{path}: {inline}");
        }
    }
}

#[tokio::test]
async fn programs_that_ask_for_json_get_the_api_as_before() {
    let pages = Pages::new().await;
    let answer = pages.call(Method::GET, "/", &[("accept", "application/json")], "").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.json()["kind"], "not_found");
    assert_eq!(pages.get("/").await.status, StatusCode::OK);
    assert_eq!(pages.get("/no/such/route").await.json()["kind"], "not_found");
}

#[tokio::test]
async fn without_a_session_every_page_leads_to_the_door() {
    let pages = Pages::locked("secret").await;
    for path in OPEN_PAGES {
        let answer = pages.get(path).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
        let door = answer.headers["location"].to_str().expect("text");
        assert!(door.starts_with("/ui/sign-in?next=%2F"), "{path}: {door}");
    }
    let live = pages.call(Method::GET, "/ui/live/jobs?ids=", &[("hx-request", "true")], "").await;
    assert_eq!(live.status, StatusCode::UNAUTHORIZED);
    for (method, path) in [
        (Method::POST, "/ui/new"),
        (Method::POST, "/ui/jobs/bulk"),
        (Method::POST, "/ui/uploads"),
        (Method::POST, "/ui/webhooks/test"),
        (Method::POST, "/ui/system/connections"),
    ] {
        let answer = pages.call(method, path, &[], "a=b").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn a_session_opens_pages_and_not_the_api_and_ends_with_its_key() {
    let pages = Pages::locked("secret").await;
    assert_eq!(pages.sign_in("wrong").await.status, StatusCode::UNAUTHORIZED);
    let answer = pages.sign_in("secret").await;
    assert_eq!(
        (answer.status, &answer.headers["location"]),
        (StatusCode::SEE_OTHER, &"/ui/new".parse().expect("a path"))
    );
    let cookie = answer.headers["set-cookie"].to_str().expect("text");
    // The public URL of these tests is https.
    for part in
        ["__Host-reelway=v1.key_", "HttpOnly", "SameSite=Lax", "Secure", "Path=/", "Max-Age=604800"]
    {
        assert!(cookie.contains(part), "{part}: {cookie}");
    }
    assert!(!cookie.contains("secret") && !cookie.contains("Domain"), "{cookie}");
    for path in OPEN_PAGES {
        assert_eq!(pages.get(path).await.status, StatusCode::OK, "{path}");
    }
    assert_eq!(pages.get("/jobs").await.status, StatusCode::UNAUTHORIZED);

    // The same session at a server that has other keys.
    let other = Pages::locked("another").await;
    other.cookie.lock().expect("a lock").clone_from(&pages.cookie.lock().expect("a lock"));
    assert_eq!(other.get("/").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_session_is_over_after_a_week_and_when_one_signs_out() {
    let pages = Pages::locked("secret").await;
    pages.sign_in("secret").await;
    let answer = pages.post("/", "/ui/sign-out", "").await;
    let cookie = answer.headers["set-cookie"].to_str().expect("text");
    assert!(cookie.contains("Max-Age=0"), "{cookie}");
    pages.app.clock.advance(std::time::Duration::from_hours(7 * 24));
    assert_eq!(pages.get("/").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn guessing_keys_is_slow() {
    let pages = Pages::locked("secret").await;
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(pages.sign_in("wrong").await.status);
    }
    assert_eq!(statuses[0], StatusCode::UNAUTHORIZED);
    assert_eq!(statuses[11], StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(pages.sign_in("secret").await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_form_without_its_token_or_from_another_site_does_nothing() {
    let pages = Pages::new().await;
    let id = pages.app.submit("video").await;
    let token = token(&pages.get("/").await.text());
    let forms = [
        (format!("/ui/jobs/{id}/delete"), String::new()),
        (format!("/ui/jobs/{id}/cancel"), String::new()),
        ("/ui/jobs/bulk".to_owned(), format!("&act=delete&id={id}")),
        ("/ui/new".to_owned(), "&url=https%3A%2F%2Fa.example%2F&t0.kind=video".to_owned()),
        ("/ui/sample".to_owned(), String::new()),
        ("/ui/webhooks/replay".to_owned(), String::new()),
        ("/ui/webhooks/test".to_owned(), "&url=https%3A%2F%2Fa.example%2F".to_owned()),
        ("/ui/system/connections".to_owned(), String::new()),
        ("/ui/keys".to_owned(), "&name=x".to_owned()),
    ];
    for (path, body) in &forms {
        for (headers, token) in [
            (&[][..], "token=none".to_owned()),
            (&[], "no=token".to_owned()),
            (&[("sec-fetch-site", "cross-site")], format!("token={token}")),
            (&[("origin", "https://evil.example")], format!("token={token}")),
        ] {
            let answer = pages.call(Method::POST, path, headers, &format!("{token}{body}")).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {headers:?} {token}");
        }
    }
    let upload = pages
        .call(
            Method::POST,
            "/ui/uploads",
            &[("tus-resumable", "1.0.0"), ("upload-length", "9")],
            "",
        )
        .await;
    assert_eq!(upload.status, StatusCode::FORBIDDEN);
    let jobs = pages.app.get("/jobs").await.json();
    assert_eq!((jobs.as_array().map(Vec::len), &jobs[0]["status"]), (Some(1), &json!("queued")));
}

#[tokio::test]
async fn an_open_server_shows_its_pages_under_its_own_names_alone() {
    let pages = Pages::new().await;
    for (host, is_shown) in [
        ("localhost:3000", true),
        ("reelway.localhost", true),
        ("127.0.0.1:3000", true),
        ("[::1]:3000", true),
        ("media.example.com", true),
        ("evil.example", false),
        ("localhost.evil.example", false),
        ("192.0.2.1:3000", false),
    ] {
        let alone = pages.app.open(Method::GET, "/", &[("host", host)], Body::empty()).await;
        assert_eq!(alone.status() == StatusCode::OK, is_shown, "{host}");
    }
}

#[tokio::test]
async fn a_form_makes_the_job_that_the_api_would_make() {
    let pages = Pages::new().await;
    let body = "url=https%3A%2F%2Fa.example%2Fin.mp4&t0.kind=video&t0.width=640&t0.mute=on&t0.quality=\
                &t3.kind=image&t3.format=webp&webhook_url=https%3A%2F%2Fb.example%2F&priority=3";
    let answer = pages.post("/ui/new", "/ui/new", body).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
    let batch = answer.headers["location"].to_str().expect("text");
    assert!(batch.starts_with("/ui/batches/batch_"), "{batch}");
    assert!(pages.get(batch).await.text().contains("2 queued"));
    let jobs = pages.app.get("/jobs?order=asc").await.json();
    assert_eq!(jobs[0]["options"], json!({"width": 640, "mute": true}));
    assert_eq!(
        (&jobs[1]["kind"], &jobs[1]["options"]),
        (&json!("image"), &json!({"format": "webp"}))
    );
    assert_eq!(jobs[1]["priority"], 3);

    // What is wrong is told beside the field, and nothing that was typed is lost.
    let wrong = pages
        .post("/ui/new", "/ui/new", "url=https%3A%2F%2Fa.example%2F&t0.kind=video&t0.fps=900")
        .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let html = wrong.text();
    assert!(html.contains("value=\"900\"") && html.contains("aria-invalid=\"true\""), "{html}");
    assert_eq!(pages.app.get("/jobs").await.json().as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_job_that_was_sent_fills_the_form_again() {
    let pages = Pages::new().await;
    let options = json!({"width": "50%", "sprite": {"columns": 4, "rows": 3}});
    let sent = json!({"input": "https://a.example/in.mp4", "kind": "image", "options": options});
    let id = pages.app.post("/jobs", &sent).await.json()["id"].as_str().expect("an id").to_owned();
    let html = pages.get(&format!("/ui/new?from={id}")).await.text();
    for field in
        ["value=\"https://a.example/in.mp4\"", "value=\"50%\"", "value=\"4\"", "value=\"3\""]
    {
        assert!(html.contains(field), "{field}");
    }
}

#[tokio::test]
async fn many_jobs_are_acted_on_at_once_and_the_page_says_how_many() {
    let pages = Pages::new().await;
    let (one, two) = (pages.app.submit("video").await, pages.app.submit("audio").await);
    pages.app.fail(pages.app.claim().await).await;
    let body = format!("act=retry&id={one}&id={two}&id=nonsense&back=%2F%3Fstatus%3Dfailed");
    let answer = pages.post("/", "/ui/jobs/bulk", &body).await;
    let to = answer.headers["location"].to_str().expect("text").to_owned();
    assert_eq!(to, "/?status=failed&did=retry-1-1");
    let html = pages.get(&to).await.text();
    assert!(html.contains("1 job queued again; 1 job could not be"), "{html}");
    // Nobody is led elsewhere.
    let body = format!("act=cancel&id={one}&back=%2F%2Fevil.example");
    let answer = pages.post("/", "/ui/jobs/bulk", &body).await;
    assert_eq!(answer.headers["location"], "/?did=cancel-1-0");
}

#[tokio::test]
async fn a_list_stays_as_it_is_while_jobs_arrive() {
    let pages = Pages::new().await;
    let later = || pages.app.clock.advance(std::time::Duration::from_millis(1));
    for _ in 0..60 {
        pages.app.submit("video").await;
        later();
    }
    let names = |html: &str| -> Vec<String> {
        html.split("id=\"about-").skip(1).map(|rest| rest[..30].to_owned()).collect()
    };
    let older = |html: &str| {
        let (_, rest) = html.split_once("rel=\"next\" href=\"")?;
        Some(rest.split('"').next()?.replace("&#38;", "&"))
    };
    let first = pages.get("/").await.text();
    let mut seen = names(&first);
    let mut next = older(&first);
    while let Some(path) = next {
        pages.app.submit("image").await;
        later();
        let html = pages.get(&path).await.text();
        seen.extend(names(&html));
        next = older(&html);
    }
    assert_eq!(seen.len(), 60);
    assert!(seen.is_sorted_by(|a, b| a > b), "each once, newest first");
    let found = pages.get(&format!("/?q={}", seen[7])).await;
    assert_eq!(found.headers["location"], format!("/ui/jobs/{}", seen[7]).as_str());
}

#[tokio::test]
async fn a_live_page_hears_of_its_jobs_and_of_newer_ones() {
    let pages = Pages::new().await;
    let id = pages.app.submit("video").await;
    let live = format!("/ui/live/jobs?ids={id}&first=1");
    let answer = pages.app.open(Method::GET, &live, &[("host", "localhost")], Body::empty()).await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut events = answer.into_body().into_data_stream();
    let first = text_until(&mut events, "count-queued").await;
    assert!(first.contains(&format!("hx-target=\"#about-{id}\"")), "{first}");
    let claim = pages.app.claim().await;
    let second = text_until(&mut events, "starts").await;
    assert!(second.contains("processing"), "{second}");
    pages.app.clock.advance(std::time::Duration::from_millis(1));
    pages.app.submit("image").await;
    text_until(&mut events, "1 new job").await;
    pages.app.fail(claim).await;
    text_until(&mut events, "the file is media but broken").await;
    // Two may listen here, and no third.
    let keep = pages.app.open(Method::GET, &live, &[("host", "localhost")], Body::empty()).await;
    let full = pages.app.open(Method::GET, &live, &[("host", "localhost")], Body::empty()).await;
    assert_eq!((keep.status(), full.status()), (StatusCode::OK, StatusCode::TOO_MANY_REQUESTS));
}

/// What is told until these words are: signs of life alone do not count.
async fn text_until(events: &mut axum::body::BodyDataStream, words: &str) -> String {
    use futures::StreamExt as _;
    let mut text = String::new();
    let told = async {
        while !text.contains(words) {
            let bytes = events.next().await.expect("more").expect("bytes");
            text += &String::from_utf8_lossy(&bytes);
        }
    };
    let in_time = tokio::time::timeout(std::time::Duration::from_secs(30), told).await.is_ok();
    assert!(in_time, "{words}: {text}");
    text
}

#[tokio::test]
async fn a_receiver_is_tried_out_and_its_words_are_text() {
    let pages = Pages::new().await;
    let answer =
        pages.post("/ui/webhooks", "/ui/webhooks/test", "url=https%3A%2F%2Fa.example%2F").await;
    let html = answer.text();
    assert!(html.contains("401") && html.contains("&#60;b&#62;no"), "{html}");
    for wrong in ["ftp%3A%2F%2Fa.example%2F", "nonsense", "https%3A%2F%2Fu%3Ap%40a.example%2F"] {
        let answer = pages.post("/ui/webhooks", "/ui/webhooks/test", &format!("url={wrong}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn a_key_that_was_made_here_opens_what_its_scopes_say_and_its_project_alone() {
    let pages = Pages::locked("secret").await;
    pages.sign_in("secret").await;
    let id = {
        let body = "url=https%3A%2F%2Fa.example%2F&t0.kind=video";
        let answer = pages.post("/ui/new", "/ui/new", body).await;
        answer.header("location").rsplit('/').next().expect("an id").to_owned()
    };
    let made =
        pages.post("/ui/keys", "/ui/keys", "name=reader&project=other&scope=jobs%3Aread").await;
    let html = made.text();
    let text = html.split("<code>rw_").nth(1).expect("the key").split('<').next().expect("a text");
    let text = format!("rw_{text}");
    assert!(!pages.get("/ui/keys").await.text().contains(&text), "it is shown once");

    let key =
        html.split("/ui/keys/key_").nth(1).expect("its row").split('/').next().expect("an id");
    let admin = pages.cookie.lock().expect("a lock").clone();
    pages.sign_in(&text).await;
    for (path, status) in [("/", 200), ("/ui/system", 200), ("/ui/keys", 403)] {
        assert_eq!(pages.get(path).await.status, status, "{path}");
    }
    let foreign = pages.get(&format!("/ui/jobs/{id}")).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND, "another project's job");
    assert!(!pages.get("/").await.text().contains(&id));
    let answer = pages.post("/", "/ui/jobs/bulk", "act=delete").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "it may look and not touch");

    // The key is taken back: the session that it has begun is over.
    let reader = pages.cookie.lock().expect("a lock").clone();
    *pages.cookie.lock().expect("a lock") = admin;
    pages.post("/ui/keys", &format!("/ui/keys/key_{key}/revoke"), "").await;
    *pages.cookie.lock().expect("a lock") = reader;
    assert_eq!(pages.get("/").await.status, StatusCode::SEE_OTHER);
}
