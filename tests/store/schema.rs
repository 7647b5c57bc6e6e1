//! Two versions work on one database while the one replaces the other: changes of shape only add.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use reelway::job::Status;
use reelway::store::{AttemptOutcome, Settled};

use crate::backend::Backend;
use crate::world::{RECEIVER, World};

/// The last change of shape that is not held to it: nobody ran two versions before.
const BASELINE: i64 = 44;

/// A column as it stands in a database.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Column {
    pub(crate) relation: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    /// Whether a row can be written that does not name it.
    pub(crate) may_be_left_out: bool,
}

/// Every column of every table and view.
type Shape = BTreeMap<(String, String), Column>;

fn shape(columns: Vec<Column>) -> Shape {
    let named = columns.into_iter().map(|column| {
        let name = (column.relation.clone(), column.name.clone());
        (name, column)
    });
    named.collect()
}

/// What somebody who knows only `before` cannot do any more with `after`.
fn broken(before: &Shape, after: &Shape) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, column) in before {
        match after.get(name) {
            None => broken.push(format!("{name:?} is gone")),
            Some(now) if now.kind != column.kind => {
                broken.push(format!("{name:?} was {}, and is {}", column.kind, now.kind));
            }
            Some(now) if column.may_be_left_out && !now.may_be_left_out => {
                broken.push(format!("{name:?} must be written now"));
            }
            Some(_) => {}
        }
    }
    for (name, column) in after {
        let is_of_before = before.keys().any(|(relation, _)| *relation == name.0);
        if is_of_before && !before.contains_key(name) && !column.may_be_left_out {
            broken.push(format!("{name:?} is new and must be written"));
        }
    }
    broken
}

/// What of a change of shape could be in the way of a version that does not know it. Columns are
/// held against each other where they stand; this is about what columns do not show.
fn refused(text: &str) -> Vec<&'static str> {
    let bare: Vec<&str> =
        text.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
    let bare = bare.join(" ").to_lowercase();
    let words: Vec<&str> = bare.split_whitespace().collect();
    let bare = words.join(" ");
    let mut refused = Vec::new();
    for wrong in ["drop table", "drop view", "drop column", "rename", "truncate", "create trigger"]
    {
        if bare.contains(wrong) {
            refused.push(wrong);
        }
    }
    for statement in bare.split(';').map(str::trim) {
        let alters = statement.starts_with("alter table");
        if alters && statement.contains("set not null") {
            refused.push("set not null");
        }
        if alters && statement.contains(" type ") {
            refused.push("another type");
        }
        if statement.starts_with("create unique index") {
            refused.push("create unique index");
        }
        // A rule that takes the place of one is a wider one: its comment says why.
        if alters && statement.contains("add constraint") && !bare.contains("drop constraint") {
            refused.push("add constraint");
        }
        if alters
            && statement.contains("add column")
            && statement.contains("not null")
            && !statement.contains("default")
        {
            refused.push("not null without a default");
        }
    }
    refused
}

/// The changes of shape after the baseline, with their texts.
fn later(backend: Backend) -> Vec<(i64, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(backend.folder());
    let files = std::fs::read_dir(folder).expect("a folder").map(|entry| {
        let path = entry.expect("a file").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let (number, _) = name.split_once('_').expect("a number");
        (number.parse().expect("a number"), std::fs::read_to_string(&path).expect("a text"))
    });
    let mut later: Vec<_> = files.filter(|(number, _)| *number > BASELINE).collect();
    later.sort();
    later
}

pub(crate) async fn every_later_change_of_shape_only_adds(world: World) {
    let backend = world.database.backend();
    let later = later(backend);
    assert!(!later.is_empty(), "there is nothing to look at");
    let empty = backend.fresh(world.clock.clone()).await;
    let mut before = shape(empty.columns_at(BASELINE).await);
    assert!(before.len() > 80, "{} columns were seen", before.len());
    for (number, text) in later {
        let after = shape(empty.columns_at(number).await);
        assert_eq!(broken(&before, &after), [""; 0], "migration {number}");
        // A SQLite file has one process, and SQLite changes a rule by making the table anew: there
        // the columns have to do.
        if backend == Backend::Postgres {
            assert_eq!(refused(&text), [""; 0], "migration {number}: see docs/operations.md");
        }
        before = after;
    }
}

