-- Keys that were made here. Their texts are nowhere: what is kept is a digest.
create table access_keys (
    id text primary key,
    project text not null,
    name text,
    -- The names of scopes with a space between.
    scopes text not null,
    digest text not null,
    created_at integer not null,
    expires_at integer,
    revoked_at integer,
    last_used_at integer
) strict;

-- Who changed which key or connection. A row is written with the change and never changed.
create table audit_log (
    id text primary key,
    at integer not null,
    action text not null,
    key text,
    address text,
    project text not null,
    subject text not null,
    details text not null
) strict;
