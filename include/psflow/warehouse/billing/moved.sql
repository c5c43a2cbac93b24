-- Lines that would not be frozen like this any more.
select line.charge_id
from billing.batch_content line
where line.batch_id = %(batch)s
  and not exists (
      select from billing_difference now
      where (now.charge_id, now.kind, now.project_code, now.worked_on, now.role, now.minutes, now.hourly_rate, now.amount,
             now.currency)
          = (line.charge_id, line.kind, line.project_code, line.worked_on, line.role, line.minutes, line.hourly_rate,
             line.amount, line.currency))
order by line.charge_id
