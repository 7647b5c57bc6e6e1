-- All entries of one value stand in one chain of a hash index, and every new one walks it: with a
-- million jobs of one input a new job cost some thousand pages. A btree of the input's hash and the
-- id has no such chain, takes inputs of any length, and gives the jobs of an input in their order.
drop index jobs_by_input;
create index jobs_by_input on jobs (hashtextextended(input, 0), id);
