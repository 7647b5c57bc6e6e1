//! Links into a bucket: whom they let in, for how long, and what browsers are told.

use std::sync::Arc;
use std::time::Duration;

use reelway::clock::SystemClock;
use reelway::output::{Bucket, BucketSettings, Cloud, Links, Storage};
use url::Url;

use crate::contract::Place;
use crate::server::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};

const HOUR: Duration = Duration::from_hours(1);

/// A plain client, as a browser is one.
#[expect(clippy::disallowed_methods, reason = "tests talk to their own server on loopback")]
fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

async fn status(url: impl Into<String>) -> u16 {
    client().get(url.into()).send().await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn a_link_opens_its_object_for_anyone_and_says_what_it_is() {
    let place = Place::s3().await;
    let (source, whole) = place.source(1000);
    place.storage.put("job_1/1/é 1.mp4", &source).await.expect("stored");
    let link = place.storage.link("job_1/1/é 1.mp4", HOUR).expect("a link");
    let answer = client().get(link).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "video/mp4");
    assert_eq!(answer.headers()["content-disposition"], "inline; filename=\"__1.mp4\"");
    assert_eq!(answer.bytes().await.expect("the object"), whole);
}

#[tokio::test]
async fn a_link_that_was_changed_opens_nothing() {
    let place = Place::s3().await;
    let (source, _) = place.source(10);
    for key in ["job_1/1/a.mp4", "job_2/1/a.mp4"] {
        place.storage.put(key, &source).await.expect("stored");
    }
    let link = place.storage.link("job_1/1/a.mp4", HOUR).expect("a link").to_string();
    assert_eq!(status(&link).await, 200);
    for forged in [
        link.replace("job_1", "job_2"),
        link.replace("X-Amz-Expires=3600", "X-Amz-Expires=7200"),
        link.replace("inline", "attachment"),
        link.split_once('?').expect("a query").0.to_owned(),
    ] {
        assert_ne!(forged, link);
        assert_eq!(status(&forged).await, 403, "{forged}");
    }
}

#[tokio::test]
async fn a_link_ends_when_it_says() {
    let place = Place::s3().await;
    let (source, _) = place.source(10);
    place.storage.put("a/a.mp4", &source).await.expect("stored");
    let link = place.storage.link("a/a.mp4", Duration::from_secs(1)).expect("a link");
    let ended = tokio::time::timeout(Duration::from_secs(30), async {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        while status(link.clone()).await == 200 {
            ticks.tick().await;
        }
        status(link.clone()).await
    });
    assert_eq!(ended.await.expect("it ends"), 403);
}

#[tokio::test]
async fn outputs_in_a_bucket_are_linked_there_and_others_through_the_server() {
    let public_url = Url::parse("https://media.example.com").expect("a URL");
    let clock = Arc::new(SystemClock);
    let links = Links::new(public_url, "secret".into(), HOUR, clock);
    let place = Place::s3().await;
    let link = links.clone().leading_to(place.storage.clone(), None).link("job_1/1/a.mp4");
    let server = &place.server.as_ref().expect("a server").url;
    assert!(link.starts_with(&format!("{server}/media/made/job_1/1/a.mp4?")), "{link}");
    assert!(link.contains("X-Amz-Expires=3600"), "{link}");
    let lasting = links.clone().leading_to(place.storage.clone(), None).lasting_link("a/a.mp4");
    assert!(lasting.contains("X-Amz-Expires=604800"), "{lasting}");

    // No bucket's signature covers what a playlist names: the player comes here first.
    let there = links.clone().leading_to(place.storage.clone(), None);
    let link = there.link("job_1/1/master.m3u8");
    assert!(link.starts_with("https://media.example.com/files/~"), "{link}");
    assert!(link.ends_with("/job_1/1/master.m3u8"), "{link}");

    let folder = Place::local();
    let link = links.clone().leading_to(folder.storage.clone(), None).link("job_1/1/a.mp4");
    assert!(link.starts_with("https://media.example.com/files/job_1/1/a.mp4?"), "{link}");
    // A link that is signed with keys on loan would end with them, whatever it says.
    let link = links.leading_to(on_loan(server), None).link("job_1/1/a.mp4");
    assert!(link.starts_with("https://media.example.com/files/job_1/1/a.mp4?"), "{link}");
}

fn on_loan(url: &str) -> Storage {
    let option = |name: &str, value: &str| (name.to_owned(), value.into());
    let settings = BucketSettings {
        cloud: Cloud::S3,
        name: "media".to_owned(),
        prefix: String::new(),
        options: vec![
            option("aws_endpoint_url", url),
            option("aws_access_key_id", ACCESS_KEY_ID),
            option("aws_secret_access_key", SECRET_ACCESS_KEY),
            option("aws_session_token", "for an hour"),
        ],
    };
    Storage::bucket(Bucket::open(&settings).expect("a bucket"))
}
