-- The pipeline's own table as its users know it (wire.md section 7).
create view media_jobs as
select
    jobs.id,
    jobs.id as task_id,
    jobs.input as input_url,
    jobs.state as status,
    outputs.url as output_url,
    strftime('%Y-%m-%d %H:%M:%f', jobs.created_at / 1000.0, 'unixepoch') as created_at,
    strftime('%Y-%m-%d %H:%M:%f', jobs.finished_at / 1000.0, 'unixepoch') as completed_at
from jobs
left join outputs on outputs.job_id = jobs.id and outputs.position = 0
where jobs.deleted_at is null;
