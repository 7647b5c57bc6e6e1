//! Keys, and the log of what was done with them.

use std::time::Duration;

use reelway::access::{Act, By, Digest, Key, KeyName, Scope, Scopes, Standing};
use reelway::id::{AuditId, KeyId, fresh};
use reelway::job::Owner;
use reelway::store::{Idempotency, Newest, Submitted};
use serde_json::json;

use crate::world::{MANY, World, at_once};

fn key(world: &World) -> Key {
    world.pass(Duration::from_millis(1));
    let id: KeyId = fresh(world.now());
    Key {
        id,
        project: "team-a".parse().expect("a project"),
        name: Some("the app, ünsere".to_owned()),
        scopes: Scopes::usual(),
        digest: Digest::of(&id.to_string()),
        created_at: world.now(),
        expires_at: Some(world.now().plus(Duration::from_hours(1))),
        revoked_at: None,
        last_used_at: None,
    }
}

/// An administrator at an address.
fn admin() -> By {
    By { key: KeyName::named("key_admin"), address: Some("2001:db8::7".parse().expect("an IP")) }
}

async fn add(world: &World, key: &Key) {
    let added = world.store.add_key(key, &admin(), None).await.expect("an answer");
    assert_eq!(added, Submitted::Accepted);
}

async fn read(world: &World, id: KeyId) -> Option<Key> {
    world.store.key(id).await.expect("an answer")
}

pub(crate) async fn a_key_reads_back_as_it_was_made(world: World) {
    let whole = key(&world);
    let scopes = [Scope::Admin].into_iter().collect();
    let bare = Key { name: None, expires_at: None, scopes, ..key(&world) };
    for made in [&whole, &bare] {
        add(&world, made).await;
        assert_eq!(read(&world, made.id).await.as_ref(), Some(made));
    }
    assert_eq!(keys(&world).await, [bare, whole], "newest first");
    assert_eq!(read(&world, fresh(world.now())).await, None);
}

pub(crate) async fn a_key_that_was_revoked_stays_revoked_and_is_logged_once(world: World) {
    let made = key(&world);
    add(&world, &made).await;
    world.pass(Duration::from_secs(1));
    let at = world.now();
    let revoked = Key { revoked_at: Some(at), ..made.clone() };
    let stores = world.two().await;
    let asked = (0..10).map(|n| {
        let store = stores[n % 2].clone();
        async move { store.revoke_key(made.id, &admin()).await.expect("an answer") }
    });
    for answer in at_once(asked).await {
        assert_eq!(answer.as_ref(), Some(&revoked));
    }
    world.pass(Duration::from_secs(1));
    let again = world.store.revoke_key(made.id, &admin()).await.expect("an answer");
    assert_eq!(again, Some(revoked.clone()), "the first time counts");
    assert_eq!(read(&world, made.id).await, Some(revoked.clone()));
    assert_eq!(revoked.standing(world.now()), Standing::Revoked);

    let unknown = world.store.revoke_key(fresh(at), &admin()).await.expect("an answer");
    assert_eq!(unknown, None);
    let acts: Vec<Act> = log(&world).await.into_iter().map(|(act, _)| act).collect();
    assert_eq!(acts, [Act::KeyRevoked, Act::KeyCreated]);
}

pub(crate) async fn the_use_of_a_key_is_noted_once_a_minute(world: World) {
    let made = key(&world);
    add(&world, &made).await;
    let used_at = async |world: &World| {
        world.store.note_key_use(made.id).await.expect("an answer");
        read(world, made.id).await.and_then(|key| key.last_used_at)
    };
    let first = world.now();
    assert_eq!(used_at(&world).await, Some(first));
    world.pass_almost(Duration::from_mins(1));
    assert_eq!(used_at(&world).await, Some(first));
    world.pass(Duration::from_millis(1));
    assert_eq!(used_at(&world).await, Some(world.now()));
    // Who is unknown was not used, and nobody fails for it.
    world.store.note_key_use(fresh(world.now())).await.expect("an answer");
}

