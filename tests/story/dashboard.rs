//! The pages, in front of a person in a real browser.

use std::path::{Path, PathBuf};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::harness::{
    Receiver, Server, Source, film_clip, installed, is_here, long_clip, node_project, serve,
    short_clip,
};

/// What a person has seen in one scene; none where there is no browser.
#[expect(clippy::disallowed_methods, reason = "the test starts a browser")]
async fn seen(scene: &str, settings: &Value) -> Option<Value> {
    let chromium = Path::new("/usr/bin/chromium");
    let has_browser = is_here("/usr/bin/chromium (scripts/setup browser)", chromium.exists());
    let packages = installed("browser").filter(|_| has_browser)?;
    let folder = tempfile::tempdir().expect("a folder");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/dashboard.mjs");
    node_project(folder.path(), &packages, &[script]);
    let said = tokio::process::Command::new("node")
        .args(["dashboard.mjs", scene, &settings.to_string()])
        .current_dir(folder.path())
        .kill_on_drop(true)
        .output()
        .await
        .expect("node is installed");
    let shown = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{scene}: {shown}");
    Some(serde_json::from_slice(&said.stdout).expect("JSON"))
}

/// Where pictures of the pages are written for people to look at.
fn artefacts() -> PathBuf {
    let folder = std::env::var_os("REELWAY_ARTEFACTS").map(PathBuf::from);
    let usual = || Path::new(env!("CARGO_MANIFEST_DIR")).join("artefacts");
    folder.unwrap_or_else(usual).join("dashboard")
}

async fn ended(server: &Server, body: &Value) -> Value {
    let id = server.post("/jobs", body).await["id"].as_str().expect("an id").to_owned();
    let is_over = |job: &Value| job["finished_at"] != Value::Null;
    server.job_when(&id, is_over).await
}

#[tokio::test]
async fn a_person_submits_two_tasks_and_sees_them_end_and_play() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&short_clip(folder.path())).await;
    let receiver = Receiver::start().await;
    let server = Server::start(folder.path()).await;
    let settings = json!({"url": server.url, "source": source.url, "receiver": receiver.url});
    let Some(seen) = seen("submit", &settings).await else { return };
    assert_eq!(seen["rows"], 2);
    assert_eq!(seen["width"], 320);
    assert!(receiver.next().await.is_verified());
    // What is shown as a command is the same request.
    let curl = seen["curl"].as_str().expect("text");
    let words = shlex::split(&curl.replace("\\\n", " ")).expect("a shell's words");
    let body = words.iter().skip_while(|word| *word != "-d").nth(1).expect("a body");
    let body: Value = serde_json::from_str(body).expect("JSON");
    let again = server.post("/process", &body).await;
    assert_eq!(again["tasks"].as_array().map(Vec::len), Some(2), "{again}");
}

#[tokio::test]
async fn a_person_sees_progress_move_and_stops_the_job() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&long_clip(folder.path())).await;
    let server = Server::start(folder.path()).await;
    let settings = json!({"url": server.url, "source": source.url});
    let Some(seen) = seen("progress", &settings).await else { return };
    assert_eq!(seen["steps"], 3, "the bar moved while it was looked at");
}

#[tokio::test]
async fn a_person_reads_why_a_job_failed_and_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let gone = gone().await;
    let server = Server::start(folder.path()).await;
    let Some(seen) = seen("failure", &json!({"url": server.url, "source": gone})).await else {
        return;
    };
    let told = seen["told"].as_str().expect("text");
    assert!(told.contains("input_not_found") && told.contains("What to do"), "{told}");
    assert!(seen["row"].as_str().expect("text").contains("failed"), "{seen}");
}

/// The URL of a server that has nothing.
async fn gone() -> String {
    serve(Router::new().route("/other", get(async || ""))).await + "/clip.mp4"
}

#[tokio::test]
async fn a_person_replays_a_webhook_that_was_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&short_clip(folder.path())).await;
    let receiver = Receiver::start().await;
    receiver.answer(StatusCode::GONE);
    let server = Server::start(folder.path()).await;
    let job =
        ended(&server, &json!({"input": source.url, "kind": "probe", "webhook_url": receiver.url}))
            .await;
    let first = receiver.next().await;
    receiver.answer(StatusCode::OK);
    let Some(seen) = seen("replay", &json!({"url": server.url, "job": job["id"]})).await else {
        return;
    };
    assert!(seen["answer"].as_str().expect("text").contains("410"), "{seen}");
    let second = receiver.next().await;
    assert_eq!((second.id(), second.is_verified()), (first.id(), true));
}

#[tokio::test]
async fn a_person_signs_in_and_out_and_the_api_takes_no_cookie() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = "a key of the story";
    let server = Server::start_with(folder.path(), &[("REELWAY_API_KEY", key)]).await;
    let Some(seen) = seen("sign_in", &json!({"url": server.url, "key": key})).await else {
        return;
    };
    assert!(seen["refused"].as_str().expect("text").contains("does not know"), "{seen}");
    let [cookie] = seen["cookies"].as_array().expect("cookies").as_slice() else {
        panic!("one cookie: {seen}")
    };
    assert_eq!((&cookie["httpOnly"], &cookie["sameSite"]), (&json!(true), &json!("Lax")));
    assert!(!cookie["value"].as_str().expect("text").contains(key), "{cookie}");
    assert_eq!(seen["scripted"], "", "no script reads it");
    assert_eq!(seen["foreign"], 401, "the API asks for a key all the same");
}

