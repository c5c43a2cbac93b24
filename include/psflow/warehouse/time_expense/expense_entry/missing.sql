-- How many expenses of a window we know, and how many of those a complete read of it did not have.
with present as (
    select unnest(%(present)s::text[]) as expense_entry_id
)
select count(*) as known, count(*) filter (where present.expense_entry_id is null) as missing
from core.expense_entry_head head
join core.expense_entry entry on (entry.expense_entry_id, entry.version) = (head.expense_entry_id, head.latest_version)
left join present on present.expense_entry_id = head.expense_entry_id
where entry.spent_on >= %(worked_from)s and not entry.is_gone
