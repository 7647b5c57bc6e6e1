-- What people look at: each attempt with the worker that made it, the workers themselves, and how
-- much storage is used.

create table attempts (
    task_id text collate "C" not null references tasks (id) on delete cascade,
    attempt bigint not null,
    worker text collate "C" not null,
    started_at bigint not null,
    ended_at bigint,
    -- Written at the attempt's end; until then they are the task's own.
    stages text not null default '[]',
    primary key (task_id, attempt)
);

-- Processes that have said that they are there. about is json that Reelway wrote itself.
create table workers (
    id text collate "C" primary key,
    name text not null,
    about text not null,
    started_at bigint not null,
    seen_at bigint not null
);

create index workers_by_sight on workers (seen_at);

-- What the file takes of this server's storage: nothing when it is kept elsewhere.
alter table outputs add column stored_bytes bigint not null default 0;

update outputs
set stored_bytes = coalesce((file::json ->> 'filesize')::bigint, 0)
where file::json ->> 'delivered_to' is null and file::json ->> 'remote_url' is null;

-- The sum is read from it alone.
create index outputs_by_size on outputs (stored_bytes) where stored_bytes > 0;

-- Whose a destination is, and what it has not got.
create index deliveries_of_project_to on deliveries (project, destination, state);

-- A list of one kind need not look through all the others.
create index jobs_by_kind on jobs (project, kind, id);
