-- Loads with entries no gate has judged yet, oldest first.
select distinct entry.load_id
from core.time_entry_head head
join core.time_entry entry on (entry.time_entry_id, entry.version) = (head.time_entry_id, head.latest_version)
where head.state = 'pending'
order by entry.load_id
