//! Buckets of users' own: kept, looked up, forgotten.

use serde_json::json;

use super::SqlStore;
use super::access::{Change, log};
use super::database::Transaction;
use super::lookup::{Cursor, turned};
use super::row::{corrupt, parse};
use super::statement::{Statement, sql};
use super::submit::take_name;
use crate::access::{Act, By, Project};
use crate::clock::Timestamp;
use crate::connection::{Connection, Sealed};
use crate::id::ConnectionId;
use crate::store::{Idempotency, Newest, Page, StoreResult, Submitted};

#[derive(sqlx::FromRow)]
struct ConnectionRow {
    id: String,
    project: String,
    name: Option<String>,
    endpoint: Option<String>,
    region: String,
    access_key_id: String,
    sealed_secret: String,
    created_at: i64,
}

impl ConnectionRow {
    fn read(self) -> StoreResult<Connection> {
        let row = &self.id;
        let endpoint = self.endpoint.as_deref().map(url::Url::parse).transpose();
        Ok(Connection {
            id: parse(row, "connections", "id", row)?,
            project: parse(&self.project, "connections", "project", row)?,
            endpoint: endpoint.map_err(|error| corrupt("connections", "endpoint", row, error))?,
            name: self.name,
            region: self.region,
            access_key_id: self.access_key_id,
            sealed_secret: Sealed::from_text(self.sealed_secret),
            created_at: Timestamp::from_millis(self.created_at),
        })
    }
}

pub(super) async fn add(
    store: &SqlStore,
    connection: &Connection,
    by: &By,
    idempotency: Option<&Idempotency>,
) -> StoreResult<Submitted> {
    let mut tx = store.write().await?;
    if let Some(asked) = idempotency
        && let Some(known) = take_name(store, &mut tx, asked).await?
    {
        return Ok(known);
    }
    sql("
        insert into connections (
            id, name, endpoint, region, access_key_id, sealed_secret, created_at, project
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        ")
    .bind(connection.id.to_string())
    .bind(connection.name.clone())
    .bind(connection.endpoint.as_ref().map(ToString::to_string))
    .bind(connection.region.clone())
    .bind(connection.access_key_id.clone())
    .bind(connection.sealed_secret.text())
    .bind(connection.created_at)
    .bind(connection.project.as_str())
    .execute(&mut tx)
    .await?;
    let now = store.now(&mut tx).await?;
    log(&mut tx, &change(Act::ConnectionCreated, connection), by, now).await?;
    tx.commit().await?;
    Ok(Submitted::Accepted)
}

pub(super) async fn of_project(
    store: &SqlStore,
    project: &Project,
    which: &Newest<ConnectionId>,
) -> StoreResult<Page<Connection>> {
    let mut tx = store.read().await?;
    let cursor = Cursor::newest(which);
    let ids = Statement::begin("select id from connections where true")
        .push_bind(" and project = ", project.as_str());
    let (ids, has_more) = turned(cursor.push_to(ids).values(&mut tx).await?, &cursor);
    let rows: Vec<ConnectionRow> = sql("
        select id, project, name, endpoint, region, access_key_id, sealed_secret, created_at
        from connections
        where id in list($1)
        order by id desc
        ")
    .bind(ids)
    .rows(&mut tx)
    .await?;
    let rows = rows.into_iter().map(ConnectionRow::read).collect::<StoreResult<_>>()?;
    Ok(Page { rows, has_more })
}

pub(super) async fn one(
    store: &SqlStore,
    project: &Project,
    id: ConnectionId,
) -> StoreResult<Option<Connection>> {
    let mut tx = store.read().await?;
    load(&mut tx, project, id).await
}

async fn load(
    tx: &mut Transaction,
    project: &Project,
    id: ConnectionId,
) -> StoreResult<Option<Connection>> {
    let row: Option<ConnectionRow> = sql("
        select id, project, name, endpoint, region, access_key_id, sealed_secret, created_at
        from connections
        where id = $1 and project = $2
        ")
    .bind(id.to_string())
    .bind(project.as_str())
    .row(tx)
    .await?;
    row.map(ConnectionRow::read).transpose()
}

/// Whether there was one.
pub(super) async fn delete(
    store: &SqlStore,
    project: &Project,
    id: ConnectionId,
    by: &By,
) -> StoreResult<bool> {
    let mut tx = store.write().await?;
    let now = store.now(&mut tx).await?;
    let Some(connection) = load(&mut tx, project, id).await? else { return Ok(false) };
    let gone =
        sql("delete from connections where id = $1").bind(id.to_string()).execute(&mut tx).await?;
    // Of two who delete it at once, one did.
    if gone == 1 {
        log(&mut tx, &change(Act::ConnectionDeleted, &connection), by, now).await?;
    }
    tx.commit().await?;
    Ok(gone == 1)
}

fn change(act: Act, connection: &Connection) -> Change {
    let details = [
        ("name", json!(connection.name)),
        ("endpoint", json!(connection.endpoint)),
        ("region", json!(connection.region)),
        ("access_key_id", json!(connection.access_key_id)),
    ];
    Change {
        act,
        project: connection.project.clone(),
        subject: connection.id.to_string(),
        details: details.map(|(name, value)| (name.to_owned(), value)).into_iter().collect(),
    }
}
