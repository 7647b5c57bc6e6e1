//! One machine: `compose.yaml`.

use std::collections::BTreeSet;
use std::path::Path;

use crate::files::{document, shell_lines, strings, text};
use crate::kubernetes::assert_is_route;

const OURS: [&str; 2] = ["api", "worker"];

#[test]
fn our_services_wait_for_healthy_ones() {
    let services = &document("compose.yaml")["services"];
    for name in OURS {
        let needs = services[name]["depends_on"].as_object().expect("dependencies");
        let names: Vec<_> = needs.keys().map(String::as_str).collect();
        assert_eq!(names, ["postgres", "s3"], "{name}");
        for (needed, how) in needs {
            assert_eq!(how["condition"], "service_healthy", "{name} waits for {needed}");
            let check = &services[needed]["healthcheck"]["test"];
            assert!(check.is_array(), "{needed} says when it is healthy");
        }
    }
}

#[test]
fn our_services_may_do_nothing_that_they_need_not() {
    let services = &document("compose.yaml")["services"];
    for name in OURS {
        let service = &services[name];
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(strings(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(strings(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
        assert_eq!(strings(&service["volumes"]), ["/data"], "{name} has a disk of its own");
    }
    assert_eq!(services["worker"]["deploy"]["replicas"], 2);
}

#[test]
fn nothing_is_published_beyond_this_machine() {
    let services = document("compose.yaml")["services"].clone();
    for (name, service) in services.as_object().expect("services") {
        let Some(ports) = service.get("ports") else { continue };
        for port in strings(ports) {
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port}");
        }
    }
}

#[test]
fn our_services_are_asked_over_a_route_that_there_is() {
    let services = &document("compose.yaml")["services"];
    for (name, variable) in [("api", "PORT"), ("worker", "REELWAY_HEALTH_PORT")] {
        let service = &services[name];
        let check = strings(&service["healthcheck"]["test"]).join(" ");
        let path = check.split("GET ").nth(1).and_then(|rest| rest.split(' ').next());
        assert_is_route(path.expect("a path"));
        let port = service["environment"][variable].as_str().expect(variable);
        assert!(check.contains(&format!("/dev/tcp/127.0.0.1/{port} ")), "{name}: {check}");
    }
}

#[test]
fn the_page_makes_every_secret_that_the_file_asks_for() {
    let text = text("compose.yaml");
    let asked = text.split("${").skip(1).filter_map(|rest| rest.split_once(":?"));
    let asked: BTreeSet<&str> =
        asked.map(|(name, _)| name).filter(|it| !it.contains('}')).collect();
    let lines = shell_lines(Path::new("docs/deploy/docker.md"));
    let line = lines.iter().find_map(|line| line.strip_prefix("for name in "));
    let made = line.and_then(|line| line.strip_suffix("; do")).expect("the page makes a .env");
    assert_eq!(asked, made.split_whitespace().collect());
}
