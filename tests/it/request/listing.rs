//! `GET /jobs`: pages, filters, the ways on.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::json;

use crate::answer::Answer;
use crate::app::TestApp;

/// Submits `count` jobs, each later than the one before; returns their ids, oldest first.
async fn fill(app: &TestApp, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0..count {
        ids.push(app.submit(["video", "image"][n % 2]).await);
        app.clock.advance(Duration::from_millis(1));
    }
    ids
}

fn ids(answer: &Answer) -> Vec<String> {
    let jobs = answer.json();
    let jobs = jobs.as_array().expect("a bare list");
    jobs.iter().map(|job| job["id"].as_str().expect("an id").to_owned()).collect()
}

/// The path behind a relation of the `Link` header.
fn link(answer: &Answer, rel: &str) -> Option<String> {
    let end = format!(">; rel=\"{rel}\"");
    let part = answer.header("link").split(", ").find(|part| part.ends_with(&end))?;
    Some(part.trim_start_matches('<').trim_end_matches(&end).to_owned())
}

#[tokio::test]
async fn a_list_is_walked_forth_and_back_by_its_links() {
    let app = TestApp::new().await;
    for order in ["desc", "asc"] {
        let app = &app;
        let mut all = if order == "desc" {
            fill(app, 7).await
        } else {
            ids(&app.get("/jobs?order=asc").await)
        };
        if order == "desc" {
            all.reverse();
        }
        let mut page = app.get(&format!("/jobs?limit=3&order={order}")).await;
        assert_eq!(link(&page, "prev"), None);
        let mut forth = vec![ids(&page)];
        while let Some(next) = link(&page, "next") {
            assert_eq!(page.header("has-more"), "true");
            page = app.get(&next).await;
            forth.push(ids(&page));
        }
        assert_eq!(page.header("has-more"), "false");
        assert_eq!(forth.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1], "{order}");
        assert_eq!(forth.concat(), all, "{order}");

        let mut back = vec![ids(&page)];
        while let Some(prev) = link(&page, "prev") {
            page = app.get(&prev).await;
            assert!(link(&page, "next").is_some());
            back.insert(0, ids(&page));
        }
        assert_eq!(page.header("has-more"), "false");
        assert_eq!(back, forth, "{order}");
    }
}

#[tokio::test]
async fn a_list_holds_what_was_asked_for_and_its_links_ask_for_the_same() {
    let app = TestApp::new().await;
    let all = fill(&app, 6).await;
    app.post(&format!("/jobs/{}/cancel", all[1]), &json!({})).await;
    let images = app.get("/jobs?kind=image&limit=2&input=https%3A%2F%2Fexample.com%2Fin.mp4").await;
    assert_eq!(ids(&images), [all[5].clone(), all[3].clone()]);
    let next = app.get(&link(&images, "next").expect("more")).await;
    assert_eq!(ids(&next), [all[1].clone()]);
    assert_eq!(ids(&app.get("/jobs?status=cancelled").await), [all[1].clone()]);
    assert_eq!(ids(&app.get("/jobs?input=https%3A%2F%2Fexample.com%2Fother").await).len(), 0);
    let between = app.get(&format!("/jobs?order=asc&after={}&before={}", all[0], all[4])).await;
    assert_eq!(ids(&between), all[1..4]);
}

#[tokio::test]
async fn a_list_has_twenty_jobs_when_nothing_is_said() {
    let app = TestApp::new().await;
    let all = fill(&app, 21).await;
    let page = app.get("/jobs").await;
    assert_eq!(ids(&page).len(), 20);
    assert_eq!(ids(&page)[0], all[20]);
    assert_eq!(page.header("has-more"), "true");
    assert_eq!(ids(&app.get("/jobs?limit=100").await).len(), 21);
}

#[tokio::test]
async fn batches_are_listed_without_their_jobs_and_walked_by_their_links() {
    let app = TestApp::new().await;
    let mut all = Vec::new();
    for _ in 0..3 {
        let body = json!({"url": "https://example.com/in.mp4", "tasks": [{"kind": "image"}]});
        let answer = app.post("/process", &body).await;
        all.insert(0, answer.json()["batch_id"].as_str().expect("an id").to_owned());
        app.clock.advance(Duration::from_millis(1));
    }
    let first = app.get("/batches?limit=2&input=https%3A%2F%2Fexample.com%2Fin.mp4").await;
    assert_eq!((ids(&first), first.header("has-more")), (all[..2].to_vec(), "true"));
    let rest = app.get(&link(&first, "next").expect("more")).await;
    assert_eq!((ids(&rest), rest.header("has-more")), (all[2..].to_vec(), "false"));
    assert_eq!(ids(&app.get(&link(&rest, "prev").expect("a way back")).await), all[..2]);
    assert_snapshot!(app.get("/batches?order=asc&limit=1").await.shown());
    for wrong in ["limit=0", "after=job_01h2xcejqtf2nbrexx3vqjhp41", "lmit=3", "order=up"] {
        assert_eq!(app.get(&format!("/batches?{wrong}")).await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn a_wrong_parameter_is_named() {
    let app = TestApp::new().await;
    let mut shown = Vec::new();
    for query in [
        "kind=film",
        "status=done",
        "limit=0",
        "limit=1e3",
        "order=up",
        "after=7",
        "batch_id=job_01h2xcejqtf2nbrexx3vqjhp41",
        "stauts=failed",
        "input=%00",
        "page=2",
    ] {
        let answer = app.get(&format!("/jobs?{query}")).await;
        let field = answer.json().get("field").cloned().unwrap_or_default();
        let message = answer.json().get("message").cloned().unwrap_or_default();
        shown.push(format!("{query}: {} {field} {message}", answer.status.as_u16()));
    }
    assert_snapshot!(shown.join("\n"));
}
