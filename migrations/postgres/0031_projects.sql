-- Jobs, batches, connections, uploads and deliveries belong to a project; what there was belongs to
-- the one that the keys of the settings open.

alter table jobs add column project text collate "C" not null default 'default';
alter table batches add column project text collate "C" not null default 'default';
alter table connections add column project text collate "C" not null default 'default';
alter table uploads add column project text collate "C" not null default 'default';
alter table deliveries add column project text collate "C" not null default 'default';

-- Lists are of one project.
create index jobs_of_project on jobs (project, id);
drop index jobs_by_state;
create index jobs_by_state on jobs (project, state, id);
create index batches_of_project on batches (project, id);
create index deliveries_of_project on deliveries (project, id);
drop index deliveries_by_state;
create index deliveries_by_state on deliveries (project, state, id);
