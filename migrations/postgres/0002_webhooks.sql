-- An event is written in the transaction that ends a job. Its body is the job as it was then,
-- with storage keys where links belong: links are made fresh at every attempt.
create table events (
    id text collate "C" primary key,
    job_id text collate "C" not null references jobs (id),
    kind text not null,
    seq bigint not null,
    body text not null,
    created_at bigint not null,
    constraint events_one_an_end unique (job_id, seq)
);

-- A destination is where deliveries go, without the query: the unit of fairness and of trust.
create table destinations (
    id text collate "C" primary key,
    failures bigint not null default 0,
    failing_since bigint,
    disabled_at bigint
);

create table deliveries (
    id text collate "C" primary key,
    event_id text collate "C" not null references events (id),
    destination text collate "C" not null references destinations (id),
    url text not null,
    state text not null
        constraint deliveries_state_valid
        check (state in ('pending', 'delivered', 'failed', 'held')),
    -- attempt fences: it grows with every claim and never shrinks. tries starts again at a replay.
    attempt bigint not null default 0,
    tries bigint not null default 0,
    run_at bigint not null,
    lease_until bigint,
    created_at bigint not null,
    finished_at bigint,
    constraint deliveries_finished_unless_pending
    check ((finished_at is null) = (state = 'pending'))
);

create index deliveries_due on deliveries (destination, run_at, id) where state = 'pending';
create index deliveries_of_destination on deliveries (destination);
create index deliveries_of_event on deliveries (event_id);
create index deliveries_by_state on deliveries (state, id);

create table delivery_attempts (
    delivery_id text collate "C" not null references deliveries (id) on delete cascade,
    position bigint not null,
    at bigint not null,
    record text not null,
    primary key (delivery_id, position)
);
