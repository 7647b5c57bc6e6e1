//! Railway: `railway.json` for the API, `deploy/railway/worker.json` for workers.

use std::path::Path;

use crate::files::{document, text};
use crate::kubernetes::assert_is_route;

const FILES: [&str; 2] = ["railway.json", "deploy/railway/worker.json"];

/// What Railway's reference of these files has, as far as it is used here. There is no published
/// package of its schema that a check could read.
const BUILD: [&str; 2] = ["builder", "dockerfilePath"];
const DEPLOY_TEXTS: [&str; 3] = ["startCommand", "healthcheckPath", "restartPolicyType"];
const DEPLOY_NUMBERS: [&str; 4] =
    ["healthcheckTimeout", "overlapSeconds", "drainingSeconds", "restartPolicyMaxRetries"];

#[test]
fn the_files_hold_only_what_railway_reads_in_the_types_that_it_takes() {
    for path in FILES {
        let file = document(path);
        let keys: Vec<_> = file.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["$schema", "build", "deploy"], "{path}");
        for (key, value) in file["build"].as_object().expect("an object") {
            assert!(BUILD.contains(&key.as_str()) && value.is_string(), "{path}: {key}");
        }
        for (key, value) in file["deploy"].as_object().expect("an object") {
            // As a text, which Railway's own examples show, a number of seconds ends the deployment.
            let is_known = (DEPLOY_TEXTS.contains(&key.as_str()) && value.is_string())
                || (DEPLOY_NUMBERS.contains(&key.as_str()) && value.is_u64());
            assert!(is_known, "{path}: {key}: {value}");
        }
        // Railway does not read JSON with comments.
        serde_json::from_str::<serde_json::Value>(&text(path)).expect(path);
    }
}

#[test]
fn railway_builds_our_dockerfile_and_asks_a_route_that_there_is() {
    for path in FILES {
        let file = document(path);
        assert_eq!(file["build"]["builder"], "DOCKERFILE", "{path}");
        let dockerfile = file["build"]["dockerfilePath"].as_str().expect("a path");
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(dockerfile).is_file(), "{path}");
        assert_is_route(file["deploy"]["healthcheckPath"].as_str().expect("a path"));
    }
}

#[test]
fn the_page_names_what_railway_injects_and_both_files() {
    let page = text("docs/deploy/railway.md");
    let injected = ["PORT", "DATABASE_URL", "RAILWAY_PUBLIC_DOMAIN", "RAILWAY_VOLUME_MOUNT_PATH"];
    for name in injected.into_iter().chain(FILES) {
        assert!(
            page.contains(&format!("`{name}`")) || page.contains(&format!("`/{name}`")),
            "{name}"
        );
    }
}
