//! Conditions that operators are told of: each is an event of no job, with a delivery of no project,
//! written in the transaction that finds it.

use url::Url;

use super::SqlStore;
use super::database::Transaction;
use super::event::{Event, Subject, post};
use super::row::{from_json, to_json};
use super::statement::sql;
use crate::access::Project;
use crate::clock::Timestamp;
use crate::store::{
    Condition, ConditionView, Disk, Hint, Room, StoreResult, WorkerLost, WorkerReport,
};

impl SqlStore {
    /// The same store, whose conditions are told to whoever runs the server.
    #[must_use]
    pub fn telling(mut self, operations: Option<Url>) -> Self {
        self.operations = operations;
        self
    }
}

/// Tells of a condition, where somebody is to be told.
pub(super) async fn tell(
    tx: &mut Transaction,
    operations: Option<&Url>,
    condition: Condition,
    now: Timestamp,
) -> StoreResult<()> {
    let Some(url) = operations else { return Ok(()) };
    let kind = condition.kind();
    let body = to_json(&ConditionView::of(condition, now))?;
    let event = Event { of: Subject::Server, kind, seq: 0, body };
    let id = event.keep(tx, now).await?;
    post(tx, id, &Project::OPERATIONS, url, now).await
}

#[derive(sqlx::FromRow)]
struct LostRow {
    id: String,
    about: String,
    seen_at: i64,
}

/// Only who can tell looks: one that could not would take the news from one that can.
pub(super) async fn miss_workers(store: &SqlStore) -> StoreResult<Vec<WorkerReport>> {
    if store.operations.is_none() {
        return Ok(Vec::new());
    }
    let mut tx = store.write().await?;
    let now = store.now(&mut tx).await?;
    // Of whom another process tells just now, this one does not.
    let rows: Vec<LostRow> =
        sql("select id, about, seen_at from workers where expected_by <= $1 order by id")
            .skip_locked()
            .bind(now)
            .rows(&mut tx)
            .await?;
    let mut lost = Vec::new();
    for row in rows {
        sql("update workers set expected_by = null where id = $1")
            .bind(row.id.as_str())
            .execute(&mut tx)
            .await?;
        let report = match from_json::<WorkerReport>(&row.about, "workers", "about", &row.id) {
            Ok(report) => report,
            Err(error) => {
                // The others must be missed all the same.
                tracing::error!(error = &error as &dyn std::error::Error, "nobody was told of it");
                continue;
            }
        };
        let told = Condition::WorkerLost(WorkerLost {
            worker_id: report.id,
            name: report.name.clone(),
            version: report.version.clone(),
            answers: report.answers,
            started_at: report.started_at,
            last_seen_at: Timestamp::from_millis(row.seen_at),
        });
        tell(&mut tx, store.operations.as_ref(), told, now).await?;
        lost.push(report);
    }
    tx.commit().await?;
    if !lost.is_empty() {
        store.hints.tell(Hint::DeliveryDue);
    }
    Ok(lost)
}

pub(super) async fn note_disk(store: &SqlStore, disk: &Disk, room: Room) -> StoreResult<bool> {
    if store.operations.is_none() {
        return Ok(false);
    }
    let mut tx = store.write().await?;
    let now = store.now(&mut tx).await?;
    let name = disk.condition();
    let written = match room {
        Room::Low => sql(
            "insert into conditions (name, since) values ($1, $2) on conflict (name) do nothing",
        )
        .bind(name)
        .bind(now)
        .execute(&mut tx)
        .await?,
        Room::Enough => {
            sql("delete from conditions where name = $1").bind(name).execute(&mut tx).await?
        }
    };
    let is_news = written == 1;
    if is_news && room == Room::Low {
        let told = Condition::DiskLow(disk.told.clone());
        tell(&mut tx, store.operations.as_ref(), told, now).await?;
    }
    tx.commit().await?;
    if is_news {
        store.hints.tell(Hint::DeliveryDue);
    }
    Ok(is_news)
}
