-- The batch whose hours keep their prices: the newest of a legal entity, unless it was posted, rejected or failed.
select batch_id
from (select batch_id, state from billing.batch where legal_entity_id = %(entity)s order by frozen_at desc limit 1) newest
where state in ('frozen', 'checked', 'submitted', 'approved', 'stale')
