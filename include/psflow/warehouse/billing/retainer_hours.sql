-- Hours that draw on the retainers of a legal entity, by contract and month of the work.
select contract_id, to_char(worked_on, 'YYYY-MM') as month, sum(minutes) / 60.0 as hours
from billing.passed_entry
where legal_entity_id = %(entity)s and source = 'time' and contract_type = 'retainer' and is_to_bill
  and worked_on <= %(until)s
group by contract_id, month
