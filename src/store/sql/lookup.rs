//! Jobs are looked at: always whole, always as they were at one moment.

use super::SqlStore;
use super::database::Transaction;
use super::row::{Stored, from_json, load, load_one, parse};
use super::statement::{Statement, sql};
use crate::access::Project;
use crate::id::{JobId, TaskId};
use crate::job::{File, Job};
use crate::store::{JobFilter, JobPage, Newest, Pressure, StoreResult};

pub(super) async fn job(
    store: &SqlStore,
    project: &Project,
    id: JobId,
) -> StoreResult<Option<Job>> {
    let mut tx = store.read().await?;
    Ok(load_visible(&mut tx, project, id).await?.map(|stored| stored.job))
}

/// The job, unless it is deleted or another project's.
pub(super) async fn load_visible(
    tx: &mut Transaction,
    project: &Project,
    id: JobId,
) -> StoreResult<Option<Stored>> {
    let stored = load_one(tx, id).await?;
    Ok(stored.filter(|stored| stored.deleted_at.is_none() && stored.job.project == *project))
}

pub(super) async fn task(
    store: &SqlStore,
    project: &Project,
    id: TaskId,
) -> StoreResult<Option<Job>> {
    let mut tx = store.read().await?;
    let of = sql("select job_id from tasks where id = $1").bind(id.to_string());
    let Some(row) = of.value::<String>(&mut tx).await? else { return Ok(None) };
    let job = parse(&row, "tasks", "job_id", &row)?;
    Ok(load_visible(&mut tx, project, job).await?.map(|stored| stored.job))
}

pub(super) async fn jobs(
    store: &SqlStore,
    project: &Project,
    filter: &JobFilter,
) -> StoreResult<JobPage> {
    let mut tx = store.read().await?;
    let cursor = Cursor {
        after: filter.after.map(|id| id.to_string()),
        before: filter.before.map(|id| id.to_string()),
        ascending: filter.ascending,
        limit: filter.limit,
    };
    let end = search_end(&mut tx, project, filter, &cursor).await?;
    let rows: Vec<String> = page(project, filter, &cursor, end.as_deref()).values(&mut tx).await?;
    let (rows, has_more) = turned(rows, &cursor);
    let mut ids = Vec::with_capacity(rows.len());
    for row in &rows {
        ids.push(parse(row, "jobs", "id", row)?);
    }
    let jobs = load(&mut tx, &ids).await?;
    let looked_back_to = match end.filter(|_| !has_more) {
        Some(end) => Some(parse(&end, "jobs", "id", &end)?),
        None => None,
    };
    let jobs = jobs.into_iter().map(|stored| stored.job).collect();
    Ok(JobPage { jobs, has_more, looked_back_to })
}

/// The job at which a search for a text ends; none when it comes to the end of the list before. The
/// key's index alone tells.
async fn search_end(
    tx: &mut Transaction,
    project: &Project,
    filter: &JobFilter,
    cursor: &Cursor,
) -> StoreResult<Option<String>> {
    let Some(search) = &filter.input_has else { return Ok(None) };
    let cursor = Cursor { limit: 0, ..cursor.clone() };
    let of_project = Statement::begin("select id from jobs where true")
        .push_bind(" and project = ", project.as_str());
    cursor.push_to(of_project).push_bind(" offset ", i64::from(search.at_most)).value(tx).await
}

/// The ids of a page, of jobs up to `end`.
fn page(project: &Project, filter: &JobFilter, cursor: &Cursor, end: Option<&str>) -> Statement {
    let mut page = Statement::begin("select id from jobs where deleted_at is null")
        .push_bind(" and project = ", project.as_str());
    if !filter.ids.is_empty() {
        let ids: Vec<String> = filter.ids.iter().map(ToString::to_string).collect();
        page = page.push_bind(" and id in list(", ids).push(")");
    }
    if let Some(search) = &filter.input_has {
        page = page.push_has("input", search.text.to_ascii_lowercase());
    }
    if let Some(end) = end {
        page = page.push_bind(if cursor.goes_up() { " and id <= " } else { " and id >= " }, end);
    }
    if let Some(kind) = filter.kind {
        page = page.push_bind(" and kind = ", kind.name());
    }
    if let Some(status) = filter.status {
        page = page.push_bind(" and state = ", status.name());
    }
    if let Some(input) = &filter.input {
        page = page.push_input(input);
    }
    if let Some(batch) = filter.batch_id {
        page = page.push_bind(" and batch_id = ", batch.to_string());
    }
    cursor.push_to(page)
}

