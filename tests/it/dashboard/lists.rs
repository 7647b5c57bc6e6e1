//! What pages show of batches, deliveries and keys, live or not, and what they make of others' words.

use axum::body::Body;
use axum::http::{Method, StatusCode};
use reelway::access::Scope;
use reelway::store::{AttemptOutcome, AttemptRecord, SettleDelivery, Settled, Store as _};
use serde_json::json;

use super::{Pages, text_until};

/// What a browser must never take for markup.
const HOSTILE: &str = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'";

/// A batch of two, one of which has a receiver; returns the ids of the batch and of its jobs.
async fn batch(pages: &Pages, url: &str) -> (String, Vec<String>) {
    let sent = json!({
        "url": url, "metadata": {"title": HOSTILE}, "webhook_url": "https://hooks.example.com/",
        "tasks": [{"kind": "video"}, {"kind": "image"}]
    });
    let answer = pages.app.post("/process", &sent).await.json();
    let jobs = answer["tasks"].as_array().expect("tasks").iter();
    let jobs = jobs.map(|task| task["task_id"].as_str().expect("an id").to_owned()).collect();
    (answer["batch_id"].as_str().expect("an id").to_owned(), jobs)
}

#[tokio::test]
async fn a_live_list_of_batches_hears_of_its_batches_and_of_newer_ones() {
    let pages = Pages::new().await;
    let (id, jobs) = batch(&pages, "https://a.example/one.mp4").await;
    let html = pages.get("/ui/batches").await.text();
    let (_, rest) = html.split_once("hx-sse:connect=\"").expect("a stream");
    let live = rest.split('"').next().expect("a path").replace("&#38;", "&");
    assert!(live.contains(&format!("newest={id}")), "{live}");
    let answer = pages.app.open(Method::GET, &live, &[("host", "localhost")], Body::empty()).await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut events = answer.into_body().into_data_stream();
    let first = text_until(&mut events, &format!("#share-{id}")).await;
    assert!(first.contains(&format!("#state-{id}")) && first.contains("2 queued"), "{first}");
    for job in &jobs {
        pages.app.post(&format!("/jobs/{job}/cancel"), &json!({})).await;
    }
    text_until(&mut events, "2 cancelled").await;
    pages.app.clock.advance(std::time::Duration::from_millis(1));
    batch(&pages, "https://a.example/two.mp4").await;
    text_until(&mut events, "1 new batch").await;
    let wrong = pages.get("/ui/live/batches?after=nonsense").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn words_of_others_are_text_on_every_page() {
    let pages = Pages::new().await;
    let url = "https://a.example/%3Cscript%3Ealert(1)%3C%2Fscript%3E?x=%3Cimg%20src=x%20onerror=alert(2)%3E";
    let (id, jobs) = batch(&pages, url).await;
    let by_name = format!(
        "name={}",
        url::form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect::<String>()
    );
    let made = pages.post("/ui/keys", "/ui/keys", &format!("{by_name}&scope=jobs%3Aread")).await;
    assert!(!made.text().contains("<script>alert") && !made.text().contains("<img src=x"));
    pages.app.post(&format!("/jobs/{}/cancel", jobs[0]), &json!({})).await;
    let due = pages.app.store.claim_deliveries(9, 9, std::time::Duration::from_secs(30)).await;
    let due = due.expect("due").pop().expect("a delivery");
    let at = reelway::clock::Timestamp::from_millis(crate::app::NOW);
    let response = Some(HOSTILE.to_owned());
    let record = AttemptRecord { at, duration_ms: 1, status: Some(500), error: None, response };
    let (delivery, attempt) = (due.id, due.attempt);
    let settle = SettleDelivery { id: delivery, attempt, record, outcome: AttemptOutcome::Failed };
    assert_eq!(pages.app.store.settle_delivery(settle).await.expect("an answer"), Settled::Done);
    for path in [
        "/ui/batches".to_owned(),
        format!("/ui/batches/{id}"),
        format!("/ui/jobs/{}", jobs[0]),
        format!("/ui/deliveries/{delivery}"),
        "/ui/webhooks".to_owned(),
        "/ui/keys".to_owned(),
        "/".to_owned(),
    ] {
        let page = pages.get(&path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        let html = page.text();
        for raw in ["<script>alert", "<img src=x", "onerror=alert(2)>"] {
            assert!(!html.contains(raw), "{path} has {raw}");
        }
    }
    // They are there, as text.
    for (path, words) in [
        (format!("/ui/deliveries/{delivery}"), "&#60;script&#62;alert(1)"),
        ("/ui/keys".to_owned(), "&#60;script&#62;alert(1)"),
    ] {
        assert!(pages.get(&path).await.text().contains(words), "{path}");
    }
}

#[tokio::test]
async fn administrators_see_what_operators_were_told_and_others_do_not() {
    let pages = Pages::locked("secret").await;
    let (_, bearer) = pages.app.key_of("default", [Scope::JobsRead, Scope::JobsWrite]).await;
    let sent = json!({"input": "https://a.example/", "kind": "video",
                      "webhook_url": "https://hooks.example.com/"});
    let headers = [("authorization", bearer.as_str())];
    let job = pages.app.post_with("/jobs", &headers, &sent).await.json();
    let id = job["id"].as_str().expect("an id");
    pages.app.post_with(&format!("/jobs/{id}/cancel"), &headers, &json!({})).await;
    let due = pages.app.store.claim_deliveries(9, 9, std::time::Duration::from_secs(30)).await;
    pages.sign_in("secret").await;
    assert!(!pages.get("/ui/webhooks").await.text().contains("id=\"operations\""));
    pages.app.post_with("/jobs", &headers, &sent).await;
    let told = pages.app.tell_operators(&due.expect("due")[0]).await;
    assert_eq!(told.len(), 4);
    let html = pages.get("/ui/webhooks").await.text();
    assert!(html.contains("https://ops.example.com/hook") && !html.contains("~operations"));
    for kind in ["endpoint.disabled", "worker.lost", "disk.low", "job.poisoned"] {
        assert!(html.contains(kind), "{kind}");
    }
    let page = format!("/ui/deliveries/{}", told[0].id);
    let shown = pages.get(&page).await;
    assert!(shown.text().contains("https://media.example.com/ui/"), "{}", shown.text());
    let replayed = pages.post(&page, &format!("{page}/replay"), "").await;
    assert_eq!(replayed.status, StatusCode::SEE_OTHER);

    pages.sign_in(bearer.strip_prefix("Bearer ").expect("a key")).await;
    let html = pages.get("/ui/webhooks").await.text();
    assert!(!html.contains("ops.example.com") && html.contains("hooks.example.com"), "{html}");
    assert_eq!(pages.get(&page).await.status, StatusCode::NOT_FOUND);
    let refused = pages.post("/ui/webhooks", &format!("{page}/replay"), "").await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
}
