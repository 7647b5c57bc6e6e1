-- The end of a batch is an event too: it is of a batch and of no job.
alter table batches add column seq bigint not null default 0;

alter table events alter column job_id drop not null;
alter table events add column batch_id text collate "C" references batches (id);
alter table events add constraint events_one_an_end_of_a_batch unique (batch_id, seq);
alter table events add constraint events_of_one_thing
    check ((job_id is null) <> (batch_id is null));

create index events_of_batch on events (batch_id) where batch_id is not null;
