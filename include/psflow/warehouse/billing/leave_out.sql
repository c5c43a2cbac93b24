-- What this batch does not bill of its entries, and why: said anew for the legal entity.
with open as (
    select work.*, owed.cap_id, owed.minutes - case when owed.take = owed.amount then owed.minutes
               else trunc(work.minutes * owed.take / nullif(owed.whole_amount, 0)) end as over_minutes,
           owed.amount - owed.take as over_amount, owed.adjustment_id
    from billing_owed owed join billing_work work using (entry_key)
)
insert into billing.left_out (
    entry_key, reason, source, legal_entity_id, project_code, worked_on, minutes, cost, amount, currency, cap_id)
select entry_key, 'over_cap', source, %(entity)s, project_code, worked_on, over_minutes,
       cost * over_amount / nullif(whole_amount, 0), over_amount, currency, cap_id
from open where over_amount <> 0
union all
select adjustment.entry_key, 'written_off', work.source, %(entity)s, work.project_code, work.worked_on,
       round(sum(adjustment.minutes)), null, sum(adjustment.amount), work.currency, null
from billing.adjustment join billing_work work using (entry_key)
where kind = 'write_off'
group by adjustment.entry_key, work.source, work.project_code, work.worked_on, work.currency
union all
select work.entry_key, 'credited', work.source, %(entity)s, work.project_code, work.worked_on,
       max(work.minutes) - coalesce(max(open.minutes), 0), null, max(live.whole_amount) - coalesce(max(open.amount), 0), work.currency, null
from billing_live live join billing_work work using (entry_key)
left join (select owed.entry_key, owed.minutes, owed.amount from billing_owed owed where adjustment_id is not null) open using (entry_key)
where live.fate = 'credited'
group by work.entry_key, work.source, work.project_code, work.worked_on, work.currency
union all
select entry_key, reason, source, %(entity)s, project_code, worked_on, minutes, cost, null, currency, null
from billing_difference where kind = 'unrated'
