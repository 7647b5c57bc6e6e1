//! Files that callers send: begun, grown part by part, used, forgotten.

use std::time::Duration;

use super::SqlStore;
use super::database::Transaction;
use super::keep::doom;
use super::rescue::ZOMBIE;
use super::row::{corrupt, number, parse};
use super::statement::sql;
use crate::access::Project;
use crate::clock::Timestamp;
use crate::id::UploadId;
use crate::job::Owner;
use crate::store::{AppendUpload, Appended, StoreResult, Upload, UploadPart};

#[derive(sqlx::FromRow)]
struct UploadRow {
    id: String,
    project: String,
    owner: String,
    name: Option<String>,
    media: Option<String>,
    metadata: Option<String>,
    size: Option<i64>,
    received: i64,
    part_count: i64,
    digest_state: Option<String>,
    sha256: Option<String>,
    created_at: i64,
    expires_at: i64,
    finished_at: Option<i64>,
}

impl UploadRow {
    fn read(self) -> StoreResult<Upload> {
        let row = &self.id;
        Ok(Upload {
            id: parse(row, "uploads", "id", row)?,
            project: parse(&self.project, "uploads", "project", row)?,
            owner: Owner::named(self.owner),
            name: self.name,
            media: self.media,
            metadata: self.metadata,
            size: self.size.map(|size| bytes(size, "uploads", "size", row)).transpose()?,
            received: bytes(self.received, "uploads", "received", row)?,
            part_count: number(self.part_count, "uploads", "part_count", row)?,
            digest_state: self.digest_state,
            sha256: self.sha256,
            created_at: Timestamp::from_millis(self.created_at),
            expires_at: Timestamp::from_millis(self.expires_at),
            finished_at: self.finished_at.map(Timestamp::from_millis),
        })
    }
}

/// A number of bytes, which is never negative.
fn bytes(value: i64, table: &'static str, column: &'static str, row: &str) -> StoreResult<u64> {
    u64::try_from(value).map_err(|error| corrupt(table, column, row, error))
}

