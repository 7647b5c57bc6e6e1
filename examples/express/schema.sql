create table if not exists media_jobs (
    id bigserial primary key,
    task_id text not null unique,
    input_url text,
    status text not null,
    output_url text,
    created_at timestamptz not null default now(),
    completed_at timestamptz
);
