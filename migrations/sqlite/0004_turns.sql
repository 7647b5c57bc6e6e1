-- Who asked, how urgent it is, and whose turn it is: tasks are claimed in the order of urgency
-- (0 first), then of turn, by which keys alternate.

alter table jobs add column owner text not null default '';
alter table jobs add column priority integer not null default 0
    constraint jobs_priority_in_range check (priority between -10 and 10);

alter table tasks add column owner text not null default '';
alter table tasks add column kind text not null default '';
alter table tasks add column urgency integer not null default 10;
alter table tasks add column turn integer not null default 0;

update tasks set kind = (select jobs.kind from jobs where jobs.id = tasks.job_id);

drop index tasks_due;
-- run_at is in it so that tasks that rest until a later try are passed over by the index alone.
create index tasks_due on tasks (lane, urgency, turn, id, run_at) where state = 'queued';
create index tasks_of_owner on tasks (owner, lane, urgency, turn) where state = 'queued';

drop index tasks_running;
-- lease_until is not in it: every heartbeat would have to move the entry.
create index tasks_running on tasks (owner, id) where state = 'processing';
