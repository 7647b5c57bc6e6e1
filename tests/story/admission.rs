//! ffmpeg begins where there is memory for it.

use serde_json::json;

use crate::harness::{
    Receiver, Server, Source, client, eventually, film_clip, processes_naming, short_clip,
};

/// How many tasks wait for memory, as the server's metrics say.
async fn waiting(server: &Server) -> Option<String> {
    let answer = client().get(format!("{}/metrics", server.url)).send().await.expect("an answer");
    let text = answer.text().await.expect("a text");
    let name = r#"reelway_tasks_waiting_for_memory{lane="heavy"} "#;
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
}

#[tokio::test]
async fn two_jobs_with_memory_for_one_are_made_one_after_the_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&film_clip(folder.path())).await;
    let receiver = Receiver::start().await;
    let data_dir = tempfile::tempdir().expect("a folder");
    // Two slots, and less memory than one ffmpeg takes.
    let env = [
        ("REELWAY_SLOTS", "2"),
        ("REELWAY_MAX_TOGETHER", "1"),
        ("REELWAY_MEMORY", "64MiB"),
        ("REELWAY_MIN_FREE_MEMORY", "0"),
    ];
    let server = Server::start_with(data_dir.path(), &env).await;
    let task = json!({"kind": "video", "options": {"format": "webm", "quality": "high"}});
    let body = json!({"url": source.url, "tasks": [task, task], "webhook_url": receiver.url});
    server.post("/process", &body).await;
    eventually("one waits for memory", async || {
        (waiting(&server).await.as_deref() == Some("1")).then_some(())
    })
    .await;
    let scratch = data_dir.path().join("scratch");
    eventually("the other encodes", async || (processes_naming(&scratch).len() == 1).then_some(()))
        .await;
    // Of each job, and of the batch.
    for _ in 0..3 {
        let body = receiver.next().await.body;
        assert_ne!(body["type"], "job.failed", "{body}");
    }
    assert_eq!(waiting(&server).await.as_deref(), Some("0"));
    server.kill().await;
}

#[tokio::test]
async fn videos_of_one_input_are_made_one_by_one_where_there_is_no_memory_for_them_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&short_clip(folder.path())).await;
    let receiver = Receiver::start().await;
    let data_dir = tempfile::tempdir().expect("a folder");
    let env = [("REELWAY_SLOTS", "1"), ("REELWAY_MEMORY", "64MiB")];
    let server = Server::start_with(data_dir.path(), &env).await;
    let tasks = json!([
        {"kind": "video", "options": {"width": 320, "copy": "never"}},
        {"kind": "video", "options": {"width": 160, "copy": "never"}},
    ]);
    let body = json!({"url": source.url, "tasks": tasks, "webhook_url": receiver.url});
    let batch = server.post("/process", &body).await;
    for _ in 0..3 {
        let body = receiver.next().await.body;
        assert_ne!(body["type"], "job.failed", "{body}");
    }
    for task in batch["tasks"].as_array().expect("tasks") {
        let job = server.get(&format!("/jobs/{}", task["task_id"].as_str().expect("an id"))).await;
        assert_eq!(job["status"], "succeeded", "{job}");
        assert!(!job["tasks"].to_string().contains("made together"), "{job}");
    }
    assert_eq!(source.requests(), 1, "they came together");
    server.kill().await;
}
