//! `reelway doctor`: a verdict on each line, and a fix where it is needed.

use serde_json::Value;

use super::typed::{Desk, Said};
use crate::loopback::{Act, Loopback, status};

const ANY_PORT: (&str, &str) = ("PORT", "0");
const LOOPBACK: (&str, &str) = ("REELWAY_BIND", "127.0.0.1");

/// Each check has a name, a verdict and what was found; what is not good has a fix.
fn checks(said: &Said) -> Vec<Value> {
    let checks = said.lines();
    for check in &checks {
        let text = |name: &str| check[name].as_str().unwrap_or_default().to_owned();
        assert!(!text("check").is_empty() && !text("found").is_empty(), "{check}");
        match text("verdict").as_str() {
            "good" => assert!(check.get("fix").is_none(), "{check}"),
            "doubtful" | "bad" => assert!(!text("fix").is_empty(), "{check}"),
            other => panic!("no verdict: {other}"),
        }
    }
    checks
}

fn verdict(checks: &[Value], name: &str) -> String {
    let check = checks.iter().find(|check| check["check"] == name);
    check.unwrap_or_else(|| panic!("no check {name}"))["verdict"].as_str().expect("text").to_owned()
}

#[test]
fn a_good_machine_is_told_so_line_by_line() {
    let env = [ANY_PORT, LOOPBACK, ("REELWAY_FFMPEG", ""), ("REELWAY_FFPROBE", "")];
    let said = Desk::new().run_with(&["doctor"], &env);
    said.assert_well();
    let checks = checks(&said);
    for name in [
        "ffmpeg", "encoders", "heic", "fonts", "sandbox", "data", "storage", "port", "links",
        "database", "webhook", "clock",
    ] {
        assert_eq!(verdict(&checks, name), "good", "{said:?}");
    }
}

#[test]
fn the_layers_around_the_sandbox_are_named_and_can_be_left_out() {
    let env = [ANY_PORT, LOOPBACK, ("REELWAY_FFMPEG", ""), ("REELWAY_FFPROBE", "")];
    let found = |extras| {
        let env = [&env[..], &[("REELWAY_SANDBOX_EXTRAS", extras)]].concat();
        let checks = checks(&Desk::new().run_with(&["doctor"], &env));
        let check = checks.into_iter().find(|check| check["check"] == "sandbox");
        check.expect("a check")["found"].as_str().expect("text").to_owned()
    };
    let (all, none) = (found("namespaces"), found("none"));
    assert!(all.starts_with("full (landlock") && all.contains(", namespaces)"), "{all}");
    assert!(none.starts_with("full (landlock") && none.contains("seccomp):"), "{none}");
}

#[test]
fn hardware_that_was_asked_for_and_is_not_there_is_doubtful() {
    let real = [ANY_PORT, LOOPBACK, ("REELWAY_FFMPEG", ""), ("REELWAY_FFPROBE", "")];
    // Apple's, which no machine with Landlock has.
    for (encoder, expected) in [("videotoolbox", "doubtful"), ("auto", "good")] {
        let env = [&real[..], &[("REELWAY_ENCODER", encoder)]].concat();
        let checks = checks(&Desk::new().run_with(&["doctor"], &env));
        assert_eq!(verdict(&checks, "hardware"), expected, "{encoder}");
    }
}

#[test]
fn a_missing_ffmpeg_is_bad_and_has_a_fix() {
    let env = [ANY_PORT, LOOPBACK, ("REELWAY_FFMPEG", "/nowhere/ffmpeg")];
    let said = Desk::new().run_with(&["doctor"], &env);
    assert_eq!(said.code, Some(1), "{said:?}");
    let checks = checks(&said);
    assert_eq!(verdict(&checks, "ffmpeg"), "bad");
    assert!(said.out.contains("apt-get install ffmpeg"), "{said:?}");
    assert!(said.err.contains("one check is bad"), "{said:?}");
    assert_eq!(verdict(&checks, "port"), "good", "the others are looked at all the same");
}

#[test]
fn an_ffmpeg_without_the_encoders_is_doubtful() {
    let said = Desk::new().run_with(&["doctor"], &[ANY_PORT, LOOPBACK]);
    said.assert_well();
    let checks = checks(&said);
    assert_eq!(verdict(&checks, "encoders"), "doubtful");
    assert!(said.out.contains("libvpx-vp9"), "{said:?}");
}

