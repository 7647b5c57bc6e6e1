-- Keys that were made here. Their texts are nowhere: what is kept is a digest.
create table access_keys (
    id text collate "C" primary key,
    project text collate "C" not null,
    name text,
    -- The names of scopes with a space between.
    scopes text not null,
    digest text not null,
    created_at bigint not null,
    expires_at bigint,
    revoked_at bigint,
    last_used_at bigint
);

-- Who changed which key or connection. A row is written with the change and never changed.
create table audit_log (
    id text collate "C" primary key,
    at bigint not null,
    action text not null,
    key text,
    address text,
    project text collate "C" not null,
    subject text not null,
    details text not null
);
