-- What a project leaves: revenue less the cost of all its approved hours and expenses, in the legal entity's own currency.
-- Hours lent by another company of ours cost their transfer price.
-- id:     project_margin_monthly.v2
-- grain:  project x month of the work
-- unit:   hours; money in the legal entity's currency, at the exchange rate of the work day; percent
-- owner:  finance
-- source: finance.earned_entry, core.time_entry, core.time_entry_head, core.expense_entry,
--         core.expense_entry_head, core.cost_rate, core.fx_rate, core.legal_entity, core.contract, billing.live_transfer,
--         billing.transfer_waiting
create or replace view finance.project_margin_monthly as
with worked as (
    select entry.project_code, entry.worked_on, entry.minutes,
           case when waiting.time_entry_id is null then coalesce(lent.amount, entry.minutes * cost.hourly_cost / 60) end as cost,
           coalesce(lent.currency, cost.currency) as currency,
           case when waiting.time_entry_id is not null then 'transfer price'
                when coalesce(lent.amount, cost.hourly_cost) is null then 'cost rate' end as missing
    from core.time_entry_head head
    join core.time_entry entry on (entry.time_entry_id, entry.version) = (head.time_entry_id, head.passed_version)
    left join core.cost_rate cost on cost.resource_id = entry.resource_id
        and entry.worked_on >= cost.valid_from and (cost.valid_to is null or entry.worked_on <= cost.valid_to)
    left join billing.live_transfer lent on lent.time_entry_id = entry.time_entry_id and lent.side = 'due_to'
    left join billing.transfer_waiting waiting on waiting.time_entry_id = entry.time_entry_id
    where entry.is_approved and entry.minutes <> 0 and entry.project_code is not null
),
line as (
    select project_code, worked_on, currency, amount as revenue, null::numeric as cost, null::numeric as hours, missing
    from finance.earned_entry
    union all
    select project_code, worked_on, currency, null, cost, minutes / 60.0, missing
    from worked
    union all
    select project_code, spent_on, currency, null, amount, 0, null
    from core.expense_entry_head
    join core.expense_entry using (expense_entry_id)
    where version = passed_version and is_approved and project_code is not null
),
day_rate as (  -- once a currency and day, not once a line
    select wanted.*, case when wanted.currency = wanted.base_currency then 1 else dated.rate end as rate
    from (select distinct line.currency, legal_entity.currency as base_currency, line.worked_on
          from line join core.project using (project_code) join core.contract using (engagement_id)
          join core.legal_entity using (legal_entity_id)) wanted
    left join lateral (
        select rate from core.fx_rate
        where (from_currency, to_currency) = (wanted.currency, wanted.base_currency) and valid_on <= wanted.worked_on
        order by valid_on desc limit 1
    ) dated on true
),
converted as (
    select contract.legal_entity_id, project.engagement_id, line.project_code, to_char(line.worked_on, 'YYYY-MM') as month,
           legal_entity.currency, line.hours, line.revenue * day_rate.rate as revenue, line.cost * day_rate.rate as cost,
           coalesce(line.missing,
                    case when legal_entity.currency is null then 'currency of ' || contract.legal_entity_id
                         when day_rate.rate is null then 'exchange rate ' || line.currency || ' to ' || legal_entity.currency
                    end) as missing
    from line
    join core.project using (project_code)
    join core.contract using (engagement_id)
    left join core.legal_entity using (legal_entity_id)
    left join day_rate on (day_rate.currency, day_rate.base_currency, day_rate.worked_on)
                        = (line.currency, legal_entity.currency, line.worked_on)
),
summed as (
    select legal_entity_id, engagement_id, project_code, month, currency, round(coalesce(sum(hours), 0), 4) as hours,
           string_agg(distinct missing, ', ') as missing,
           billing.round_money(coalesce(sum(revenue), 0), currency) as revenue,
           billing.round_money(coalesce(sum(cost), 0), currency) as cost
    from converted
    group by legal_entity_id, engagement_id, project_code, month, currency
)
select legal_entity_id, engagement_id, project_code, month, currency, hours,
       case when missing is null then revenue end as revenue,
       case when missing is null then cost end as cost,
       case when missing is null then revenue - cost end as margin,
       case when missing is null then round((revenue - cost) / nullif(revenue, 0) * 100, 2) end as margin_pct,
       missing
from summed;
comment on column finance.project_margin_monthly.legal_entity_id is 'The company of ours that earns it.';
comment on column finance.project_margin_monthly.engagement_id is 'The won deal.';
comment on column finance.project_margin_monthly.project_code is 'The project.';
comment on column finance.project_margin_monthly.month is 'Month of the work, YYYY-MM.';
comment on column finance.project_margin_monthly.currency is 'The legal entity''s own currency, not the contract''s.';
comment on column finance.project_margin_monthly.hours is 'All approved hours, billable or not.';
comment on column finance.project_margin_monthly.revenue is 'Money in currency: earned, at the exchange rate of each work day, rounded once; null when anything is missing.';
comment on column finance.project_margin_monthly.cost is 'Money in currency: hours at the cost rate of their person and day or at their transfer price, and expenses, rounded once; null when anything is missing.';
comment on column finance.project_margin_monthly.margin is 'Money in currency: revenue less cost; null when anything is missing.';
comment on column finance.project_margin_monthly.margin_pct is 'Percent of revenue; null without revenue or when anything is missing.';
comment on column finance.project_margin_monthly.missing is 'What the numbers would need: rate, cost rate, transfer price, exchange rate; null when nothing is missing.';
