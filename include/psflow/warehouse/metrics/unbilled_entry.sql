-- Approved billable hours, expenses at cost and contracts' items on no invoice, entry by entry, with the reason; the rows behind finance.unbilled.
-- id:     unbilled_entry.v2
-- grain:  time or expense entry or item, project and day that differ from what was invoiced
-- unit:   hours; money in the contract's currency; days
-- owner:  finance
-- source: finance.earned_entry, billing.counted_charge, billing.batch_content, billing.batch, core.time_entry,
--         core.time_entry_head, core.expense_entry, core.expense_entry_head, core.time_load, billing.left_out,
--         ops.exceptions
create or replace view finance.unbilled_entry as
with invoiced as (
    select source as kind, coalesce(time_entry_id, expense_entry_id, item_id) as source_id, project_code, worked_on, currency,
           coalesce(sum(minutes), 0) / 60.0 as hours, sum(amount) as amount
    from billing.counted_charge
    group by source, source_id, project_code, worked_on, currency
),
compared as (  -- both sides at once, whichever there is
    select kind, source_id, project_code, worked_on, earned.load_id, earned.missing,
           earned.currency, earned.hours, earned.amount, coalesce(not earned.is_opening, false) as is_earned,
           invoiced.currency as invoiced_currency, coalesce(invoiced.hours, 0) as invoiced_hours,
           coalesce(invoiced.amount, 0) as invoiced_amount
    from finance.earned_entry earned
    full join invoiced using (kind, source_id, project_code, worked_on)
),
gap as (
    select kind, source_id, load_id, project_code, worked_on, currency, missing,
           hours - case when missing is null then invoiced_hours else 0 end as hours,
           amount - invoiced_amount as amount, false as is_held
    from compared
    where is_earned and (missing is not null or amount <> invoiced_amount)
    union all  -- invoiced, and not to be billed like that any more
    select kind, source_id, null, project_code, worked_on, invoiced_currency, null, -invoiced_hours, -invoiced_amount, false
    from compared
    where invoiced_amount <> 0 and not (is_earned and missing is null)
    union all  -- never passed the gate of its load: hours are said, money is not
    select 'time', time_entry_id, load_id, project_code, worked_on, null, null, minutes / 60.0, null, true
    from core.time_entry_head
    join core.time_entry using (time_entry_id)
    where version = latest_version and state = 'held' and passed_version is null and is_approved and is_billable
    union all
    select 'expense', expense_entry_id, load_id, project_code, spent_on, null, null, 0, null, true
    from core.expense_entry_head
    join core.expense_entry using (expense_entry_id)
    where version = latest_version and state = 'held' and passed_version is null and is_approved and is_billable
),
batch as (
    select content.source as kind, coalesce(content.time_entry_id, content.expense_entry_id, content.item_id) as source_id,
           max(content.batch_id) as batch_id
    from billing.batch_content content
    join billing.batch using (batch_id)
    where batch.state in ('frozen', 'checked', 'submitted', 'approved')
    group by content.source, source_id
),
held as (
    select entity, record_id from ops.exceptions where state <> 'resolved' and rule in ('billing', 'tax')
    union
    select source || '_entry', regexp_replace(entry_key, '^expense:', '') from billing.left_out
    where starts_with(reason, 'PURCHASE_ORDER')
)
select gap.kind, gap.source_id, project.engagement_id, contract.legal_entity_id, gap.project_code, gap.worked_on,
       case when gap.missing is not null then 'no rate'
            when gap.is_held or held_entry.record_id is not null or held_project.record_id is not null then 'held'
            when gap.amount < 0 then 'credit'
            when exists (
                select from billing.batch posted
                where posted.legal_entity_id = contract.legal_entity_id and posted.state = 'posted'
                  and load.loaded_at > posted.frozen_at
                  and gap.worked_on < (posted.period || '-01')::date + interval '1 month') then 'late'
            else 'waiting batch' end as reason,
       round(gap.hours, 4) as hours, gap.amount, coalesce(gap.currency, contract.currency) as currency, current_date - gap.worked_on as age_days, batch.batch_id
from gap
left join core.project using (project_code)
left join core.contract using (engagement_id)
left join batch using (kind, source_id)
left join held held_entry on (held_entry.entity, held_entry.record_id) = (gap.kind || '_entry', gap.source_id)
left join held held_project on (held_project.entity, held_project.record_id) = ('project', gap.project_code)
left join core.time_load load using (load_id);
comment on column finance.unbilled_entry.kind is 'time, expense or item.';
comment on column finance.unbilled_entry.source_id is 'The entry as the PSA knows it; the item by its contract, term and part.';
comment on column finance.unbilled_entry.engagement_id is 'The won deal; null when the entry is on no project of ours.';
comment on column finance.unbilled_entry.legal_entity_id is 'The company of ours that invoices.';
comment on column finance.unbilled_entry.project_code is 'The project; null when the entry is on none of ours.';
comment on column finance.unbilled_entry.worked_on is 'Day of the work or the expense.';
comment on column finance.unbilled_entry.reason is
    'no rate: there is no price, or two of one rank, or nobody has the exchange rate of an expense; held: a gate, a purchase order, a missing tax or a waiting credit holds it; credit: less is to be billed than was; late: it came, or changed, after its month was billed; waiting batch: the next or the open batch bills it.';
comment on column finance.unbilled_entry.hours is 'Hours to bill less hours invoiced; below zero for a credit.';
comment on column finance.unbilled_entry.amount is 'Money to bill less money invoiced, in currency; null while nobody can say, never 0.';
comment on column finance.unbilled_entry.currency is 'Currency of the contract.';
comment on column finance.unbilled_entry.age_days is 'Calendar days since the work.';
comment on column finance.unbilled_entry.batch_id is 'The open batch that would bill it; null when none does yet.';
