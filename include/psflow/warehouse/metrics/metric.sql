-- Every published number in one form, and the controls that must come out at zero before any is published.
-- id:     metric.v1
-- grain:  metric x its own grain, parts joined by a bar
-- unit:   said in each row: a currency, or ratio
-- owner:  finance
-- source: finance.earned_entry, finance.revenue_monthly, finance.unbilled, finance.project_margin_monthly,
--         finance.utilization_weekly, finance.backlog, billing.live_invoice, billing.opening_balance
create or replace view finance.metric as
select named.metric, project_code || '|' || month as grain, named.value, currency::text as unit
from finance.revenue_monthly revenue
cross join lateral (values ('revenue.earned', earned), ('revenue.invoiced', invoiced), ('revenue.unbilled', unbilled),
                           ('revenue.opening', opening)) named (metric, value)
union all
select 'margin', project_code || '|' || month, margin, currency from finance.project_margin_monthly
union all
select 'utilization', resource_id || '|' || week, utilization, 'ratio' from finance.utilization_weekly
union all
select 'backlog', engagement_id, backlog, currency from finance.backlog
union all
select 'control.invoiced less invoices', project_code, coalesce(ours.amount, 0) - coalesce(invoice.amount, 0), currency
from (select project_code, currency, sum(invoiced) as amount from finance.revenue_monthly group by 1, 2) ours
full join (select project_code, currency, sum(amount) as amount from billing.live_invoice group by 1, 2) invoice
    using (project_code, currency)
union all
select 'opening balance less earned before', project_code, balance.amount - coalesce(before.amount, 0), balance.currency
from billing.opening_balance balance
left join (select project_code, sum(amount) as amount from finance.earned_entry where kind = 'time' and is_opening group by 1) before
    using (project_code)
union all
select 'control.earned less invoiced and unbilled', project_code,
       revenue.earned - revenue.invoiced - coalesce(unbilled.amount, 0), currency
from (select project_code, currency, sum(earned - opening) as earned, sum(invoiced) as invoiced
      from finance.revenue_monthly group by 1, 2) revenue
left join (select project_code, currency, sum(amount) as amount from finance.unbilled group by 1, 2) unbilled
    using (project_code, currency);
comment on column finance.metric.metric is 'Name of the number; a control must be 0.';
comment on column finance.metric.grain is 'What it is of: project and month, person and ISO week, engagement, or project.';
comment on column finance.metric.value is 'The number, in unit; null when something it needs is missing.';
comment on column finance.metric.unit is 'A currency, or ratio.';