#[test]
fn an_ffmpeg_that_does_not_work_in_its_sandbox_is_bad_unless_that_is_permitted() {
    let env = [ANY_PORT, LOOPBACK, ("REELWAY_SANDBOX", "required")];
    let said = Desk::new().run_with(&["doctor"], &env);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(verdict(&checks(&said), "sandbox"), "bad");
    assert!(said.out.contains("REELWAY_SANDBOX=permissive"), "{said:?}");
    let said = Desk::new().run_with(&["doctor"], &[ANY_PORT, LOOPBACK]);
    assert_eq!(verdict(&checks(&said), "sandbox"), "doubtful");
}

#[tokio::test]
async fn a_port_that_another_program_has_is_bad() {
    let other = Loopback::start(|_, _| status("404 Not Found")).await;
    let port = other.port().to_string();
    let desk = Desk::new();
    let said = tokio::task::spawn_blocking(move || {
        desk.run_with(&["doctor"], &[("PORT", &port), LOOPBACK])
    });
    let said = said.await.expect("no panic");
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(verdict(&checks(&said), "port"), "bad");
}

#[tokio::test]
async fn the_receiver_of_webhooks_is_asked_and_its_clock_compared() {
    let answers = [
        ("200 OK", "Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n", "good", "bad"),
        ("405 Method Not Allowed", "", "good", "good"),
        ("308 Permanent Redirect", "Location: https://a.example/\r\n", "doubtful", "good"),
        ("502 Bad Gateway", "", "doubtful", "good"),
    ];
    for (status, header, webhook, clock) in answers {
        let answer = format!("HTTP/1.1 {status}\r\n{header}Content-Length: 0\r\n\r\n");
        let receiver =
            Loopback::start(move |_, _| vec![Act::Send(answer.clone().into_bytes())]).await;
        let url = format!("http://127.0.0.1:{}/hook?token=secret", receiver.port());
        let said = tokio::task::spawn_blocking(move || {
            let receiver = ("REELWAY_WEBHOOK_URL", url.as_str());
            let allowed = ("REELWAY_ALLOW_NETWORKS", "127.0.0.0/8");
            Desk::new().run_with(&["doctor"], &[ANY_PORT, LOOPBACK, receiver, allowed])
        });
        let said = said.await.expect("no panic");
        let checks = checks(&said);
        assert_eq!(verdict(&checks, "webhook"), webhook, "{status}: {said:?}");
        assert_eq!(verdict(&checks, "clock"), clock, "{status}: {said:?}");
        assert!(!said.out.contains("secret"), "{said:?}");
        assert_eq!(receiver.requests()[0].method, "HEAD");
    }
}

#[test]
fn a_receiver_or_a_database_that_is_not_reached_is_bad() {
    let receiver = ("REELWAY_WEBHOOK_URL", "http://10.0.0.1/hook");
    let said = Desk::new().run_with(&["doctor"], &[ANY_PORT, LOOPBACK, receiver]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(verdict(&checks(&said), "webhook"), "bad");
    assert!(said.out.contains("REELWAY_ALLOW_NETWORKS"), "{said:?}");

    let database = ("DATABASE_URL", "postgres://reelway:secret@127.0.0.1:9/reelway");
    let said = Desk::new().run_with(&["doctor"], &[ANY_PORT, LOOPBACK, database]);
    assert_eq!(verdict(&checks(&said), "database"), "bad");
    assert!(said.out.contains("DATABASE_URL") && !said.out.contains("secret"), "{said:?}");
}

#[test]
fn where_a_provider_makes_the_jobs_no_program_is_missed() {
    let key = ("ITTYBIT_API_KEY", "a-key-of-this-server");
    let public = ("REELWAY_PUBLIC_URL", "https://media.example.com");
    let nowhere = ("REELWAY_FFMPEG", "/nowhere/ffmpeg");
    let env = [ANY_PORT, LOOPBACK, key, public, nowhere];
    let said = Desk::new().run_with(&["doctor"], &env);
    said.assert_well();
    assert_eq!(verdict(&checks(&said), "engine"), "doubtful", "{said:?}");
    assert!(said.out.contains("ITTYBIT_WEBHOOK_SECRET"), "{said:?}");
    let secret = ("ITTYBIT_WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let said =
        Desk::new().run_with(&["doctor"], &[ANY_PORT, LOOPBACK, key, public, nowhere, secret]);
    assert_eq!(verdict(&checks(&said), "engine"), "good", "{said:?}");
}
