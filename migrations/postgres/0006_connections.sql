-- Buckets of users' own. The secret is sealed with a key that is not in this database.
create table connections (
    id text collate "C" primary key,
    name text,
    endpoint text,
    region text not null,
    access_key_id text not null,
    sealed_secret text not null,
    created_at bigint not null
);

-- The connection that a job reaches its input or its outputs through, as json.
alter table jobs add column via text;
