//! Keys: kept, looked up, taken back; and the log of what was done with them.

use serde_json::{Map, Value, json};

use super::SqlStore;
use super::database::Transaction;
use super::lookup::{Cursor, turned};
use super::row::{corrupt, from_json, parse, to_json, unknown};
use super::statement::{Statement, sql};
use super::submit::take_name;
use crate::access::{Act, AuditEntry, By, Key, Project, Scope};
use crate::clock::Timestamp;
use crate::id::{AuditId, KeyId, fresh};
use crate::store::{Idempotency, KEY_USE_GRAIN, Newest, Page, StoreResult, Submitted};

#[derive(sqlx::FromRow)]
struct KeyRow {
    id: String,
    project: String,
    name: Option<String>,
    scopes: String,
    digest: String,
    created_at: i64,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    last_used_at: Option<i64>,
}

impl KeyRow {
    fn read(self) -> StoreResult<Key> {
        let row = &self.id;
        Ok(Key {
            id: parse(row, "access_keys", "id", row)?,
            project: parse(&self.project, "access_keys", "project", row)?,
            name: self.name,
            scopes: parse(&self.scopes, "access_keys", "scopes", row)?,
            digest: parse(&self.digest, "access_keys", "digest", row)?,
            created_at: Timestamp::from_millis(self.created_at),
            expires_at: self.expires_at.map(Timestamp::from_millis),
            revoked_at: self.revoked_at.map(Timestamp::from_millis),
            last_used_at: self.last_used_at.map(Timestamp::from_millis),
        })
    }
}

pub(super) async fn add(
    store: &SqlStore,
    key: &Key,
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
        insert into access_keys (id, project, name, scopes, digest, created_at, expires_at)
        values ($1, $2, $3, $4, $5, $6, $7)
        ")
    .bind(key.id.to_string())
    .bind(key.project.as_str())
    .bind(key.name.clone())
    .bind(key.scopes.to_string())
    .bind(key.digest.to_string())
    .bind(key.created_at)
    .bind(key.expires_at)
    .execute(&mut tx)
    .await?;
    let now = store.now(&mut tx).await?;
    log(&mut tx, &change(Act::KeyCreated, key), by, now).await?;
    tx.commit().await?;
    Ok(Submitted::Accepted)
}

pub(super) async fn one(store: &SqlStore, id: KeyId) -> StoreResult<Option<Key>> {
    let mut tx = store.read().await?;
    load(&mut tx, id).await
}

