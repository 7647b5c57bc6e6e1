//! The 135 rows of addresses and URLs, through each client and through each field that takes a
//! URL from a stranger.

use std::net::IpAddr;
use std::sync::Arc;

use reelway::connection::Keyring;
use reelway::outbound::{Guard, TableResolver, Target};
use serde_json::{Value, json};

use super::clients::Who;
use super::ground::{Act, Door, Ground};
use crate::answer::Answer;
use crate::app::TestApp;

/// A table of the shared security fixtures; `None` where they are not at hand.
fn table(name: &str) -> Option<String> {
    let folder = std::env::var_os("REELWAY_TEST_SECURITY");
    if folder.is_none() {
        assert!(std::env::var_os("CI").is_none(), "REELWAY_TEST_SECURITY is not set");
        #[expect(clippy::print_stderr, reason = "a skipped test says so")]
        {
            eprintln!("skipped: REELWAY_TEST_SECURITY is not set");
        }
    }
    let path = std::path::Path::new(&folder?).join(name);
    Some(std::fs::read_to_string(path).expect("a table"))
}

/// A place where nobody answers: whatever gets through the guard is refused there.
async fn nowhere(names: TableResolver) -> Ground {
    let roots = rustls::RootCertStore::empty();
    let reset = Arc::new(|_| vec![Act::Reset]);
    Ground::of(names, Door::Open, roots, reset, false).await
}

/// How each client tells that the guard refused an address.
const fn blocked(who: Who) -> &'static str {
    match who {
        Who::Input | Who::Part | Who::Subtitles | Who::Key => "fail input_forbidden",
        Who::Webhook => "again blocked_address",
        Who::Bucket => "fail output_refused",
        Who::Provider => "again provider_unavailable",
    }
}

#[tokio::test]
async fn every_address_that_is_not_public_is_refused_by_every_client_that_is_led_there_by_a_name() {
    let Some(table) = table("ips.txt") else { return };
    let guard = Guard::default();
    let (mut refused, mut allowed) = (0, 0);
    for row in table.lines() {
        let mut fields = row.split('\t');
        let is_allowed = fields.next() == Some("allow");
        let address = fields.next().expect("an address");
        let parsed: IpAddr = address.parse().expect("an address");
        if is_allowed {
            // Nobody of the public internet is asked by a test: the guard's word must do.
            assert!(guard.permits(parsed), "{row}");
            allowed += 1;
            continue;
        }
        for who in Who::ALL {
            let ground = nowhere(TableResolver::default().with("row.example", &[address])).await;
            // Port 80 of the address itself; no server of ours is there.
            let ended = who.ask("http://row.example/", ground.client(), 1).await;
            assert_eq!(ended, blocked(who), "{row} for {}", who.name());
        }
        refused += 1;
    }
    assert_eq!((refused, allowed), (33, 14));
}

/// What name servers say of the names in the table.
fn names() -> TableResolver {
    TableResolver::default()
        .with("metadata", &["169.254.169.254"])
        .with("metadata.google.internal", &["169.254.169.254"])
        .with("127.0.0.1.nip.io", &["127.0.0.1"])
}

/// A field that takes a URL, and the client that goes there.
#[derive(Clone, Copy, Debug)]
struct Field {
    name: &'static str,
    who: Who,
    submit: fn(&str) -> (&'static str, Value),
}

const FIELDS: [Field; 5] = [
    Field {
        name: "input",
        who: Who::Input,
        submit: |url| ("/jobs", json!({"input": url, "kind": "video"})),
    },
    Field {
        name: "options.subtitle_url",
        who: Who::Subtitles,
        submit: |url| {
            let options = json!({"subtitle_url": url, "subtitle_style": "burn_in"});
            ("/jobs", json!({"input": FILM, "kind": "video", "options": options}))
        },
    },
    Field {
        name: "options.encryption.key_url",
        who: Who::Key,
        submit: |url| {
            let options = json!({"encryption": {"method": "aes-128", "key_url": url}});
            ("/jobs", json!({"input": FILM, "kind": "adaptive_video", "options": options}))
        },
    },
    Field {
        name: "webhook_url",
        who: Who::Webhook,
        submit: |url| ("/jobs", json!({"input": FILM, "kind": "video", "webhook_url": url})),
    },
    Field {
        name: "endpoint",
        who: Who::Bucket,
        submit: |url| {
            let keys = json!({"kind": "s3", "name": "mine", "endpoint": url, "region": "us-east-1",
                              "access_key_id": "id", "secret_access_key": "secret"});
            ("/connections", keys)
        },
    },
];

const FILM: &str = "https://example.com/film.mp4";

/// A server that takes connections.
async fn server() -> TestApp {
    let guard = Guard::default();
    TestApp::with(|state| {
        state.keyring = Keyring::parse([&*"0a".repeat(32)]).expect("a key");
        state.may_reach = Arc::new(move |address| guard.permits(address));
    })
    .await
}

fn is_refused(answer: &Answer) -> bool {
    answer.status == 400
}

#[tokio::test]
async fn every_url_that_leads_inside_is_refused_by_its_field_or_by_its_client() {
    let Some(table) = table("urls.txt") else { return };
    let app = server().await;
    let (mut at_once, mut later) = (0, 0);
    let mut rows = 0;
    for row in table.lines() {
        rows += 1;
        let (wanted, url) = row.split_once('\t').expect("two fields");
        let leads_inside = wanted == "deny" || url.contains("nip.io");
        for field in FIELDS {
            let (path, body) = (field.submit)(url);
            let answer = app.post(path, &body).await;
            let what = format!("{url} as {}: {answer:?}", field.name);
            assert!(is_refused(&answer) || answer.status == 201, "{what}");
            if !leads_inside {
                assert!(!is_refused(&answer), "{what}");
                continue;
            }
            if is_refused(&answer) {
                at_once += 1;
                continue;
            }
            later += 1;
            let ground = nowhere(names()).await;
            let ended = field.who.ask(url, ground.client(), 1).await;
            let is_asked_nowhere = ended == blocked(field.who)
                || ended == "not a URL"
                || ["again input_unavailable", "again dns"].contains(&&*ended)
                    && url.contains("256.");
            assert!(is_asked_nowhere, "{url} for {}: {ended}", field.who.name());
            assert!(ground.heads().is_empty() && ground.trespasses() == 0, "{what}");
        }
    }
    assert_eq!(rows, 88);
    // What is literal is refused at once; a name has to be looked at.
    assert!(at_once > 4 * later, "{at_once} at once, {later} later");
}

#[tokio::test]
async fn what_the_table_allows_is_a_target_of_the_guard() {
    let Some(table) = table("urls.txt") else { return };
    let guard = Guard::default();
    for row in table.lines() {
        let (wanted, url) = row.split_once('\t').expect("two fields");
        if wanted == "allow" {
            assert!(Target::parse(url, &guard).is_ok(), "{url}");
        }
    }
}
