-- A client's name of a request is good for that client: two API keys may choose the same one.
alter table idempotency add column owner text collate "C" not null default '';

-- Whose a request was is known by the job that it made.
update idempotency
set owner = jobs.owner
from jobs
where jobs.id = coalesce(
    idempotency.response::jsonb ->> 'task_id',
    idempotency.response::jsonb #>> '{tasks,0,task_id}'
);

alter table idempotency drop constraint idempotency_pkey;
alter table idempotency add primary key (owner, key);
