-- Loads with expenses no gate has judged yet, oldest first.
select distinct entry.load_id
from core.expense_entry_head head
join core.expense_entry entry on (entry.expense_entry_id, entry.version) = (head.expense_entry_id, head.latest_version)
where head.state = 'pending'
order by entry.load_id
