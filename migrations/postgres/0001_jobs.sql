-- Times are milliseconds since 1970; json columns hold text that Reelway wrote itself.

create table batches (
    id text collate "C" primary key,
    created_at bigint not null
);

create table jobs (
    id text collate "C" primary key,
    batch_id text collate "C" references batches (id),
    batch_position bigint not null default 0,
    kind text not null,
    input text not null,
    options text not null,
    metadata text not null,
    webhook_url text,
    state text not null
        constraint jobs_state_valid
        check (state in ('queued', 'processing', 'succeeded', 'failed', 'cancelled')),
    progress double precision not null default 0
        constraint jobs_progress_in_range check (progress between 0 and 100),
    failure text,
    seq bigint not null default 0,
    cancel_asked_at bigint,
    created_at bigint not null,
    updated_at bigint not null,
    started_at bigint,
    finished_at bigint,
    deleted_at bigint,
    constraint jobs_finished_when_final
    check ((finished_at is not null) = (state in ('succeeded', 'failed', 'cancelled'))),
    constraint jobs_failure_when_failed
    check ((failure is not null) = (state = 'failed'))
);

create index jobs_by_batch on jobs (batch_id) where batch_id is not null;
-- An input may be longer than a btree takes.
create index jobs_by_input on jobs using hash (input);
create index jobs_by_state on jobs (state, id);

create table tasks (
    id text collate "C" primary key,
    job_id text collate "C" not null references jobs (id),
    position bigint not null default 0,
    lane text not null constraint tasks_lane_valid check (lane in ('heavy', 'light')),
    state text not null
        constraint tasks_state_valid
        check (state in ('waiting', 'queued', 'processing', 'succeeded', 'failed', 'cancelled')),
    run_at bigint not null,
    -- attempt fences: it grows with every claim and never shrinks. tries counts the claims that
    -- were not handed back.
    attempt bigint not null default 0,
    tries bigint not null default 0,
    lease_owner text,
    lease_until bigint,
    stages text not null default '[]',
    created_at bigint not null,
    constraint tasks_leased_when_processing
    check ((lease_owner is not null and lease_until is not null) = (state = 'processing'))
);

create index tasks_of_job on tasks (job_id, position);
create index tasks_due on tasks (lane, run_at, id) where state = 'queued';
-- lease_until is not indexed: every heartbeat would have to move the entry.
create index tasks_running on tasks (id) where state = 'processing';

create table outputs (
    key text collate "C" primary key,
    job_id text collate "C" not null references jobs (id),
    position bigint not null,
    file text not null,
    url text not null
);

create index outputs_of_job on outputs (job_id, position);

create table garbage (
    prefix text collate "C" primary key,
    not_before bigint not null
);

create index garbage_due on garbage (not_before);

create table idempotency (
    key text collate "C" primary key,
    body_hash text not null,
    response text not null,
    created_at bigint not null
);

create table secrets (
    name text collate "C" primary key,
    value text not null
);
