-- Revenue as invoiced: approved billable hours at the rate of their work date and expenses reimbursed at cost, in their month.
-- id:     revenue_monthly.v1
-- grain:  project x month of the work
-- unit:   hours; money in the contract's currency
-- owner:  finance
-- source: finance.earned_entry, finance.unbilled_entry, billing.counted_charge
create or replace view finance.revenue_monthly as
with line as (
    select project_code, worked_on, currency, hours, amount as earned,
           case kind when 'expense' then amount else 0 end as expenses,
           case when is_opening then amount else 0 end as opening, 0 as invoiced, 0 as unbilled,
           case when missing is null then 0 else hours end as hours_without_rate
    from finance.earned_entry
    union all
    select project_code, worked_on, currency, 0, 0, 0, 0, amount, 0, 0 from billing.counted_charge
    union all
    select project_code, worked_on, currency, 0, 0, 0, 0, 0, amount, 0 from finance.unbilled_entry
    where amount is not null
)
select contract.legal_entity_id, project.engagement_id, project_code, to_char(line.worked_on, 'YYYY-MM') as month,
       line.currency, sum(line.hours) as hours, coalesce(sum(line.earned), 0) as earned,
       coalesce(sum(line.expenses), 0) as expenses, coalesce(sum(line.opening), 0) as opening,
       sum(line.invoiced) as invoiced, sum(line.unbilled) as unbilled,
       sum(line.hours_without_rate) as hours_without_rate
from line
join core.project using (project_code)
join core.contract using (engagement_id)
group by contract.legal_entity_id, project.engagement_id, project_code, to_char(line.worked_on, 'YYYY-MM'), line.currency;
comment on column finance.revenue_monthly.legal_entity_id is 'The company of ours that earns it.';
comment on column finance.revenue_monthly.engagement_id is 'The won deal.';
comment on column finance.revenue_monthly.project_code is 'The project.';
comment on column finance.revenue_monthly.month is 'Month of the work or the expense, YYYY-MM; a correction counts in the month of its work.';
comment on column finance.revenue_monthly.currency is 'Currency of the contract.';
comment on column finance.revenue_monthly.hours is 'Approved billable hours.';
comment on column finance.revenue_monthly.earned is 'Money in currency: hours at their rate and expenses at cost; always opening + invoiced + unbilled. Hours without a rate are not in it.';
comment on column finance.revenue_monthly.expenses is 'Money in currency: the part of earned that is expenses.';
comment on column finance.revenue_monthly.opening is 'Money in currency earned before psflow billed, so billed elsewhere; 0 since.';
comment on column finance.revenue_monthly.invoiced is 'Money in currency on our invoices; the only column that ties to the ERP''s ledger.';
comment on column finance.revenue_monthly.unbilled is 'Money in currency earned and not invoiced; below zero when a credit waits.';
comment on column finance.revenue_monthly.hours_without_rate is 'Hours in hours whose money is missing from earned.';