async fn load(tx: &mut Transaction, id: KeyId) -> StoreResult<Option<Key>> {
    let row: Option<KeyRow> = sql("
        select id, project, name, scopes, digest, created_at, expires_at, revoked_at, last_used_at
        from access_keys
        where id = $1
        ")
    .bind(id.to_string())
    .row(tx)
    .await?;
    row.map(KeyRow::read).transpose()
}

pub(super) async fn keys(store: &SqlStore, which: &Newest<KeyId>) -> StoreResult<Page<Key>> {
    let mut tx = store.read().await?;
    let cursor = Cursor::newest(which);
    let ids = cursor.push_to(Statement::begin("select id from access_keys where true"));
    let (ids, has_more) = turned(ids.values(&mut tx).await?, &cursor);
    let rows: Vec<KeyRow> = sql("
        select id, project, name, scopes, digest, created_at, expires_at, revoked_at, last_used_at
        from access_keys
        where id in list($1)
        order by id desc
        ")
    .bind(ids)
    .rows(&mut tx)
    .await?;
    let rows = rows.into_iter().map(KeyRow::read).collect::<StoreResult<_>>()?;
    Ok(Page { rows, has_more })
}

/// The key as it is afterwards. One that was taken back already stays as it is, and nothing is
/// logged.
pub(super) async fn revoke(store: &SqlStore, id: KeyId, by: &By) -> StoreResult<Option<Key>> {
    let mut tx = store.write().await?;
    let now = store.now(&mut tx).await?;
    let written =
        sql("update access_keys set revoked_at = $2 where id = $1 and revoked_at is null")
            .bind(id.to_string())
            .bind(now)
            .execute(&mut tx)
            .await?;
    let key = load(&mut tx, id).await?;
    if let Some(key) = key.as_ref().filter(|_| written == 1) {
        log(&mut tx, &change(Act::KeyRevoked, key), by, now).await?;
    }
    tx.commit().await?;
    Ok(key)
}

pub(super) async fn note_use(store: &SqlStore, id: KeyId) -> StoreResult<()> {
    let mut tx = store.write().await?;
    let now = store.now(&mut tx).await?;
    sql("
        update access_keys
        set last_used_at = $2
        where id = $1 and (last_used_at is null or last_used_at <= $3)
        ")
    .bind(id.to_string())
    .bind(now)
    .bind(now.minus(KEY_USE_GRAIN))
    .execute(&mut tx)
    .await?;
    tx.commit().await
}

/// What is written down.
pub(super) struct Change {
    pub(super) act: Act,
    pub(super) project: Project,
    pub(super) subject: String,
    pub(super) details: Map<String, Value>,
}

fn change(act: Act, key: &Key) -> Change {
    let scopes: Vec<&str> = key.scopes.iter().map(Scope::name).collect();
    let details = [
        ("name", json!(key.name)),
        ("scopes", json!(scopes)),
        ("expires_at", json!(key.expires_at)),
    ];
    Change {
        act,
        project: key.project.clone(),
        subject: key.id.to_string(),
        details: details.map(|(name, value)| (name.to_owned(), value)).into_iter().collect(),
    }
}

/// Writes a change down, in the transaction that makes it.
pub(super) async fn log(
    tx: &mut Transaction,
    change: &Change,
    by: &By,
    now: Timestamp,
) -> StoreResult<()> {
    let id: AuditId = fresh(now);
    sql("
        insert into audit_log (id, at, action, key, address, project, subject, details)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        ")
    .bind(id.to_string())
    .bind(now)
    .bind(change.act.name())
    .bind(Some(by.key.as_str().to_owned()).filter(|key| !key.is_empty()))
    .bind(by.address.map(|address| address.to_string()))
    .bind(change.project.as_str())
    .bind(change.subject.clone())
    .bind(to_json(&change.details)?)
    .execute(tx)
    .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct AuditRow {
    id: String,
    at: i64,
    action: String,
    key: Option<String>,
    address: Option<String>,
    project: String,
    subject: String,
    details: String,
}

impl AuditRow {
    fn read(self) -> StoreResult<AuditEntry> {
        let row = &self.id;
        let address = self.address.as_deref().map(str::parse).transpose();
        Ok(AuditEntry {
            id: parse(row, "audit_log", "id", row)?,
            at: Timestamp::from_millis(self.at),
            action: Act::from_name(&self.action)
                .ok_or_else(|| unknown("audit_log", "action", row, &self.action))?,
            key_id: self.key,
            address: address.map_err(|error| corrupt("audit_log", "address", row, error))?,
            project: parse(&self.project, "audit_log", "project", row)?,
            subject: self.subject,
            details: from_json(&self.details, "audit_log", "details", row)?,
        })
    }
}

pub(super) async fn audit(
    store: &SqlStore,
    which: &Newest<AuditId>,
) -> StoreResult<Page<AuditEntry>> {
    let mut tx = store.read().await?;
    let cursor = Cursor::newest(which);
    let ids = cursor.push_to(Statement::begin("select id from audit_log where true"));
    let (ids, has_more) = turned(ids.values(&mut tx).await?, &cursor);
    let rows: Vec<AuditRow> = sql("
        select id, at, action, key, address, project, subject, details
        from audit_log
        where id in list($1)
        order by id desc
        ")
    .bind(ids)
    .rows(&mut tx)
    .await?;
    let rows = rows.into_iter().map(AuditRow::read).collect::<StoreResult<_>>()?;
    Ok(Page { rows, has_more })
}
