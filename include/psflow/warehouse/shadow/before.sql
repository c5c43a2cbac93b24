-- What was staged last is the bill that the next staging is compared with.
with moved as (
    delete from shadow_should returning *
)
insert into shadow_billed (
    system, bill_id, line_id, entry_key, project_code, worked_on, is_final, minutes, billed_minutes, hourly_rate, rate_id,
    fx_rate, amount, currency, says)
select 'psflow.yaml', 'as it is', entry_key, entry_key, project_code, worked_on, true, minutes, billed_minutes, hourly_rate,
       rate_id, fx_rate, amount, currency, says
from moved
where amount is distinct from 0
