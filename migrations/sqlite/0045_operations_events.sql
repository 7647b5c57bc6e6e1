-- An event may be of no job and no batch: of the server itself. SQLite cannot change a constraint,
-- so the table is made anew; what refers to it is checked at the commit.
pragma defer_foreign_keys = on;

create table events_before as select * from events;
drop table events;

create table events (
    id text primary key,
    job_id text references jobs (id),
    batch_id text references batches (id),
    kind text not null,
    seq integer not null,
    body text not null,
    created_at integer not null,
    constraint events_one_an_end unique (job_id, seq),
    constraint events_one_an_end_of_a_batch unique (batch_id, seq),
    constraint events_of_at_most_one_thing check (job_id is null or batch_id is null)
) strict;

insert into events (id, job_id, batch_id, kind, seq, body, created_at)
select id, job_id, batch_id, kind, seq, body, created_at from events_before;

drop table events_before;
create index events_of_job on events (job_id) where job_id is not null;
create index events_of_batch on events (batch_id) where batch_id is not null;
