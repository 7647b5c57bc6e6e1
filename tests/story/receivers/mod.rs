//! The receivers of `examples/receivers`, each with the same webhooks sent to it.
//!
//! Laravel's and Rails' are not run: an application of theirs is more than an example.

mod vectors;

#[path = "../../../examples/receivers/axum/src/main.rs"]
#[expect(dead_code, reason = "its `main` is for those who copy it")]
mod axum_receiver;

use std::path::Path;

use reqwest::Response;
use tokio::net::TcpListener;

use crate::harness::{Postgres, Program, WEBHOOK_SECRET, client, example, installed, node_project};
use vectors::{Answer, Vector, all, raced};

/// How many send the same event at once.
const CROWD: usize = 8;

const NEXT_SCHEMA: &str = include_str!("../../../examples/receivers/nextjs/schema.sql");
const GO_SCHEMA: &str = include_str!("../../../examples/receivers/go/schema.sql");

async fn send(base: &str, vector: &Vector) -> Response {
    let request = client().post(format!("{base}/webhooks/reelway")).body(vector.body.clone());
    let add = |request: reqwest::RequestBuilder, (name, value): &(&str, String)| {
        request.header(*name, value)
    };
    vector.headers.iter().fold(request, add).send().await.expect("an answer")
}

/// Sends every vector, then one event from many sides at once.
async fn judge(base: &str) {
    for vector in all() {
        let answer = send(base, &vector).await;
        let (status, begins) = vector.answer.looks();
        let got = answer.status().as_u16();
        let words = answer.text().await.expect("text");
        assert_eq!(got, status, "{}: {words}", vector.name);
        assert!(words.starts_with(begins), "{}: {words}", vector.name);
    }

    let vector = raced();
    let sent = futures::future::join_all((0..CROWD).map(|_| send(base, &vector))).await;
    let mut words = Vec::new();
    for answer in sent {
        assert_eq!(answer.status(), 200);
        words.push(answer.text().await.expect("text"));
    }
    words.sort();
    let mut expected = vec![Answer::SeenBefore.looks().1; CROWD - 1];
    expected.push(Answer::Stored.looks().1);
    assert_eq!(words, expected, "one of them is the first");
}

#[tokio::test]
async fn the_receiver_of_axum_takes_what_is_signed_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = format!("sqlite://{}?mode=rwc", folder.path().join("receiver.db").display());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let serving =
        tokio::spawn(
            async move { axum_receiver::serve(listener, &database, WEBHOOK_SECRET).await },
        );
    judge(&base).await;
    serving.abort();
}

#[tokio::test]
async fn the_receiver_of_express_takes_what_is_signed_once() {
    let receiver = example("receivers/express").join("receiver.js");
    node_receiver("receiver.js", &[receiver], "").await;
}

#[tokio::test]
async fn the_receiver_of_next_takes_what_is_signed_once() {
    let route = example("receivers/nextjs/app/webhooks/reelway/route.js");
    let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/story/receivers/next.mjs");
    node_receiver("next.mjs", &[route, server], NEXT_SCHEMA).await;
}

async fn node_receiver(script: &str, files: &[std::path::PathBuf], schema: &'static str) {
    let Some(packages) = installed("receivers/express") else { return };
    let Some(database) = Postgres::fresh().await else { return };
    database.apply(schema).await;
    let folder = tempfile::tempdir().expect("a folder");
    node_project(folder.path(), &packages, files);
    let url = database.url();
    let env = [("DATABASE_URL", url.as_str()), ("REELWAY_WEBHOOK_SECRET", WEBHOOK_SECRET)];
    let program = Program::start("node", &[script], folder.path(), &env).await;
    judge(&program.url).await;
    drop(program);
    database.drop().await;
}

#[tokio::test]
async fn the_receiver_of_django_takes_what_is_signed_once() {
    let Some(packages) = installed("receivers/django") else { return };
    let python = packages.join("bin/python");
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("receiver.db");
    let env = [
        ("DATABASE", database.to_str().expect("UTF-8")),
        ("REELWAY_WEBHOOK_SECRET", WEBHOOK_SECRET),
        ("PYTHONDONTWRITEBYTECODE", "1"),
    ];
    let project = example("receivers/django");
    migrate(&python, &project, &env).await;
    let arguments = ["manage.py", "runserver", "--noreload", "127.0.0.1:{port}"];
    let program = Program::start(&python, &arguments, &project, &env).await;
    judge(&program.url).await;
}

#[expect(clippy::disallowed_methods, reason = "the test starts a user's program")]
async fn migrate(python: &Path, project: &Path, env: &[(&str, &str)]) {
    let mut command = tokio::process::Command::new(python);
    command.args(["manage.py", "migrate", "--run-syncdb", "--verbosity", "0"]);
    let status = command.current_dir(project).envs(env.iter().copied()).status().await;
    assert!(status.expect("it starts").success());
}

#[tokio::test]
async fn the_receiver_of_go_takes_what_is_signed_once() {
    let Some(program) = installed("receivers/go") else { return };
    let Some(database) = Postgres::fresh().await else { return };
    database.apply(GO_SCHEMA).await;
    // The driver asks for TLS where nothing else is said.
    let url = format!("{}?sslmode=disable", database.url());
    let env = [("DATABASE_URL", url.as_str()), ("REELWAY_WEBHOOK_SECRET", WEBHOOK_SECRET)];
    let folder = tempfile::tempdir().expect("a folder");
    let receiver = Program::start(&program, &[], folder.path(), &env).await;
    judge(&receiver.url).await;
    drop(receiver);
    database.drop().await;
}
