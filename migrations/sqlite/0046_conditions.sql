-- Until when a process wants to have spoken again. Nobody waits for one that has said goodbye, that
-- was missed already, or whose version says no goodbyes.
alter table workers add column expected_by integer;
create index workers_by_expectation on workers (expected_by) where expected_by is not null;

-- What is wrong just now and was told: it is told again only after it was well.
create table conditions (
    name text primary key,
    since integer not null
) strict;
