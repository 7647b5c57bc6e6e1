-- How many tasks want a slot: those that have one and those that wait for one, also the ones that
-- rest after a failure. What is being worked on counts too, or KEDA would take workers away from
-- the last, longest encodes. scaler.yaml repeats this text.
select count(*)
from tasks
where state in ('queued', 'processing')
