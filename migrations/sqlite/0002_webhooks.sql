-- An event is written in the transaction that ends a job. Its body is the job as it was then,
-- with storage keys where links belong: links are made fresh at every attempt.
create table events (
    id text primary key,
    job_id text not null references jobs (id),
    kind text not null,
    seq integer not null,
    body text not null,
    created_at integer not null,
    constraint events_one_an_end unique (job_id, seq)
) strict;

-- A destination is where deliveries go, without the query: the unit of fairness and of trust.
create table destinations (
    id text primary key,
    failures integer not null default 0,
    failing_since integer,
    disabled_at integer
) strict;

create table deliveries (
    id text primary key,
    event_id text not null references events (id),
    destination text not null references destinations (id),
    url text not null,
    state text not null
        constraint deliveries_state_valid
        check (state in ('pending', 'delivered', 'failed', 'held')),
    -- attempt fences: it grows with every claim and never shrinks. tries starts again at a replay.
    attempt integer not null default 0,
    tries integer not null default 0,
    run_at integer not null,
    lease_until integer,
    created_at integer not null,
    finished_at integer,
    constraint deliveries_finished_unless_pending
    check ((finished_at is null) = (state = 'pending'))
) strict;

create index deliveries_due on deliveries (destination, run_at, id) where state = 'pending';
create index deliveries_of_destination on deliveries (destination);
create index deliveries_of_event on deliveries (event_id);
create index deliveries_by_state on deliveries (state, id);

create table delivery_attempts (
    delivery_id text not null references deliveries (id) on delete cascade,
    position integer not null,
    at integer not null,
    record text not null,
    primary key (delivery_id, position)
) strict, without rowid;