#[tokio::test]
async fn an_upload_whose_connection_is_cut_goes_on_where_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let clip = short_clip(folder.path());
    let file = padded(folder.path(), &clip, 12 << 20);
    let size = std::fs::metadata(&file).expect("a file").len();
    let server = Server::start(folder.path()).await;
    let Some(seen) = seen("upload", &json!({"url": server.url, "file": file})).await else {
        return;
    };
    assert_eq!(seen["cuts"], 0, "it was cut twice: {seen}");
    assert_eq!(seen["loaded"], 640, "the picture of it is shown");
    // It asked where it was, and what had arrived by then was not sent again.
    let offsets = seen["offsets"].as_array().expect("offsets");
    assert!(offsets.iter().any(|offset| offset.as_u64().is_some_and(|bytes| bytes > 0)), "{seen}");
    assert!(seen["passed"].as_u64().expect("bytes") < size * 2, "{seen} of {size}");
}

/// The same film with a box of nothing behind it, so that it takes a while to be sent.
fn padded(folder: &Path, clip: &Path, bytes: u32) -> PathBuf {
    let mut film = std::fs::read(clip).expect("a clip");
    film.extend((bytes + 8).to_be_bytes());
    film.extend(b"free");
    film.resize(film.len() + bytes as usize, 0);
    let path = folder.join("padded.mp4");
    std::fs::write(&path, film).expect("a file");
    path
}

const EVIL: &str = "<img src=x onerror=\"evil=1\"><script>evil=1</script><b class=\"evil\">";

#[tokio::test]
async fn what_strangers_write_is_text_on_every_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let no_media = serve(Router::new().route("/{*name}", get(async || EVIL))).await
        + "/%3Cimg%20src=x%20onerror=%22evil=1%22%3E.mp4";
    let receiver = serve(Router::new().route("/hook", post(async || (StatusCode::GONE, EVIL))))
        .await
        + "/hook";
    let server = Server::start(folder.path()).await;
    let job = ended(
        &server,
        &json!({
            "input": format!("{no_media}?{}", "x=%3Cb%20class=evil%3E"), "kind": "video",
            "webhook_url": format!("{receiver}?<b%20class=evil>"),
            "metadata": {"title": EVIL, EVIL: 1}
        }),
    )
    .await;
    let id = job["id"].as_str().expect("an id");
    let delivered = |log: &Value| log[0]["attempts"][0]["response"] != Value::Null;
    crate::harness::eventually("the receiver answers", async || {
        delivered(&server.get(&format!("/webhooks/deliveries?job_id={id}")).await).then_some(())
    })
    .await;
    let query = "%3Cimg%20src%3Dx%20onerror%3D%22evil%3D1%22%3E";
    let paths = json!([
        "/",
        format!("/ui/jobs/{id}"),
        format!("/?q={query}"),
        format!("/ui/new?from={id}"),
        format!("/ui/new?url={query}"),
        format!("/?status={query}"),
        "/ui/webhooks",
        "/ui/system",
        format!("/ui/jobs/{query}"),
        format!("/ui/sign-in?next={query}")
    ]);
    let Some(seen) = seen("hostile", &json!({"url": server.url, "paths": paths})).await else {
        return;
    };
    let texts = seen["texts"].as_array().expect("texts");
    assert!(texts[0].as_str().expect("text").contains("<img src=x onerror=\"evil=1\">"), "{seen}");
    let of_job = texts[1].as_str().expect("text");
    assert!(of_job.contains("<b class=\"evil\">") && of_job.contains("<script>"), "{of_job}");
}

