//! Nobody is killed while it drains.

use std::time::Duration;

use humantime::parse_duration;
use reelway::config::Setting;
use serde_json::Value;

use crate::files::{document, documents, files_in, manifest, text};

/// What work has after the drain to stop and to be written down: `LAST_WORK` in `src/app`.
const LAST_WORK: Duration = Duration::from_secs(10);

/// From SIGTERM to SIGKILL, somewhere.
struct Grace {
    place: String,
    grace: Duration,
    /// What goes off before SIGTERM comes.
    before: Duration,
    /// `REELWAY_DRAIN`, where it is set.
    drain: Option<String>,
}

impl Grace {
    fn assert_is_enough(&self) {
        let default = Setting::find("drain").expect("the setting").default;
        let drain = parse_duration(self.drain.as_deref().unwrap_or(default)).expect("a duration");
        let needed = self.before + drain + LAST_WORK;
        let Self { place, grace, .. } = self;
        assert!(*grace > needed, "{place}: killed after {grace:?}, but stopping takes {needed:?}");
    }
}

fn seconds(value: &Value) -> Duration {
    Duration::from_secs(value.as_u64().expect("a number of seconds, not a text"))
}

#[test]
fn compose_waits_longer_than_it_drains() {
    let services = &document("compose.yaml")["services"];
    for name in ["api", "worker"] {
        let service = &services[name];
        let grace = service["stop_grace_period"].as_str().expect("a grace period");
        let grace = parse_duration(grace).expect("a duration");
        let drain = service["environment"]["REELWAY_DRAIN"].as_str().map(str::to_owned);
        let place = format!("compose.yaml {name}");
        Grace { place, grace, before: Duration::ZERO, drain }.assert_is_enough();
    }
}

#[test]
fn kubernetes_waits_longer_than_it_drains() {
    for name in ["reelway-api", "reelway-worker"] {
        let pod = &manifest("Deployment", name)["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        let pause = &container["lifecycle"]["preStop"]["sleep"]["seconds"];
        let env = container["env"].as_array().expect("variables");
        let drain = env.iter().find(|it| it["name"] == "REELWAY_DRAIN");
        Grace {
            place: name.to_owned(),
            grace: seconds(&pod["terminationGracePeriodSeconds"]),
            before: if pause.is_null() { Duration::ZERO } else { seconds(pause) },
            drain: drain.map(|it| it["value"].as_str().expect("a text").to_owned()),
        }
        .assert_is_enough();
    }
}

#[test]
fn systemd_waits_longer_than_it_drains_and_tells_reelway_alone() {
    for unit in files_in("deploy/systemd") {
        let text = text(&unit);
        let value = |key: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| line.strip_prefix(key)).map(str::to_owned)
        };
        let stop = value("TimeoutStopSec=").expect("a time to stop");
        Grace {
            place: unit.display().to_string(),
            grace: parse_duration(&stop).expect("a duration"),
            before: Duration::ZERO,
            drain: value("Environment=REELWAY_DRAIN="),
        }
        .assert_is_enough();
        // With the default SIGTERM would end every ffmpeg at once, and nothing would drain.
        assert_eq!(value("KillMode=").as_deref(), Some("mixed"), "{}", unit.display());
        assert_eq!(value("OOMPolicy=").as_deref(), Some("continue"), "{}", unit.display());
    }
}

#[test]
fn railway_waits_longer_than_it_drains() {
    for path in ["railway.json", "deploy/railway/worker.json"] {
        let deploy = &documents(path)[0]["deploy"];
        let grace = seconds(&deploy["drainingSeconds"]);
        let (place, before) = (path.to_owned(), Duration::ZERO);
        Grace { place, grace, before, drain: None }.assert_is_enough();
    }
}