/// The same the other way; no file has more bytes than fit.
fn stored(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Where all parts of an upload lie in storage.
fn prefix(id: &str) -> String {
    format!("uploads/{id}")
}

pub(super) async fn begin(store: &SqlStore, upload: &Upload) -> StoreResult<()> {
    let mut tx = store.write().await?;
    sql("
        insert into uploads (id, owner, name, metadata, size, created_at, expires_at, project)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        ")
    .bind(upload.id.to_string())
    .bind(upload.owner.as_str())
    .bind(upload.name.clone())
    .bind(upload.metadata.clone())
    .bind(upload.size.map(stored))
    .bind(upload.created_at)
    .bind(upload.expires_at)
    .bind(upload.project.as_str())
    .execute(&mut tx)
    .await?;
    tx.commit().await
}

const SELECT: &str = "
    select
        id, project, owner, name, media, metadata, size, received, part_count, digest_state, sha256,
        created_at, expires_at, finished_at
    from uploads
    where id = $1 and project = $2
    ";

/// The upload, if it is this project's and has not been swept.
async fn load(
    tx: &mut Transaction,
    project: &Project,
    id: UploadId,
) -> StoreResult<Option<Upload>> {
    let row: Option<UploadRow> =
        sql(SELECT).bind(id.to_string()).bind(project.as_str()).row(tx).await?;
    row.map(UploadRow::read).transpose()
}

/// The same, if its time is not over.
async fn load_in_time(
    tx: &mut Transaction,
    project: &Project,
    id: UploadId,
    now: Timestamp,
) -> StoreResult<Option<Upload>> {
    Ok(load(tx, project, id).await?.filter(|upload| now < upload.expires_at))
}

pub(super) async fn one(
    store: &SqlStore,
    project: &Project,
    id: UploadId,
) -> StoreResult<Option<Upload>> {
    let mut tx = store.read().await?;
    let now = store.now(&mut tx).await?;
    load_in_time(&mut tx, project, id, now).await
}

pub(super) async fn parts(store: &SqlStore, id: UploadId) -> StoreResult<Vec<UploadPart>> {
    let mut tx = store.read().await?;
    let rows: Vec<(i64, i64, String)> =
        sql("select start, size, key from upload_parts where upload_id = $1 order by start")
            .bind(id.to_string())
            .rows(&mut tx)
            .await?;
    rows.into_iter()
        .map(|(start, size, key)| {
            let start = bytes(start, "upload_parts", "start", &key)?;
            let size = bytes(size, "upload_parts", "size", &key)?;
            Ok(UploadPart { start, size, key })
        })
        .collect()
}

pub(super) async fn append(store: &SqlStore, append: &AppendUpload) -> StoreResult<Appended> {
    let mut tx = store.write().await?;
    let now = store.now(&mut tx).await?;
    tx.lock_upload(&append.id.to_string()).await?;
    let found = load_in_time(&mut tx, &append.project, append.id, now).await?;
    let Some(upload) = found else {
        tx.abandon().await?;
        return Ok(Appended::Gone);
    };
    if upload.received != append.from || upload.finished_at.is_some() {
        tx.abandon().await?;
        return Ok(Appended::Elsewhere(upload.received));
    }
    for part in &append.parts {
        sql("insert into upload_parts (upload_id, start, size, key) values ($1, $2, $3, $4)")
            .bind(append.id.to_string())
            .bind(stored(part.start))
            .bind(stored(part.size))
            .bind(part.key.clone())
            .execute(&mut tx)
            .await?;
    }
    let received = append.from + append.parts.iter().map(|part| part.size).sum::<u64>();
    let grown = Upload {
        media: upload.media.or_else(|| append.media.clone()),
        size: upload.size.or_else(|| append.sha256.is_some().then_some(received)),
        received,
        part_count: upload.part_count.saturating_add(append.parts.len() as u32),
        digest_state: Some(append.digest_state.clone()),
        sha256: append.sha256.clone(),
        expires_at: now.plus(append.keep),
        finished_at: append.sha256.is_some().then_some(now),
        ..upload
    };
    save(&mut tx, &grown).await?;
    tx.commit().await?;
    Ok(Appended::Done(Box::new(grown)))
}

async fn save(tx: &mut Transaction, upload: &Upload) -> StoreResult<()> {
    sql("
        update uploads
        set media = $2, size = $3, received = $4, part_count = $5, digest_state = $6,
            sha256 = $7, expires_at = $8, finished_at = $9
        where id = $1
        ")
    .bind(upload.id.to_string())
    .bind(upload.media.clone())
    .bind(upload.size.map(stored))
    .bind(stored(upload.received))
    .bind(upload.part_count)
    .bind(upload.digest_state.clone())
    .bind(upload.sha256.clone())
    .bind(upload.expires_at)
    .bind(upload.finished_at)
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) async fn make_use_of(
    store: &SqlStore,
    project: &Project,
    id: UploadId,
    keep: Duration,
) -> StoreResult<Option<Upload>> {
    let mut tx = store.write().await?;
    let now = store.now(&mut tx).await?;
    // Its time may be over: a job that waits has kept it.
    sql("
        update uploads
        set expires_at = $3
        where id = $1 and project = $2 and expires_at < $3 and finished_at is not null
        ")
    .bind(id.to_string())
    .bind(project.as_str())
    .bind(now.plus(keep))
    .execute(&mut tx)
    .await?;
    let upload = load(&mut tx, project, id).await?;
    tx.commit().await?;
    Ok(upload.filter(|upload| upload.finished_at.is_some()))
}

pub(super) async fn remove(store: &SqlStore, project: &Project, id: UploadId) -> StoreResult<bool> {
    let mut tx = store.write().await?;
    let now = store.now(&mut tx).await?;
    let text = "delete from uploads where id = $1 and project = $2 and expires_at > $3";
    let removed =
        sql(text).bind(id.to_string()).bind(project.as_str()).bind(now).execute(&mut tx).await?;
    if removed == 1 {
        // Whoever is still sending may put one more part there: it is looked at again.
        doom(&mut tx, &prefix(&id.to_string()), now).await?;
    }
    tx.commit().await?;
    Ok(removed == 1)
}

pub(super) async fn expire(store: &SqlStore, limit: u32) -> StoreResult<u64> {
    let mut tx = store.write().await?;
    let now = store.now(&mut tx).await?;
    // What a job that has not ended needs stays.
    let ids: Vec<String> = sql("
        select id
        from uploads
        where expires_at <= $1
            and not exists (
                select 1 from jobs
                where jobs.upload_id = uploads.id and jobs.finished_at is null
            )
        order by expires_at
        limit $2
        ")
    .skip_locked()
    .bind(now)
    .bind(limit)
    .values(&mut tx)
    .await?;
    sql("delete from uploads where id in list($1)").bind(ids.clone()).execute(&mut tx).await?;
    for id in &ids {
        doom(&mut tx, &prefix(id), now.plus(ZOMBIE)).await?;
    }
    tx.commit().await?;
    Ok(ids.len() as u64)
}
