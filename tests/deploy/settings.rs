//! Every setting that a deployment file names, and every value that it gives.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use reelway::config::{Config, Flags, Purpose, SETTINGS};

use crate::files::{all, document, manifest, shell_lines, strings, text, variables};

/// A process that is started, and the variables that it is given.
type Started = (&'static str, BTreeMap<String, String>);

#[test]
fn every_variable_that_is_named_is_a_setting() {
    let settings: BTreeSet<&str> = SETTINGS.iter().flat_map(|it| it.env.iter().copied()).collect();
    let mut named = 0;
    for path in all() {
        let text = text(&path);
        for name in text.split(|c: char| !c.is_ascii_uppercase() && c != '_') {
            if !name.starts_with("REELWAY_") {
                continue;
            }
            named += 1;
            let is_known = settings.contains(name);
            assert!(is_known, "{}: there is no setting {name}", path.display());
        }
    }
    assert!(named > 20, "{named} is too few: are they looked for in the right places?");
}

#[test]
fn every_deployment_starts_with_settings_that_are_taken() {
    let started = [
        of_compose("api"),
        of_compose("worker"),
        of_pod("reelway-api"),
        of_pod("reelway-worker"),
        of_unit("deploy/systemd/reelway.service"),
        of_unit("deploy/systemd/reelway-worker@.service"),
    ];
    for (place, env) in started {
        let problems = problems(&env);
        assert!(problems.is_empty(), "{place}: {problems:#?}");
    }
}

#[test]
fn an_api_that_can_be_reached_has_a_key_and_a_worker_needs_none() {
    for (place, env) in [of_compose("api"), of_pod("reelway-api")] {
        assert!(env.contains_key("PORT") && env.contains_key("REELWAY_API_KEY"), "{place}");
    }
    let (_, worker) = of_compose("worker");
    assert!(!worker.contains_key("PORT") && !worker.contains_key("REELWAY_API_KEY"));
}

/// What Reelway says about these variables, one problem each.
fn problems(env: &BTreeMap<String, String>) -> Vec<String> {
    match Config::load_from(&Flags::default(), &|name| env.get(name).cloned(), Purpose::Listen) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.to_string().split("\n  ").skip(1).map(str::to_owned).collect(),
    }
}

fn of_compose(service: &'static str) -> Started {
    let environment = &document("compose.yaml")["services"][service]["environment"];
    let filled = |value: String| match value.find("${") {
        None => value,
        Some(from) => {
            let to = value[from..].find('}').expect("a closing brace") + from;
            let reference = &value[from + 2..to];
            // A default stays; for the rest stands what `openssl rand -hex 32` could have made.
            let random = "0123456789abcdef".repeat(4);
            let content = reference.split_once(":-").map_or(random.as_str(), |(_, it)| it);
            format!("{}{content}{}", &value[..from], &value[to + 1..])
        }
    };
    let pairs = variables(environment).into_iter();
    (service, pairs.map(|(name, value)| (name, filled(value))).collect())
}

fn of_pod(name: &'static str) -> Started {
    let pod = manifest("Deployment", name);
    let container = &pod["spec"]["template"]["spec"]["containers"][0];
    let own = container["env"].as_array().expect("variables").iter().map(|variable| {
        let text = |key: &str| variable[key].as_str().expect(key).to_owned();
        (text("name"), text("value"))
    });
    let kustomization = document("deploy/kubernetes/kustomization.yaml");
    let shared = strings(&kustomization["configMapGenerator"][0]["literals"]);
    // The secret is made by hand, with the command that the page gives.
    let lines = shell_lines(Path::new("docs/deploy/kubernetes.md"));
    let secret =
        lines.iter().find(|line| line.starts_with("kubectl create secret generic reelway"));
    let secret = secret.expect("the page makes the secret").replace('"', "");
    let secret = secret.split_whitespace().filter_map(|it| it.strip_prefix("--from-literal="));
    let pairs = shared.iter().map(String::as_str).chain(secret).map(|pair| {
        let (name, value) = pair.split_once('=').expect("NAME=value");
        (name.to_owned(), value.to_owned())
    });
    (name, pairs.chain(own).collect())
}

fn of_unit(path: &'static str) -> Started {
    let text = text(path);
    let lines = text.lines().filter_map(|line| line.strip_prefix("Environment="));
    let pairs = lines.filter_map(|pair| pair.split_once('='));
    (path, pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}
