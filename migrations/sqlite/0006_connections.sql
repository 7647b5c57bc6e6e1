-- Buckets of users' own. The secret is sealed with a key that is not in this database.
create table connections (
    id text primary key,
    name text,
    endpoint text,
    region text not null,
    access_key_id text not null,
    sealed_secret text not null,
    created_at integer not null
) strict;

-- The connection that a job reaches its input or its outputs through, as json.
alter table jobs add column via text;
