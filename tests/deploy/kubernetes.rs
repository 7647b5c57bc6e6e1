//! A cluster: `deploy/kubernetes`.

use serde_json::Value;
use sqlx::sqlite::SqlitePoolOptions;

use crate::files::{document, files_in, manifest, strings, text};

const PODS: [&str; 2] = ["reelway-api", "reelway-worker"];

/// Fails unless the API's document has it, which is made of the router.
pub(crate) fn assert_is_route(path: &str) {
    let api: Value = serde_json::from_str(&text("docs/openapi.json")).expect("JSON");
    assert!(api["paths"][path]["get"].is_object(), "{path} is no route");
}

fn pod(name: &str) -> Value {
    manifest("Deployment", name)["spec"]["template"]["spec"].clone()
}

fn variable(pod: &Value, name: &str) -> String {
    let variables = pod["containers"][0]["env"].as_array().expect("variables");
    let found = variables.iter().find(|it| it["name"] == name);
    found.and_then(|it| it["value"].as_str()).expect(name).to_owned()
}

#[test]
fn every_manifest_is_applied_and_none_names_a_namespace() {
    let kustomization = document("deploy/kubernetes/kustomization.yaml");
    let mut applied = strings(&kustomization["resources"]);
    applied.push("kustomization.yaml".to_owned());
    applied.sort();
    let files = files_in("deploy/kubernetes").into_iter();
    let files = files.filter(|path| path.extension().is_some_and(|it| it == "yaml"));
    let names: Vec<_> = files
        .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
        .collect();
    assert_eq!(applied, names);
    for manifest in crate::files::manifests() {
        assert!(manifest["metadata"]["namespace"].is_null(), "{}", manifest["metadata"]);
    }
}

#[test]
fn pods_may_do_nothing_that_they_need_not() {
    for name in PODS {
        let pod = pod(name);
        assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{name}");
        let container = &pod["containers"][0]["securityContext"];
        assert_eq!(container["allowPrivilegeEscalation"], false, "{name}");
        assert_eq!(container["readOnlyRootFilesystem"], true, "{name}");
        assert_eq!(strings(&container["capabilities"]["drop"]), ["ALL"], "{name}");
        assert!(pod["containers"][0]["resources"]["limits"]["memory"].is_string(), "{name}");
    }
}

#[test]
fn pods_run_as_the_user_of_the_image_and_write_to_bounded_folders() {
    let user = text("Dockerfile");
    let user = user.lines().find_map(|line| line.strip_prefix("USER ")).expect("a user");
    for name in PODS {
        let pod = pod(name);
        let context = &pod["securityContext"];
        assert_eq!(format!("{}:{}", context["runAsUser"], context["runAsGroup"]), user, "{name}");
        assert_eq!(context["fsGroup"], context["runAsGroup"], "{name} may write to its volumes");
        for volume in pod["volumes"].as_array().expect("volumes") {
            assert!(volume["emptyDir"]["sizeLimit"].is_string(), "{name}: {volume}");
        }
        let mounts = pod["containers"][0]["volumeMounts"].as_array().expect("mounts");
        let data = variable(&pod, "REELWAY_DATA_DIR");
        assert!(mounts.iter().any(|mount| mount["mountPath"] == data.as_str()), "{name}: {data}");
    }
}

#[test]
fn probes_ask_routes_that_there_are_on_the_port_that_is_listened_on() {
    for (name, listens_on) in PODS.into_iter().zip(["PORT", "REELWAY_HEALTH_PORT"]) {
        let pod = pod(name);
        let container = &pod["containers"][0];
        let port = &container["ports"][0];
        assert_eq!(port["containerPort"].to_string(), variable(&pod, listens_on), "{name}");
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            let asked = &container[probe]["httpGet"];
            assert_is_route(asked["path"].as_str().expect(probe));
            assert_eq!(asked["port"], port["name"], "{name} {probe}");
        }
        // Whoever cannot reach the database is not ready; killing it would not help.
        assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/healthz", "{name}");
        assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz", "{name}");
    }
}

#[test]
fn the_scaler_gives_a_pod_to_each_slotful_of_tasks() {
    let scaler = manifest("ScaledObject", "reelway-worker");
    let target = scaler["spec"]["scaleTargetRef"]["name"].as_str().expect("a target");
    let trigger = &scaler["spec"]["triggers"][0]["metadata"];
    assert_eq!(trigger["targetQueryValue"], variable(&pod(target), "REELWAY_SLOTS").as_str());
    let replicas = &manifest("Deployment", target)["spec"]["replicas"];
    assert!(replicas.is_null(), "an apply would undo what the scaler decided");
    let secret = &manifest("TriggerAuthentication", "reelway-database")["spec"]["secretTargetRef"];
    assert_eq!(secret[0]["key"], "DATABASE_URL");
}

/// The statement without comments, on one line.
fn queue_depth() -> String {
    let text = text("deploy/kubernetes/queue-depth.sql");
    let lines: Vec<_> =
        text.lines().filter(|line| !line.starts_with("--")).map(str::trim).collect();
    lines.join(" ")
}

#[test]
fn the_scaler_asks_what_queue_depth_sql_asks() {
    let scaler = manifest("ScaledObject", "reelway-worker");
    assert_eq!(scaler["spec"]["triggers"][0]["metadata"]["query"], queue_depth());
}

#[tokio::test]
async fn the_scaler_counts_the_tasks_that_have_a_slot_or_want_one() {
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await;
    let pool = pool.expect("a database");
    sqlx::migrate!("migrations/sqlite").run(&pool).await.expect("the schema");
    let job = "insert into jobs (id, kind, input, options, metadata, state, created_at, updated_at)
               values ('job', 'video', 'https://example.com/a.mp4', '{}', '{}', 'queued', 0, 0)";
    sqlx::query(job).execute(&pool).await.expect("a job");
    for state in ["waiting", "queued", "processing", "succeeded", "failed", "cancelled"] {
        let lease = (state == "processing").then_some(1);
        sqlx::query(
            "insert into tasks (id, job_id, lane, state, run_at, lease_owner, lease_until, created_at)
             values ($1, 'job', 'heavy', $1, 0, $2, $2, 0)",
        )
        .bind(state)
        .bind(lease.map(|it: i64| it.to_string()))
        .execute(&pool)
        .await
        .expect(state);
    }
    let depth: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(queue_depth()))
        .fetch_one(&pool)
        .await
        .expect("a number");
    assert_eq!(depth, 2);
}

#[test]
fn pods_reach_no_private_network_but_for_names_and_the_database() {
    let policy = manifest("NetworkPolicy", "reelway");
    let rules = policy["spec"]["egress"].as_array().expect("rules");
    let blocks = rules.iter().filter_map(|rule| rule["to"].as_array()).flatten();
    let blocks: Vec<&Value> = blocks.map(|to| &to["ipBlock"]).filter(|it| !it.is_null()).collect();
    let except: Vec<ipnet::IpNet> = blocks
        .iter()
        .flat_map(|block| strings(&block["except"]))
        .map(|network| network.parse().expect("a network"))
        .collect();
    for address in
        ["10.0.0.1", "172.20.0.1", "192.168.1.1", "169.254.169.254", "fd00::1", "fe80::1"]
    {
        let address: std::net::IpAddr = address.parse().expect("an address");
        assert!(
            except.iter().any(|network| network.contains(&address)),
            "{address} can be reached"
        );
    }
    let open: Vec<_> = rules.iter().filter(|rule| rule["ports"].is_null()).collect();
    assert!(open.is_empty(), "{open:?}");
}
