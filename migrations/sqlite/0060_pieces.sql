-- The pieces of a long video, made by whoever has room while one worker holds the task. They are
-- there only until the job ends; what was made of them outlives the attempt that cut them.
create table pieces (
    task_id text not null references tasks (id) on delete cascade,
    position integer not null,
    -- The attempt of the task that wants them: those of an earlier one are nobody's until it is cut
    -- again.
    attempt integer not null,
    -- What all of them are made by: a piece of another recipe does not fit.
    recipe text not null,
    piece text not null,
    state text not null
        constraint pieces_state_valid check (state in ('waiting', 'taken', 'made')),
    -- How often it was taken: fences what comes too late.
    tries integer not null default 0,
    worker text,
    lease_until integer,
    percent real not null default 0,
    made text,
    primary key (task_id, position),
    constraint pieces_taken_has_lease
        check ((state = 'taken') = (worker is not null and lease_until is not null)),
    constraint pieces_made_has_file check ((state = 'made') = (made is not null))
) strict;

create index pieces_to_make on pieces (task_id, position) where state <> 'made';
