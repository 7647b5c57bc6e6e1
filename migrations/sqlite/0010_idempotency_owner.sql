-- A client's name of a request is good for that client: two API keys may choose the same one.
create table named_requests (
    owner text not null,
    key text not null,
    body_hash text not null,
    response text not null,
    created_at integer not null,
    primary key (owner, key)
) strict, without rowid;

-- Whose a request was is known by the job that it made.
insert into named_requests (owner, key, body_hash, response, created_at)
select
    coalesce(
        (
            select jobs.owner from jobs
            where jobs.id = coalesce(
                json_extract(idempotency.response, '$.task_id'),
                json_extract(idempotency.response, '$.tasks[0].task_id')
            )
        ),
        ''
    ),
    key, body_hash, response, created_at
from idempotency;

drop table idempotency;
alter table named_requests rename to idempotency;
