-- The pipeline's own table as its users know it (wire.md section 7).
create view media_jobs as
select
    jobs.id,
    jobs.id as task_id,
    jobs.input as input_url,
    jobs.state as status,
    outputs.url as output_url,
    to_timestamp(jobs.created_at / 1000.0) as created_at,
    to_timestamp(jobs.finished_at / 1000.0) as completed_at
from jobs
left join outputs on outputs.job_id = jobs.id and outputs.position = 0
where jobs.deleted_at is null;
