//! Metrics, alert rules and the Grafana dashboard name the same things, and Prometheus' own tool
//! takes them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use reelway::metrics::{Shape, TABLE};
use serde_json::Value;

use crate::files::{document, text};

const ALERTS: &str = "deploy/prometheus/alerts.yml";
const DASHBOARD: &str = "deploy/grafana/reelway.json";

/// Prometheus' own tool; where there is none that is said, and in CI it is a failure.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn promtool() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ours = root.join("target/tools/prometheus/usr/bin/promtool");
    if ours.is_file() {
        return Some(ours);
    }
    assert!(std::env::var_os("CI").is_none(), "there is no promtool: scripts/setup promtool");
    println!("skipped: there is no promtool: scripts/setup promtool");
    None
}

#[expect(clippy::disallowed_methods, reason = "the test starts Prometheus' tool")]
fn run(promtool: &Path, arguments: &[&str]) {
    let output = Command::new(promtool)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("promtool starts");
    let words = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{arguments:?}: {words}");
}

/// Every name that a metric of the table has on the page.
fn names() -> BTreeSet<String> {
    TABLE
        .iter()
        .flat_map(|metric| match metric.shape {
            Shape::Histogram(_) => {
                ["_bucket", "_sum", "_count"].map(|part| format!("{}{part}", metric.name)).to_vec()
            }
            Shape::Counter | Shape::Gauge => vec![metric.name.to_owned()],
        })
        .collect()
}

/// The metrics that an expression names.
fn named(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("reelway_")).map(str::to_owned).collect()
}

fn alerts() -> Vec<Value> {
    document(ALERTS)["groups"][0]["rules"].as_array().expect("rules").clone()
}

fn expressions_of_the_dashboard() -> Vec<String> {
    let dashboard = document(DASHBOARD);
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.map(|target| target["expr"].as_str().expect("an expression").to_owned()).collect()
}

#[test]
fn rules_and_dashboard_name_only_metrics_that_there_are() {
    let names = names();
    let of_alerts =
        alerts().into_iter().map(|rule| rule["expr"].as_str().expect("expr").to_owned());
    let mut seen = BTreeSet::new();
    for expression in of_alerts.chain(expressions_of_the_dashboard()) {
        for name in named(&expression) {
            assert!(names.contains(&name), "{name} in {expression}");
            seen.insert(name);
        }
    }
    assert!(seen.len() > 20, "only {} metrics are looked at", seen.len());
}

#[test]
fn promtool_takes_the_rules_and_each_alert_fires_when_it_should() {
    let Some(promtool) = promtool() else { return };
    run(&promtool, &["check", "rules", ALERTS]);
    run(&promtool, &["test", "rules", "deploy/prometheus/alerts_test.yml"]);
}

#[test]
fn promtool_takes_every_expression_of_the_dashboard() {
    let Some(promtool) = promtool() else { return };
    let expressions = expressions_of_the_dashboard();
    assert!(expressions.len() > 10);
    // As recording rules: the tool has no command for expressions. Grafana puts in its variables.
    let rules: Vec<Value> = expressions
        .iter()
        .enumerate()
        .map(|(n, expression)| {
            let expression = expression.replace("$__rate_interval", "5m");
            serde_json::json!({"record": format!("panel:{n}"), "expr": expression})
        })
        .collect();
    let file = serde_json::json!({"groups": [{"name": "panels", "rules": rules}]});
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rules.yml");
    std::fs::write(&path, file.to_string()).expect("written");
    run(&promtool, &["check", "rules", path.to_str().expect("UTF-8")]);
}

#[test]
fn each_alert_is_tried_and_has_its_recipe() {
    let tried = text("deploy/prometheus/alerts_test.yml");
    let operations = text("docs/operations.md");
    for rule in alerts() {
        let name = rule["alert"].as_str().expect("a name");
        assert!(tried.matches(&format!("alertname: {name}")).count() >= 2, "{name} is not tried");
        let runbook = rule["annotations"]["runbook"].as_str().expect("a runbook");
        assert_eq!(runbook, format!("docs/operations.md#{}", name.to_lowercase()));
        assert!(operations.contains(&format!("### {name}\n")), "{name} has no recipe");
    }
}
