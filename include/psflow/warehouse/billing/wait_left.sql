-- Say of entries that several customers pay, and of which a part waits, what the ledger will lack or have too much of them.
-- grain: entry; minutes, cost: what its newest version that is billed is worth, less what will stand in the ledger
with stands as (
    select entry_key, version, minutes, cost, amount, whole_amount from billing_live
    where charge_id not in (select regexp_replace(charge_id, '\.R(~\d+)?$', '') from billing_difference where kind = 'reversal')
    union all
    select entry_key, version, minutes, cost, amount, whole_amount from billing_difference where kind = 'charge'
),
after as (
    select entry_key, max(version) as version, sum(minutes) as minutes,
           sum(cost * abs(amount / nullif(whole_amount, 0))) as cost
    from stands where entry_key in (select entry_key from billing_waits) group by entry_key
)
insert into billing_left (
    entry_key, reason, source, legal_entity_id, project_code, worked_on, minutes, cost, amount, currency)
select entry_key, 'CREDIT_WAITS', source, %(entity)s, min(waits.project_code), min(waits.worked_on),
       max(hour.minutes) - max(after.minutes), max(spent.amount) - max(after.cost), sum(waits.amount), waits.currency
from billing_waits waits
join after using (entry_key)
left join core.time_entry hour on (hour.time_entry_id, hour.version) = (waits.time_entry_id, after.version)
left join core.expense_entry spent on (spent.expense_entry_id, spent.version) = (waits.expense_entry_id, after.version)
where source <> 'item'
group by entry_key, source, waits.currency
