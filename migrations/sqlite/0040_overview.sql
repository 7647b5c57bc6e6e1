-- What people look at: each attempt with the worker that made it, the workers themselves, and how
-- much storage is used.

create table attempts (
    task_id text not null references tasks (id) on delete cascade,
    attempt integer not null,
    worker text not null,
    started_at integer not null,
    ended_at integer,
    -- Written at the attempt's end; until then they are the task's own.
    stages text not null default '[]',
    primary key (task_id, attempt)
) strict, without rowid;

-- Processes that have said that they are there. about is json that Reelway wrote itself.
create table workers (
    id text primary key,
    name text not null,
    about text not null,
    started_at integer not null,
    seen_at integer not null
) strict;

create index workers_by_sight on workers (seen_at);

-- What the file takes of this server's storage: nothing when it is kept elsewhere.
alter table outputs add column stored_bytes integer not null default 0;

update outputs
set stored_bytes = coalesce(json_extract(file, '$.filesize'), 0)
where json_extract(file, '$.delivered_to') is null and json_extract(file, '$.remote_url') is null;

-- The sum is read from it alone.
create index outputs_by_size on outputs (stored_bytes) where stored_bytes > 0;

-- Whose a destination is, and what it has not got.
create index deliveries_of_project_to on deliveries (project, destination, state);

-- A list of one kind need not look through all the others.
create index jobs_by_kind on jobs (project, kind, id);
