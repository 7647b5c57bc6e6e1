-- A provider makes jobs in place of workers: a task that it has waits under the provider's own name
-- for it, without a lease.

alter table tasks add column provider_id text
    constraint tasks_waiting_when_away check (provider_id is null or state = 'waiting');

create index tasks_away on tasks (owner, id) where provider_id is not null;

-- What a provider was given. due_at is when it is asked about the job, or told that nobody wants
-- it; without one there is nothing to say any more. heard_at is the provider's own time of the
-- newest that is known. Not bound to the job, because a deleted one is told of too.
create table dispatches (
    provider_id text primary key,
    task_id text not null,
    job_id text not null,
    -- The job's number of events when it was handed over: tells a retry from what came before it.
    seq integer not null,
    unwanted text
        constraint dispatches_unwanted_valid check (unwanted in ('cancel', 'delete')),
    due_at integer,
    missed integer not null default 0,
    heard_at integer,
    created_at integer not null
) strict;

create index dispatches_due on dispatches (due_at) where due_at is not null;
create index dispatches_of_job on dispatches (job_id);

-- The newest word about a job of a provider that was not known when it came: the answer that
-- names it may still be on its way.
create table early_words (
    provider_id text primary key,
    job_id text,
    seq integer,
    word text not null,
    created_at integer not null
) strict;

create index early_words_of_job on early_words (job_id) where job_id is not null;
create index early_words_by_age on early_words (created_at);
