-- Write down what a team is told now; what another worker told meanwhile is not returned. In key order: no deadlock.
insert into ops.alert (exception_id, event, occurrence, team)
select exception_id, event, occurrence, %(team)s
from jsonb_to_recordset(%(items)s::jsonb) as (exception_id bigint, event text, occurrence integer)
order by exception_id, event
on conflict do nothing
returning exception_id
