-- The earliest day of an expense of our projects that is in no closed period; null when there is none.
select min(entry.spent_on)
from core.expense_entry_head head
join core.expense_entry entry on (entry.expense_entry_id, entry.version) = (head.expense_entry_id, head.latest_version)
join core.project using (project_code)
join core.contract using (engagement_id)
where not exists (
    select from core.period
    where (period.legal_entity_id, period.period) = (contract.legal_entity_id, to_char(entry.spent_on, 'YYYY-MM'))
      and period.closed_at is not null)
