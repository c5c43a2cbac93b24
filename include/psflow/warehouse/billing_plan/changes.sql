-- Against what was invoiced last, and against the plan before of the same period, project by project.
with head as (
    select * from billing.batch where batch_id = %(batch)s
),
now as (
    select project_code, currency::text, sum(amount) as amount
    from billing.batch_content where batch_id = %(batch)s group by project_code, currency
),
invoiced as (  -- the last period before this one that has an invoice that counts
    select batch.period, project_code, live_invoice.currency::text, live_invoice.amount
    from billing.live_invoice join billing.batch using (batch_id) join head on head.legal_entity_id = batch.legal_entity_id
    where batch.period < head.period
),
last as (
    select project_code, currency, sum(amount) as amount
    from invoiced where period = (select max(period) from invoiced)
    group by project_code, currency
),
planned as (
    select plan.batch_id, plan.plan
    from billing.plan join billing.batch using (batch_id) join head
        on (head.legal_entity_id, head.period) = (batch.legal_entity_id, batch.period)
    where batch.number < head.number
    order by batch.number desc limit 1
),
before as (
    select project_code, currency, sum(amount) as amount
    from planned
    cross join json_to_recordset(planned.plan -> 'invoices') as said (project_code text, currency text, amount numeric)
    group by project_code, currency
)
select project_code, project.name as project, both_sides.currency, coalesce(amount, 0) as amount, last_period,
       case when last_period is not null then coalesce(last_amount, 0) end as last_amount,
       case when last_period is not null then coalesce(amount, 0) - coalesce(last_amount, 0) end as change, last_plan,
       case when last_plan is not null then coalesce(planned_amount, 0) end as planned_amount,
       case when last_plan is not null then coalesce(amount, 0) - coalesce(planned_amount, 0) end as change_of_plan
from (
    select project_code, currency, now.amount, last.amount as last_amount, before.amount as planned_amount
    from now full join last using (project_code, currency) full join before using (project_code, currency)
) both_sides
cross join (select (select max(period) from invoiced) as last_period, (select batch_id from planned) as last_plan) against
join core.project using (project_code)
order by project_code, currency
