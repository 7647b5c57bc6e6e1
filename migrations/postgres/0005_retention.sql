-- Housekeeping looks for what ended long ago.
create index jobs_by_end on jobs (finished_at) where finished_at is not null;
create index events_of_job on events (job_id);
