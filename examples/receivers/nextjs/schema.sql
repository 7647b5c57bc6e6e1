create table if not exists webhook_events (
    id text primary key,
    body jsonb not null,
    received_at timestamptz not null default now(),
    handled_at timestamptz
);
