-- The trace that a job's steps stand in, as its request sent or began it: W3C Trace Context.
alter table jobs add column trace text;
