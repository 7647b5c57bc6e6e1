//! Connections to users' buckets, and the jobs that go through them.

use reelway::access::{Act, By, KeyName};
use reelway::connection::{Connection, Keyring};
use reelway::id::{ConnectionId, fresh};
use reelway::job::{Owner, Via};
use reelway::store::{Idempotency, Newest, Submitted};
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::world::{OURS, World, at_once};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn keyring() -> Keyring {
    Keyring::parse([KEY]).expect("a key")
}

fn connection(world: &World) -> Connection {
    world.pass(std::time::Duration::from_millis(1));
    let id: ConnectionId = fresh(world.now());
    Connection {
        id,
        project: OURS.clone(),
        name: Some("ours, ünsere".to_owned()),
        endpoint: Some("https://s3.example.com/".parse().expect("a URL")),
        region: "auto".to_owned(),
        access_key_id: "AKIA".to_owned(),
        sealed_secret: keyring().seal(id, &"the secret".into()).expect("sealed"),
        created_at: world.now(),
    }
}

/// A request called `k` for this connection.
fn named(connection: &Connection, body: &str) -> Idempotency {
    let response = connection.id.to_string();
    let owner = Owner::default();
    Idempotency { owner, key: "k".to_owned(), body_hash: body.to_owned(), response }
}

async fn add(world: &World, connection: &Connection) {
    let added =
        world.store.add_connection(connection, &By::default(), None).await.expect("an answer");
    assert_eq!(added, Submitted::Accepted);
}

async fn connections(world: &World) -> Vec<Connection> {
    world.store.connections(OURS, &Newest::up_to(9)).await.expect("a page").rows
}

pub(crate) async fn connections_are_walked_page_by_page(world: World) {
    for _ in 0..4 {
        add(&world, &connection(&world)).await;
    }
    let whole = connections(&world).await;
    let page = async |which: Newest<ConnectionId>| {
        world.store.connections(OURS, &which).await.expect("a page")
    };
    let first = page(Newest::up_to(3)).await;
    assert_eq!((first.rows.as_slice(), first.has_more), (&whole[..3], true));
    let next = page(Newest { after: Some(whole[2].id), ..Newest::up_to(3) }).await;
    assert_eq!((next.rows.as_slice(), next.has_more), (&whole[3..], false));
}

pub(crate) async fn a_connection_reads_back_as_it_was_made(world: World) {
    let whole = connection(&world);
    let bare = Connection { name: None, endpoint: None, ..connection(&world) };
    for made in [&whole, &bare] {
        add(&world, made).await;
        let read = world.store.connection(OURS, made.id).await.expect("an answer");
        assert_eq!(read.as_ref(), Some(made));
    }
    let read = connections(&world).await;
    assert_eq!(read, [bare, whole.clone()], "newest first");
    let opened = keyring().open(whole.id, &read[1].sealed_secret).expect("it opens");
    assert_eq!(opened.expose_secret(), "the secret");
}

pub(crate) async fn a_connection_that_was_deleted_is_gone_for_good(world: World) {
    let (kept, gone) = (connection(&world), connection(&world));
    add(&world, &kept).await;
    add(&world, &gone).await;
    assert!(world.store.delete_connection(OURS, gone.id, &By::default()).await.expect("an answer"));
    assert!(
        !world.store.delete_connection(OURS, gone.id, &By::default()).await.expect("an answer")
    );
    assert_eq!(world.store.connection(OURS, gone.id).await.expect("an answer"), None);
    assert_eq!(connections(&world).await, [kept]);
}

pub(crate) async fn a_named_request_makes_one_connection(world: World) {
    let (first, second) = (connection(&world), connection(&world));
    let add = async |made: &Connection, body| {
        world
            .store
            .add_connection(made, &By::default(), Some(named(made, body)))
            .await
            .expect("an answer")
    };
    assert_eq!(add(&first, "body").await, Submitted::Accepted);
    assert_eq!(add(&second, "body").await, Submitted::Replayed(first.id.to_string()));
    assert_eq!(add(&second, "other").await, Submitted::Conflict);
    assert_eq!(connections(&world).await, [first]);
}

pub(crate) async fn many_named_requests_at_once_make_one_connection(world: World) {
    let made: Vec<Connection> = (0..20).map(|_| connection(&world)).collect();
    let stores = world.two().await;
    let asked = made.iter().enumerate().map(|(n, made)| {
        let (store, made) = (stores[n % 2].clone(), made.clone());
        async move {
            let asked = Some(named(&made, "body"));
            store.add_connection(&made, &By::default(), asked).await.expect("an answer")
        }
    });
    let answers = at_once(asked).await;
    let accepted = answers.iter().filter(|answer| **answer == Submitted::Accepted).count();
    assert_eq!(accepted, 1, "{answers:?}");
    let kept = connections(&world).await;
    assert_eq!(kept.len(), 1);
    let replayed = Submitted::Replayed(kept[0].id.to_string());
    assert!(answers.iter().all(|answer| *answer == Submitted::Accepted || *answer == replayed));
}

pub(crate) async fn a_job_keeps_the_way_through_its_connection(world: World) {
    let made = connection(&world);
    add(&world, &made).await;
    let output = "s3://media/made/é 1.mp4".parse().expect("an object");
    for output in [None, Some(output)] {
        let via = Via { connection_id: made.id, output };
        let job = world.job().input("s3://media/in put.mp4").via(via.clone()).submit().await;
        assert_eq!(world.read(job.id).await.spec, job.spec);
        assert_eq!(world.read(job.id).await.spec.via, Some(via));
    }
    assert!(world.store.delete_connection(OURS, made.id, &By::default()).await.expect("an answer"));
    assert_eq!(world.count().await, 2, "its jobs stay and fail by themselves");
}

pub(crate) async fn what_is_done_with_connections_is_logged_without_their_secrets(world: World) {
    let made = connection(&world);
    add(&world, &made).await;
    let by =
        By { key: KeyName::named("key_a"), address: Some("192.0.2.7".parse().expect("an IP")) };
    for _ in 0..2 {
        world.pass(std::time::Duration::from_secs(1));
        world.store.delete_connection(OURS, made.id, &by).await.expect("an answer");
    }
    let filter = Newest::up_to(9);
    let entries = world.store.audit(&filter).await.expect("a page").rows;
    let [deleted, created] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!((created.action, deleted.action), (Act::ConnectionCreated, Act::ConnectionDeleted));
    assert_eq!(deleted.key_id.as_deref(), Some("key_a"));
    assert_eq!(deleted.address, by.address);
    for entry in [created, deleted] {
        assert_eq!((&entry.project, &entry.subject), (OURS, &made.id.to_string()));
        let details = json!({
            "name": made.name, "endpoint": made.endpoint, "region": "auto", "access_key_id": "AKIA"
        });
        assert_eq!(serde_json::Value::Object(entry.details.clone()), details);
    }
}
