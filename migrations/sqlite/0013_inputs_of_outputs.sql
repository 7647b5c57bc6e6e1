-- The output in storage that is a job's input, when it has one: what a task before it has made.
alter table jobs add column input_key text;