/// Where in a list, by ids, a page is.
#[derive(Clone)]
pub(super) struct Cursor {
    pub(super) after: Option<String>,
    pub(super) before: Option<String>,
    pub(super) ascending: bool,
    pub(super) limit: u32,
}

impl Cursor {
    /// Of a list that is shown newest first.
    pub(super) fn newest<I: ToString>(which: &Newest<I>) -> Self {
        Self {
            after: which.after.as_ref().map(ToString::to_string),
            before: which.before.as_ref().map(ToString::to_string),
            ascending: false,
            limit: which.limit,
        }
    }

    /// A page before a cursor is read from the cursor outwards and turned round afterwards.
    const fn is_backwards(&self) -> bool {
        self.before.is_some() && self.after.is_none()
    }

    /// Whether the page is read from smaller ids to larger ones.
    const fn goes_up(&self) -> bool {
        self.ascending != self.is_backwards()
    }

    /// Ends a statement that selects ids: those of the page and one more, from which it is seen
    /// that there are more.
    pub(super) fn push_to(&self, page: Statement) -> Statement {
        let mut page = page;
        let (behind, ahead) = if self.ascending {
            (" and id > ", " and id < ")
        } else {
            (" and id < ", " and id > ")
        };
        if let Some(after) = &self.after {
            page = page.push_bind(behind, after.clone());
        }
        if let Some(before) = &self.before {
            page = page.push_bind(ahead, before.clone());
        }
        page.push(if self.goes_up() { " order by id asc" } else { " order by id desc" })
            .push_bind(" limit ", i64::from(self.limit) + 1)
    }
}

/// The ids of a page in the list's order, and whether there are more.
pub(super) fn turned(mut ids: Vec<String>, cursor: &Cursor) -> (Vec<String>, bool) {
    let limit = cursor.limit as usize;
    let has_more = ids.len() > limit;
    ids.truncate(limit);
    if cursor.is_backwards() {
        ids.reverse();
    }
    (ids, has_more)
}

pub(super) async fn pressure(store: &SqlStore) -> StoreResult<Pressure> {
    let mut tx = store.read().await?;
    let counts: Option<(i64, i64, i64)> = sql("
        select
            (select count(*) from tasks where state = 'queued'),
            (select count(*) from tasks where state = 'processing')
                + (select count(*) from tasks where provider_id is not null),
            (select count(*) from deliveries where state = 'pending')
        ")
    .row(&mut tx)
    .await?;
    let (queued, processing, deliveries_pending) = counts.unwrap_or_default();
    Ok(Pressure {
        queued: queued.unsigned_abs(),
        processing: processing.unsigned_abs(),
        deliveries_pending: deliveries_pending.unsigned_abs(),
    })
}

pub(super) async fn output(
    store: &SqlStore,
    project: &Project,
    key: &str,
) -> StoreResult<Option<File>> {
    let mut tx = store.read().await?;
    let file: Option<String> = sql("
        select outputs.file
        from outputs
        join jobs on jobs.id = outputs.job_id
        where outputs.key = $1 and jobs.project = $2
        ")
    .bind(key)
    .bind(project.as_str())
    .value(&mut tx)
    .await?;
    file.map(|file| from_json(&file, "outputs", "file", key)).transpose()
}

pub(super) async fn linked_output(store: &SqlStore, key: &str) -> StoreResult<Option<File>> {
    let mut tx = store.read().await?;
    let file: Option<String> =
        sql("select file from outputs where key = $1").bind(key).value(&mut tx).await?;
    file.map(|file| from_json(&file, "outputs", "file", key)).transpose()
}
