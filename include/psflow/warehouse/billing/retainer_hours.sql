-- Hours that draw on the retainers of a legal entity, by contract and month of the work.
select contract_id, to_char(worked_on, 'YYYY-MM') as month, sum(minutes) / 60.0 as hours
from billing_passed
where source = 'time' and contract_type = 'retainer'
group by contract_id, month
