-- Files that callers have sent. The bytes are in storage, in parts; a part counts from the moment
-- in which its row is here.
create table uploads (
    id text primary key,
    owner text not null,
    name text,
    media text,
    metadata text,
    size integer,
    received integer not null default 0,
    part_count integer not null default 0,
    -- The state of SHA-256 over the bytes received, so that another process can go on.
    digest_state text,
    sha256 text,
    created_at integer not null,
    expires_at integer not null,
    finished_at integer,
    constraint uploads_not_too_much check (received >= 0 and (size is null or received <= size)),
    constraint uploads_whole_when_finished
    check ((finished_at is null) = (sha256 is null) and (finished_at is null or received = size))
) strict;

create index uploads_by_end on uploads (expires_at);

create table upload_parts (
    upload_id text not null references uploads (id) on delete cascade,
    start integer not null,
    size integer not null,
    key text not null,
    primary key (upload_id, start)
) strict, without rowid;

-- The upload that is a job's input, as long as it has one.
alter table jobs add column upload_id text;
create index jobs_of_upload on jobs (upload_id) where upload_id is not null;
