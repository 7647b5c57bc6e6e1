//! The matrices: each behaviour of one sort on each client.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::behaviours::{self, Behaviour};
use super::clients::Who;
use super::ground::{Act, Ground};

/// What may be on its way in the buffers of both ends, beside what a client has read.
const ON_THE_WAY: u64 = 12 << 20;

/// The longest that a cell may take in real time, on a machine that is busy.
const LONGEST: Duration = Duration::from_secs(15);

/// How one behaviour ends for one client.
async fn cell(behaviour: &Behaviour, who: Who) -> String {
    let (door, roots) = behaviour.door.open();
    let answers = behaviour.answers.clone();
    // The port is in some answers, and is known only when there are servers.
    let port = Arc::new(std::sync::OnceLock::new());
    let known = port.clone();
    let script = move |number: usize| {
        let port = *known.get().expect("a port");
        let mut answers = answers(who, port);
        answers.splice(0..0, who.first().map(|first| vec![Act::Send(first)]));
        answers.swap_remove(number.min(answers.len() - 1))
    };
    let names = behaviour.names();
    let ground = Ground::of(names, door, roots, Arc::new(script), who.may_jump()).await;
    port.set(ground.port).expect("set once");
    let url = behaviour.url.replace("{port}", &ground.port.to_string());
    let begun = Instant::now();
    let ended = who.ask(&url, ground.client(), behaviour.times).await;
    let took = begun.elapsed();
    ground.settle();

    let what = format!("{} for {}", behaviour.name, who.name());
    assert_eq!(ground.trespasses(), 0, "{what}: the private server was reached");
    assert!(took < LONGEST, "{what}: {took:?}");
    let heads = ground.heads();
    // After a PUT that went well the bucket is asked what is there.
    let looks = if who == Who::Bucket && ended == "ok" { behaviour.times } else { 0 };
    // The first part goes well, and a later one is taken up three times.
    let parts = if who == Who::Part { 4 } else { 0 };
    let most = behaviour.max_requests + looks + parts;
    assert!(heads.len() <= most, "{what}: {} requests: {heads:?}", heads.len());
    let read = who.reads_at_most() * heads.len().max(1) as u64 + ON_THE_WAY;
    assert!(ground.sent_bytes() <= read, "{what}: {} bytes went out", ground.sent_bytes());
    for head in &heads {
        for header in ["cookie", "referer", "proxy-authorization", "x-forwarded-for"] {
            assert!(!head.contains(&format!("\n{header}:")), "{what}: {head}");
        }
    }
    if let Some(check) = behaviour.check {
        check(&what, &ground, &heads, &ended);
    }
    ended
}

/// All behaviours of a sort on all clients, as text; each client is tried on all that make sense.
async fn matrix(behaviours: Vec<Behaviour>) -> String {
    let mut text = String::new();
    let mut row = |name: &str, cells: &[String]| {
        let _infallible = write!(text, "{name:<58}");
        for cell in cells {
            let _infallible = write!(text, " | {cell:<26}");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    };
    row("", &Who::ALL.map(|who| who.name().to_owned()));
    let mut notes = Vec::new();
    for behaviour in &behaviours {
        let mut cells = Vec::new();
        for who in Who::ALL {
            match behaviour.skipped.iter().find(|(skipped, _)| *skipped == who) {
                Some((_, why)) => {
                    let note = format!("{}: {why}", who.name());
                    if !notes.contains(&note) {
                        notes.push(note);
                    }
                    cells.push("–".to_owned());
                }
                None => cells.push(cell(behaviour, who).await),
            }
        }
        row(&behaviour.name, &cells);
    }
    for note in notes {
        text.push_str(&format!("– {note}\n"));
    }
    text
}

#[tokio::test]
async fn names() {
    insta::assert_snapshot!(matrix(behaviours::names()).await);
}

#[tokio::test]
async fn urls() {
    insta::assert_snapshot!(matrix(behaviours::urls()).await);
}

#[tokio::test]
async fn redirects() {
    insta::assert_snapshot!(matrix(behaviours::redirects()).await);
}

#[tokio::test]
async fn odd_redirects() {
    insta::assert_snapshot!(matrix(behaviours::odd_redirects()).await);
}

#[tokio::test]
async fn heads() {
    insta::assert_snapshot!(matrix(behaviours::heads()).await);
}

#[tokio::test]
async fn bodies() {
    insta::assert_snapshot!(matrix(behaviours::bodies()).await);
}

#[tokio::test]
async fn connections() {
    insta::assert_snapshot!(matrix(behaviours::connections()).await);
}

#[test]
fn each_client_is_tried_on_at_least_forty_behaviours_and_each_has_its_own_name() {
    let all: Vec<Behaviour> = behaviours::all();
    let mut names: Vec<&str> = all.iter().map(|behaviour| behaviour.name.as_str()).collect();
    for who in Who::ALL {
        let skipped = |behaviour: &&Behaviour| behaviour.skipped.iter().any(|(it, _)| *it == who);
        let tried = all.len() - all.iter().filter(skipped).count();
        assert!(tried >= 40, "{}: {tried}", who.name());
    }
    names.sort_unstable();
    let before = names.len();
    names.dedup();
    assert_eq!(names.len(), before, "two behaviours have one name");
}