#[tokio::test]
async fn every_page_is_read_without_scripts_and_used_by_the_keyboard() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&short_clip(folder.path())).await;
    let server = Server::start(folder.path()).await;
    let job = ended(&server, &json!({"input": source.url, "kind": "image"})).await;
    let failed = ended(&server, &json!({"input": gone().await, "kind": "video"})).await;
    let paths = json!([
        "/",
        format!("/ui/jobs/{}", job["id"].as_str().expect("an id")),
        "/ui/new?kind=video",
        format!("/ui/jobs/{}", failed["id"].as_str().expect("an id")),
        "/ui/webhooks",
        "/ui/system"
    ]);
    let Some(read) = seen("unscripted", &json!({"url": server.url, "paths": paths})).await else {
        return;
    };
    let texts: Vec<&str> =
        read["texts"].as_array().expect("texts").iter().filter_map(Value::as_str).collect();
    for (text, words) in texts.iter().zip([
        &["media", "succeeded", "failed", "waited"][..],
        &["succeeded", "Where the time went", "probe"],
        &["Input", "Make", "format"],
        &["What to do", "input_not_found"],
        &["Webhooks"],
        &["Workers", "full"],
    ]) {
        for word in words {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
    // What was run is there, without a path of this machine.
    assert!(texts[1].contains("ffmpeg -y") && texts[1].contains("video: h264"), "{}", texts[1]);
    assert!(!texts[1].contains(folder.path().to_str().expect("a path")), "{}", texts[1]);
    let settings = json!({"url": server.url, "search": "/media"});
    let Some(used) = seen("keyboard", &settings).await else { return };
    assert!(used["second"].as_str().expect("a link").ends_with(job["id"].as_str().expect("an id")));
    assert_eq!(used["selected"], "1 selected");
    assert_eq!(used["focused"], "q");
    assert_eq!(used["found"], 1);
    assert_eq!(used["did"], "1 job deleted");
}

#[tokio::test]
async fn every_page_looks_as_it_should_and_axe_finds_nothing_serious() {
    let folder = tempfile::tempdir().expect("a folder");
    let clip = short_clip(folder.path());
    let source = Source::of(&clip).await;
    let film = Source::of(&film_clip(folder.path())).await;
    let receiver = Receiver::start().await;
    let server = Server::start(folder.path()).await;
    let empty = json!({"url": server.url, "folder": artefacts(), "pages": {"empty": "/"}});
    let Some(seen_empty) = seen("looks", &empty).await else { return };
    assert_eq!(seen_empty["found"], json!([]));

    let hook = receiver.url.as_str();
    let batch = server
        .post(
            "/process",
            &json!({"url": source.url, "webhook_url": hook, "tasks": [
                {"kind": "video", "options": {"width": 480}},
                {"kind": "image", "options": {"start": 1}},
                {"kind": "image", "options": {"interval": 0.25, "width": 160, "sprite": {"columns": 4, "rows": 3}}},
                {"kind": "audio", "options": {"waveform": "json", "normalize": "lufs"}},
                {"kind": "animation", "options": {"end": 1, "width": 240}}
            ]}),
        )
        .await;
    let ids: Vec<&str> = batch["tasks"]
        .as_array()
        .expect("tasks")
        .iter()
        .map(|t| t["task_id"].as_str().expect("an id"))
        .collect();
    for id in &ids {
        server.job_when(id, |job| job["status"] == "succeeded").await;
    }
    let adaptive = ended(&server, &json!({"input": film.url, "kind": "adaptive_video"})).await;
    receiver.answer(StatusCode::GONE);
    let failed =
        ended(&server, &json!({"input": gone().await, "kind": "video", "webhook_url": hook})).await;
    let log = server.get("/webhooks/deliveries?limit=1").await;
    let delivery = format!("/ui/deliveries/{}", log[0]["id"].as_str().expect("an id"));
    let page = |id: &Value| format!("/ui/jobs/{}", id.as_str().expect("an id"));
    let settings = json!({"url": server.url, "folder": artefacts(), "pages": {
        "jobs": "/",
        "none": "/?q=nothing-like-it",
        "batches": "/ui/batches",
        "batch": format!("/ui/batches/{}", batch["batch_id"].as_str().expect("an id")),
        "video": page(&json!(ids[0])),
        "sprite": page(&json!(ids[2])),
        "audio": page(&json!(ids[3])),
        "adaptive": page(&adaptive["id"]),
        "failed": page(&failed["id"]),
        "new": "/ui/new?kind=video&kind=image",
        "problem": "/ui/jobs/job_none",
        "webhooks": "/ui/webhooks",
        "delivery": delivery,
        "system": "/ui/system",
        "keys": "/ui/keys",
    }});
    let played = json!({
        "url": server.url, "video": page(&json!(ids[0])), "audio": page(&json!(ids[3])),
        "adaptive": page(&adaptive["id"])
    });
    let Some(played) = seen("outputs", &played).await else { return };
    for what in ["film", "sound", "package"] {
        assert!(played[what]["secs"].as_f64().is_some_and(|secs| secs > 0.2), "{what}: {played}");
    }
    let looked = |n: usize| played["looked"][n].as_f64().expect("seconds");
    assert!(looked(0) < 0.5 && looked(1) > 1.0, "another picture further on: {played}");
    assert!(played["gone"].as_f64().is_some_and(|secs| (secs - 1.0).abs() < 0.2), "{played}");
    assert!(played["points"].as_u64().is_some_and(|points| points > 100), "{played}");

    let Some(seen_full) = seen("looks", &settings).await else { return };
    assert_eq!(seen_full["found"], json!([]));

    let other = tempfile::tempdir().expect("a folder");
    let closed =
        Server::start_with(other.path(), &[("REELWAY_API_KEY", "a key of these pages")]).await;
    let door =
        json!({"url": closed.url, "folder": artefacts(), "pages": {"sign-in": "/ui/sign-in"}});
    let Some(seen_door) = seen("looks", &door).await else { return };
    assert_eq!(seen_door["found"], json!([]));
}
