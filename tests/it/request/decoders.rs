//! Whatever is sent, the answer is a success or a problem with a kind, and never a 5xx.

use axum::body::Body;
use axum::http::Method;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use crate::answer::Answer;
use crate::app::TestApp;

/// Any JSON, with the values that a decoder may trip over among it.
fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        ".{0,12}",
        Just("https://example.com/a.mp4".to_owned()),
        Just("http://127.0.0.1/".to_owned()),
        Just("s3:".to_owned()),
        Just("http://[::".to_owned()),
        Just("video".to_owned()),
        Just("50%".to_owned()),
        Just("\u{0}".to_owned()),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let name = prop_oneof![
            prop::sample::select(vec!["kind", "options", "width", "start", "end", "format"])
                .prop_map(str::to_owned),
            ".{0,6}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// A request that is right but for a few fields.
fn nearly_right() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec![
        "input",
        "url",
        "kind",
        "options",
        "metadata",
        "webhook_url",
        "tasks",
        "output",
        "since",
    ]);
    prop::collection::vec((name, any_json()), 0..3).prop_map(|wrong| {
        let mut object: Map<String, Value> = Map::new();
        object.insert("url".to_owned(), json!("https://example.com/a.mp4"));
        object.insert("kind".to_owned(), json!("video"));
        object.extend(wrong.into_iter().map(|(name, value)| (name.to_owned(), value)));
        Value::Object(object)
    })
}

fn check(answer: &Answer) -> Result<(), TestCaseError> {
    prop_assert!(answer.status.as_u16() < 500, "{:?}", answer);
    if answer.status.is_client_error() {
        let problem = answer.json();
        for name in ["kind", "message", "request_id"] {
            prop_assert!(problem[name].is_string(), "{:?}", answer);
        }
    }
    Ok(())
}

fn run<S: Strategy>(strategy: S, test: impl Fn(&Runtime, &TestApp, S::Value) -> Vec<Answer>) {
    let runtime = Runtime::new().expect("a runtime");
    let app = runtime.block_on(TestApp::new());
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let outcome =
        runner.run(&strategy, |value| test(&runtime, &app, value).iter().try_for_each(check));
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn no_json_is_answered_with_a_5xx() {
    run(prop_oneof![any_json(), nearly_right()], |runtime, app, body| {
        let paths = ["/process", "/jobs", "/webhooks/deliveries/replay"];
        paths.map(|path| runtime.block_on(app.post(path, &body))).into()
    });
}

#[test]
fn no_bytes_are_answered_with_a_5xx() {
    run(prop::collection::vec(any::<u8>(), 0..64), |runtime, app, bytes| {
        let json = [("content-type", "application/json")];
        vec![runtime.block_on(app.call(Method::POST, "/jobs", &json, Body::from(bytes)))]
    });
}

#[test]
fn no_path_or_query_is_answered_with_a_5xx() {
    let text = prop::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| {
        bytes.iter().fold(String::new(), |text, byte| text + &format!("%{byte:02x}"))
    });
    run(text, |runtime, app, text| {
        let paths = [
            format!("/jobs/{text}"),
            format!("/files/{text}?expires={text}&signature={text}"),
            format!("/jobs?input={text}&{text}={text}"),
            format!("/jobs?after={text}"),
            format!("/batches/{text}"),
            format!("/{text}"),
        ];
        paths.map(|path| runtime.block_on(app.get(&path))).into()
    });
}
