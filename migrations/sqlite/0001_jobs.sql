-- Times are milliseconds since 1970; json columns hold text that Reelway wrote itself.

create table batches (
    id text primary key,
    created_at integer not null
) strict;

create table jobs (
    id text primary key,
    batch_id text references batches (id),
    batch_position integer not null default 0,
    kind text not null,
    input text not null,
    options text not null,
    metadata text not null,
    webhook_url text,
    state text not null
        constraint jobs_state_valid
        check (state in ('queued', 'processing', 'succeeded', 'failed', 'cancelled')),
    progress real not null default 0
        constraint jobs_progress_in_range check (progress between 0 and 100),
    failure text,
    seq integer not null default 0,
    cancel_asked_at integer,
    created_at integer not null,
    updated_at integer not null,
    started_at integer,
    finished_at integer,
    deleted_at integer,
    constraint jobs_finished_when_final
    check ((finished_at is not null) = (state in ('succeeded', 'failed', 'cancelled'))),
    constraint jobs_failure_when_failed
    check ((failure is not null) = (state = 'failed'))
) strict;

create index jobs_by_batch on jobs (batch_id) where batch_id is not null;
create index jobs_by_input on jobs (input, id);
create index jobs_by_state on jobs (state, id);

create table tasks (
    id text primary key,
    job_id text not null references jobs (id),
    position integer not null default 0,
    lane text not null constraint tasks_lane_valid check (lane in ('heavy', 'light')),
    state text not null
        constraint tasks_state_valid
        check (state in ('waiting', 'queued', 'processing', 'succeeded', 'failed', 'cancelled')),
    run_at integer not null,
    -- attempt fences: it grows with every claim and never shrinks. tries counts the claims that
    -- were not handed back.
    attempt integer not null default 0,
    tries integer not null default 0,
    lease_owner text,
    lease_until integer,
    stages text not null default '[]',
    created_at integer not null,
    constraint tasks_leased_when_processing
    check ((lease_owner is not null and lease_until is not null) = (state = 'processing'))
) strict;

create index tasks_of_job on tasks (job_id, position);
create index tasks_due on tasks (lane, run_at, id) where state = 'queued';
-- lease_until is not indexed: every heartbeat would have to move the entry.
create index tasks_running on tasks (id) where state = 'processing';

create table outputs (
    key text primary key,
    job_id text not null references jobs (id),
    position integer not null,
    file text not null,
    url text not null
) strict;

create index outputs_of_job on outputs (job_id, position);

create table garbage (
    prefix text primary key,
    not_before integer not null
) strict;

create index garbage_due on garbage (not_before);

create table idempotency (
    key text primary key,
    body_hash text not null,
    response text not null,
    created_at integer not null
) strict;

create table secrets (
    name text primary key,
    value text not null
) strict;