pub(crate) async fn a_version_of_before_works_on_the_shape_of_a_later_one(world: World) {
    let job = world.job().webhook(RECEIVER).submit().await;
    world.database.be_changed_by_a_later_version().await;
    let store = world.again().await;
    let found = store.job(crate::world::OURS, job.id).await.expect("an answer");
    assert_eq!(found.map(|job| job.id), Some(job.id));
    let claim = world.take(&job).await;
    assert_eq!(world.finish(&claim.lease).await, Settled::Done);
    assert_eq!(world.read(job.id).await.state.status(), Status::Succeeded);
    assert_eq!(world.log(job.id).await.len(), 1);
    world.job().webhook(RECEIVER).cancelled().await;
    store.close().await;
    world.again().await.ping().await.expect("and once more");
}

pub(crate) async fn a_webhook_of_a_later_version_is_left_to_it(world: World) {
    world.job().webhook(RECEIVER).cancelled().await;
    world.database.command("update events set kind = 'job.of_later'".to_owned()).await;
    world.job().webhook("https://other.example.com/").cancelled().await;
    let known = world.due(9, 9).await;
    assert_eq!(known.len(), 1, "it is in nobody's way");
    assert_eq!(world.settle(&known[0], AttemptOutcome::Delivered).await, Settled::Done);
    assert!(world.due(9, 9).await.is_empty(), "it rests");

    // Half a minute later it is there for whoever knows it, with all its tries.
    let known = "update events set kind = 'job.cancelled' where kind = 'job.of_later'";
    world.database.command(known.to_owned()).await;
    world.pass(Duration::from_secs(30));
    let due = world.due_one().await;
    assert_eq!((due.attempt, due.tries), (2, 1));
}

#[test]
fn what_would_stop_an_older_version_is_seen() {
    for (wrong, why) in [
        ("drop table jobs;", "drop table"),
        ("alter table jobs\n  drop column input;", "drop column"),
        ("alter table jobs rename column input to source;", "rename"),
        ("alter table jobs alter column owner set not null;", "set not null"),
        ("alter table jobs alter column seq type text;", "another type"),
        ("alter table jobs add constraint x check (seq > 0);", "add constraint"),
        ("alter table jobs add column x bigint not null;", "not null without a default"),
        ("create unique index x on jobs (input);", "create unique index"),
    ] {
        assert_eq!(refused(wrong), [why], "{wrong}");
    }
    for right in [
        "alter table jobs add column x bigint;",
        "alter table jobs add column x bigint not null default 0;",
        "alter table events drop constraint a; alter table events add constraint b check (true);",
        "create table drops (id text primary key, at bigint not null); -- drop table jobs",
        "create index x on jobs (input);",
    ] {
        assert_eq!(refused(right), [""; 0], "{right}");
    }
    let column = |relation: &str, name: &str, kind: &str, may_be_left_out| Column {
        relation: relation.to_owned(),
        name: name.to_owned(),
        kind: kind.to_owned(),
        may_be_left_out,
    };
    let before = shape(vec![column("a", "x", "text", false), column("a", "y", "text", true)]);
    assert_eq!(broken(&before, &before), [""; 0]);
    for after in [
        vec![column("a", "x", "text", false)],
        vec![column("a", "x", "bigint", false), column("a", "y", "text", true)],
        vec![column("a", "x", "text", false), column("a", "y", "text", false)],
    ] {
        assert_eq!(broken(&before, &shape(after)).len(), 1);
    }
    let mut wider = before.clone();
    wider.extend(shape(vec![column("a", "z", "text", true), column("b", "z", "text", false)]));
    assert_eq!(broken(&before, &wider), [""; 0]);
    wider.extend(shape(vec![column("a", "w", "text", false)]));
    assert_eq!(broken(&before, &wider).len(), 1);
}
