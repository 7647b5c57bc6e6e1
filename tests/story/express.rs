//! The pipeline that users of the Ittybit API have (`examples/express`), with Reelway behind it.

use reqwest::Url;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::harness::{
    Postgres, Program, Server, Source, WEBHOOK_SECRET, client, eventually, example, installed,
    node_project, phone_clip,
};

const SCHEMA: &str = include_str!("../../examples/express/schema.sql");

const KEY: &str = "the-key-that-they-have";

#[tokio::test]
async fn a_pipeline_written_for_ittybit_runs_with_only_the_api_base_changed() {
    let (Some(packages), Some(clip)) = (installed("express"), phone_clip()) else { return };
    let Some(database) = Postgres::fresh().await else { return };
    database.apply(SCHEMA).await;
    let folder = tempfile::tempdir().expect("a folder");
    let files = ["server.js", "signature.js"].map(|name| example("express").join(name));
    node_project(folder.path(), &packages, &files);

    let source = Source::of(&clip).await;
    let data_dir = tempfile::tempdir().expect("a folder");
    let reelway = Server::start_with(data_dir.path(), &[("REELWAY_API_KEY", KEY)]).await;
    let env = [
        ("DATABASE_URL", database.url().as_str()),
        ("ITTYBIT_API_URL", &reelway.url),
        ("ITTYBIT_API_KEY", KEY),
        ("ITTYBIT_WEBHOOK_SECRET", WEBHOOK_SECRET),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let pipeline = Program::start("node", &["server.js"], folder.path(), &env).await;

    let request = client().post(format!("{}/process", pipeline.url));
    let answer = request.json(&json!({"url": source.url})).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.expect("JSON");
    let ids: Vec<&str> = answer["task_ids"]
        .as_array()
        .expect("three ids")
        .iter()
        .map(|id| id.as_str().expect("an id"))
        .collect();
    assert_eq!(ids.len(), 3, "{answer}");

    let pool = database.pool().await;
    for (id, begins) in ids.into_iter().zip([Begins::Mp4, Begins::Webp, Begins::Mp4]) {
        let output_url = succeeded_row(&pool, id, &source.url).await;
        let shown = client().get(format!("{}/jobs/{id}", pipeline.url)).send().await;
        let shown: Value = shown.expect("an answer").json().await.expect("JSON");
        assert_eq!(
            [&shown["task_id"], &shown["status"], &shown["output_url"]],
            [&json!(id), &json!("succeeded"), &json!(output_url)]
        );
        begins.check(output_url).await;
    }
    let rows: i64 =
        sqlx::query_scalar("select count(*) from media_jobs").fetch_one(&pool).await.expect("rows");
    assert_eq!(rows, 3);

    let forged = client().post(format!("{}/webhooks/ittybit", pipeline.url));
    let forged = forged.header("ittybit-signature", "00".repeat(32)).body("{}").send().await;
    assert_eq!(forged.expect("an answer").status(), 401);
    database.drop().await;
}

/// The `output_url` of the row once the webhook has come.
async fn succeeded_row(pool: &PgPool, id: &str, source: &str) -> Url {
    let (input_url, output_url, is_complete): (String, String, bool) =
        eventually("the row has succeeded", async || {
            let row: Option<(String, String, Option<String>, bool)> = sqlx::query_as(
                "
                select status, input_url, output_url, completed_at is not null
                from media_jobs
                where task_id = $1
                ",
            )
            .bind(id)
            .fetch_optional(pool)
            .await
            .expect("a query");
            let (status, input_url, output_url, is_complete) = row?;
            assert_ne!(status, "failed", "{id}");
            (status == "succeeded").then(|| (input_url, output_url.expect("a URL"), is_complete))
        })
        .await;
    assert!(is_complete);
    assert_eq!(input_url, source);
    output_url.parse().expect("a URL")
}

/// What a file of some format begins with.
enum Begins {
    Mp4,
    Webp,
}

impl Begins {
    async fn check(self, url: Url) {
        let answer = client().get(url).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let bytes = answer.bytes().await.expect("a file");
        match self {
            Self::Mp4 => assert_eq!(&bytes[4..8], b"ftyp"),
            Self::Webp => assert_eq!((&bytes[..4], &bytes[8..12]), (&b"RIFF"[..], &b"WEBP"[..])),
        }
    }
}
