-- How many entries of a window we know, and how many of those a complete read of it did not have.
with present as (
    select unnest(%(present)s::text[]) as time_entry_id
)
select count(*) as known, count(*) filter (where present.time_entry_id is null) as missing
from core.time_entry_head head
join core.time_entry entry on (entry.time_entry_id, entry.version) = (head.time_entry_id, head.latest_version)
left join present on present.time_entry_id = head.time_entry_id
where entry.worked_on >= %(worked_from)s and not entry.is_gone
