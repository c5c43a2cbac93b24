-- Apply a verdict to the load it judged; an entry that got a newer version meanwhile waits for that one's gate.
with judged as (
    update core.time_entry_head head
    set state = case when head.time_entry_id = any(%(failing)s) then 'held' else 'passed' end,
        passed_version = case when head.time_entry_id = any(%(failing)s) then head.passed_version else head.latest_version end
    from core.time_entry entry
    where (entry.time_entry_id, entry.version) = (head.time_entry_id, head.latest_version)
      and entry.load_id = %(load)s::bigint and head.state = 'pending'
    returning head.time_entry_id, head.state
),
resolved as (
    update ops.exceptions exception set state = 'resolved', resolved_at = clock_timestamp()
    from judged
    where exception.state = 'open' and exception.rule = 'time_entry' and exception.entity = 'time_entry'
      and exception.record_id = judged.time_entry_id and judged.state = 'passed'
)
select count(*) filter (where state = 'passed') as passed,
       coalesce(array_agg(time_entry_id) filter (where state = 'held'), '{}') as held
from judged
