-- billing: the lines of contracts that several customers pay, one a payer: others rounded, one takes the residue
-- grain:  charge; the parts of a line add up to it, in amount, hours worked and hours billed
-- unit:   minutes; amount in the contract's currency
-- reads:  billing_difference, billing_live, core.split, core.split_share, billing.adjustment, billing.void_charge
-- owner:  finance
with split as materialized (  -- what is billed stays split as it was, also where it is corrected
    select line.charge_id, case when billed.entry_key is null then agreed.split_id else billed.split_id end as split_id
    from billing_difference line
    join core.project using (project_code)
    join core.contract using (engagement_id)
    left join (select distinct on (entry_key) entry_key, project_code, worked_on, split_id
               from billing_live order by entry_key, version desc, seq desc) billed
        on (billed.entry_key, billed.project_code, billed.worked_on) = (line.entry_key, line.project_code, line.worked_on)
    left join lateral (
        select split_id from core.split
        where split.contract_id = contract.contract_id and valid_from <= line.worked_on
        order by valid_from desc, split_id desc limit 1
    ) agreed on true
    where line.kind = 'charge'
),
stands as (
    select entry_key, component, payer_id, coalesce(sum(amount) filter (where fate = 'stays'), 0) as amount,
           bool_or(fate = 'credited') as is_credited, bool_or(fate = 'stays') as is_standing
    from billing_live group by entry_key, component, payer_id
),
lost as (
    select entry_key, component, sum(amount) as amount from billing.adjustment where kind = 'write_off'
    group by entry_key, component
),
line as (
    select whole.*, split.split_id as of_split, whole_amount - coalesce(lost.amount, 0) as due,
           lost.entry_key is null
               and not exists (select from stands where (stands.entry_key, stands.component) = (whole.entry_key, whole.component)
                                                    and is_standing) as is_fresh
    from billing_difference whole
    join split using (charge_id)
    left join lost using (entry_key, component)
    where split.split_id is not null
),
share as (
    select line.charge_id, nullif(share.payer_id, project.customer_id) as payer_id, share_pct, takes_residue,
           case when takes_residue then due - sum(billing.round_money(due * share_pct / 100, line.currency))
                                                  filter (where not takes_residue) over (partition by line.charge_id)
                else billing.round_money(due * share_pct / 100, line.currency) end as due
    from line
    join core.project using (project_code)
    join core.split_share share on share.split_id = line.of_split
),
weighed as (  -- by share where nothing of it is decided yet, else by what is left of each payer's part
    select line.charge_id, line.amount, line.currency, share.payer_id, share.takes_residue,
           case when line.adjustment_id is not null then share_pct * coalesce(is_credited, false)::integer
                when is_fresh then share_pct
                else greatest((coalesce(share.due, line.due) - coalesce(stands.amount, 0)) * sign(line.amount), 0) end as weight
    from line
    join share using (charge_id)
    left join stands on (stands.entry_key, stands.component) = (line.entry_key, line.component)
        and stands.payer_id is not distinct from share.payer_id
),
shared as (
    select *, billing.round_money(amount * weight / sum(weight) over (partition by charge_id), currency) as part,
           row_number() over (partition by charge_id
                              order by weight = 0, not takes_residue, payer_id collate "C" nulls first) as place
    from weighed
),
paid as (
    select charge_id, payer_id, takes_residue, weight / sum(weight) over (partition by charge_id) as ratio,
           case place when 1 then amount - coalesce(sum(part) filter (where place > 1) over (partition by charge_id), 0)
                else part end as amount
    from shared
),
kept as (  -- one without money has no hours either
    select *, row_number() over (partition by charge_id
                                 order by amount = 0, not takes_residue, payer_id collate "C" nulls first) as place
    from paid
),
timed as (
    select line.charge_id as whole_id, kept.payer_id as paid_by, kept.amount as paid, kept.place,
           case when place > 1 then round(line.minutes * ratio) end as minutes_paid,
           case when place > 1 then billing.minutes_worth(kept.amount, line.hourly_rate, line.day_rate, line.hours_per_day)
               end as billed_paid
    from line join kept using (charge_id)
    where kept.amount <> 0 or place = 1
),
part as (
    select *, coalesce(minutes_paid, minutes - coalesce(sum(minutes_paid) over whole, 0)) as own_minutes,
           coalesce(billed_paid, billed_minutes - coalesce(sum(billed_paid) over whole, 0)) as own_billed,
           line.seq - 1 + row_number() over (whole order by paid_by collate "C" nulls first) as own_seq
    from timed join line on line.charge_id = whole_id
    window whole as (partition by whole_id)
),
gone as (
    delete from billing_difference where charge_id in (select charge_id from line)
),
named as (
    select *, entry_key || '.' || version || case component when 'overtime' then '/overtime' else '' end
                  || coalesce('/' || nullif(own_seq, 1), '') as first_id
    from part
),
voided as (
    select regexp_replace(charge_id, '~\d+$', '') as first_id, count(*) as times from billing.void_charge group by 1
)
insert into billing_difference
select first_id || coalesce('~' || (voided.times + 1), ''), kind, source, entry_key, time_entry_id, expense_entry_id, version,
       project_code, worked_on, role, own_minutes, hourly_rate, category, cost, cost_currency, fx_rate, paid, currency,
       item_id, component, own_seq, resource_id, contract_line, entry_minutes, own_billed, whole_minutes, whole_amount,
       billable_cost, markup_pct, rate_id, terms_version, adjustment_id, order_id, accounting_on, day_rate, hours_per_day,
       overtime_id, reason, paid_by, of_split, tax_id
from named
left join voided using (first_id)