pub(crate) async fn a_named_request_makes_one_key(world: World) {
    let made: Vec<Key> = (0..10).map(|_| key(&world)).collect();
    let stores = world.two().await;
    let asked = made.iter().enumerate().map(|(n, made)| {
        let (store, made) = (stores[n % 2].clone(), made.clone());
        async move {
            let asked = Idempotency {
                owner: Owner::default(),
                key: "k".to_owned(),
                body_hash: "body".to_owned(),
                response: made.id.to_string(),
            };
            store.add_key(&made, &admin(), Some(asked)).await.expect("an answer")
        }
    });
    let answers = at_once(asked).await;
    let kept = keys(&world).await;
    assert_eq!(kept.len(), 1, "{answers:?}");
    let replayed = Submitted::Replayed(kept[0].id.to_string());
    assert_eq!(answers.iter().filter(|answer| **answer == replayed).count(), 9, "{answers:?}");
    assert_eq!(log(&world).await.len(), 1, "one is logged");
}

async fn keys(world: &World) -> Vec<Key> {
    world.store.keys(&Newest::up_to(MANY)).await.expect("a page").rows
}

pub(crate) async fn keys_are_walked_page_by_page(world: World) {
    for _ in 0..5 {
        add(&world, &key(&world)).await;
    }
    let whole = keys(&world).await;
    let page = async |which: Newest<KeyId>| world.store.keys(&which).await.expect("a page");
    let first = page(Newest::up_to(2)).await;
    assert_eq!((first.rows.as_slice(), first.has_more), (&whole[..2], true));
    let next = page(Newest { after: Some(whole[1].id), ..Newest::up_to(3) }).await;
    assert_eq!((next.rows.as_slice(), next.has_more), (&whole[2..], false));
    let back = page(Newest { before: Some(whole[4].id), ..Newest::up_to(2) }).await;
    assert_eq!((back.rows.as_slice(), back.has_more), (&whole[2..4], true));
}

/// What was done and to what, newest first.
async fn log(world: &World) -> Vec<(Act, String)> {
    let filter = Newest::up_to(MANY);
    let page = world.store.audit(&filter).await.expect("a page");
    assert!(!page.has_more);
    page.rows.into_iter().map(|entry| (entry.action, entry.subject)).collect()
}

pub(crate) async fn what_was_done_is_logged_with_who_did_it_and_from_where(world: World) {
    let made = key(&world);
    add(&world, &made).await;
    world.pass(Duration::from_secs(1));
    world.store.revoke_key(made.id, &By::default()).await.expect("an answer");
    let filter = Newest::up_to(MANY);
    let entries = world.store.audit(&filter).await.expect("a page").rows;
    let [revoked, created] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!((created.action, created.at), (Act::KeyCreated, made.created_at));
    assert_eq!((revoked.action, revoked.at), (Act::KeyRevoked, world.now()));
    assert_eq!(created.key_id.as_deref(), Some("key_admin"));
    assert_eq!(created.address, admin().address);
    assert_eq!((&revoked.key_id, revoked.address), (&None, None));
    for entry in [revoked, created] {
        assert_eq!((&entry.project, &entry.subject), (&made.project, &made.id.to_string()));
        let details = json!({
            "name": made.name, "scopes": ["jobs:write", "jobs:read", "files:read"],
            "expires_at": made.expires_at,
        });
        assert_eq!(serde_json::Value::Object(entry.details.clone()), details);
    }
}

pub(crate) async fn the_log_is_walked_page_by_page(world: World) {
    for _ in 0..5 {
        add(&world, &key(&world)).await;
    }
    let whole: Vec<String> = log(&world).await.into_iter().map(|(_, subject)| subject).collect();
    let page = async |filter: Newest<AuditId>| world.store.audit(&filter).await.expect("a page");
    let (mut walked, mut after) = (Vec::new(), None);
    loop {
        let page = page(Newest { after, ..Newest::up_to(2) }).await;
        after = page.rows.last().map(|entry| entry.id);
        walked.extend(page.rows.into_iter().map(|entry| entry.subject));
        if !page.has_more {
            break;
        }
    }
    assert_eq!(walked, whole);
    let back = page(Newest { before: after, ..Newest::up_to(2) }).await;
    let back: Vec<String> = back.rows.into_iter().map(|entry| entry.subject).collect();
    assert_eq!((back.as_slice(), true), (&whole[2..4], true), "the page before the last line");
}
