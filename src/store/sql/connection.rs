//! Buckets of users' own: kept, looked up, forgotten.

use super::SqlStore;
use super::row::{corrupt, parse};
use super::statement::sql;
use super::submit::take_name;
use crate::clock::Timestamp;
use crate::connection::{Connection, Sealed};
use crate::id::ConnectionId;
use crate::store::{Idempotency, StoreResult, Submitted};

#[derive(sqlx::FromRow)]
struct ConnectionRow {
    id: String,
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
            id, name, endpoint, region, access_key_id, sealed_secret, created_at
        )
        values ($1, $2, $3, $4, $5, $6, $7)
        ")
    .bind(connection.id.to_string())
    .bind(connection.name.clone())
    .bind(connection.endpoint.as_ref().map(ToString::to_string))
    .bind(connection.region.clone())
    .bind(connection.access_key_id.clone())
    .bind(connection.sealed_secret.text())
    .bind(connection.created_at)
    .execute(&mut tx)
    .await?;
    tx.commit().await?;
    Ok(Submitted::Accepted)
}

pub(super) async fn all(store: &SqlStore) -> StoreResult<Vec<Connection>> {
    let mut tx = store.read().await?;
    let rows: Vec<ConnectionRow> = sql("
        select id, name, endpoint, region, access_key_id, sealed_secret, created_at
        from connections
        order by id desc
        ")
    .rows(&mut tx)
    .await?;
    rows.into_iter().map(ConnectionRow::read).collect()
}

pub(super) async fn one(store: &SqlStore, id: ConnectionId) -> StoreResult<Option<Connection>> {
    let mut tx = store.read().await?;
    let row: Option<ConnectionRow> = sql("
        select id, name, endpoint, region, access_key_id, sealed_secret, created_at
        from connections
        where id = $1
        ")
    .bind(id.to_string())
    .row(&mut tx)
    .await?;
    row.map(ConnectionRow::read).transpose()
}

/// Whether there was one.
pub(super) async fn delete(store: &SqlStore, id: ConnectionId) -> StoreResult<bool> {
    let mut tx = store.write().await?;
    let gone =
        sql("delete from connections where id = $1").bind(id.to_string()).execute(&mut tx).await?;
    tx.commit().await?;
    Ok(gone > 0)
}
