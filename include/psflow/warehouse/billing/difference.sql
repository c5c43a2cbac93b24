-- billing: what should be billed up to a day, less what was billed.
-- grain: entry version; kind charge, reversal, or unrated (a charge without a price: held, never 0)
-- unit:  minutes; amount in the contract's currency, rounded once per entry, half away from zero
-- reads: core.time_entry, core.time_entry_head, core.project, core.contract, core.rate, billing.live_charge,
--        billing.void_charge
-- owner: finance
with project as (
    select project.project_code, contract.rate_card_id, contract.currency
    from core.project
    join core.contract using (engagement_id)
    where contract.legal_entity_id = %(entity)s
),
billable as (
    select entry.time_entry_id, entry.version, entry.project_code, entry.worked_on, entry.billed_role as role,
           entry.minutes, project.rate_card_id, project.currency
    from core.time_entry_head head
    join core.time_entry entry on (entry.time_entry_id, entry.version) = (head.time_entry_id, head.passed_version)
    join project using (project_code)
    where entry.is_approved and entry.is_billable and entry.minutes <> 0 and entry.worked_on <= %(until)s
),
billed as (
    select charge.*
    from billing.live_charge charge
    join project using (project_code)
),
last as (  -- an entry that moved may have two live charges for a while; the newest is what it is compared with
    select distinct on (time_entry_id) * from billed order by time_entry_id, version desc
),
compared as (
    select billable.*, billed.charge_id as billed_id,
           (billed.project_code, billed.worked_on, billed.role, billed.minutes)
               is not distinct from (billable.project_code, billable.worked_on, billable.role, billable.minutes) as is_same,
           case when (billed.project_code, billed.worked_on, billed.role)
                         is not distinct from (billable.project_code, billable.worked_on, billable.role)
                then billed.hourly_rate  -- corrected hours keep the price they were invoiced at
                else rate.hourly_rate end as hourly_rate
    from billable
    left join last billed using (time_entry_id)
    left join core.rate on rate.rate_card_id = billable.rate_card_id and rate.role = billable.role
        and billable.worked_on >= rate.valid_from and (rate.valid_to is null or billable.worked_on <= rate.valid_to)
),
line as (
    select time_entry_id || '.' || version as first_id,
           case when hourly_rate is null then 'unrated' else 'charge' end as kind,
           time_entry_id, version, project_code, worked_on, role, minutes, hourly_rate,
           billing.round_money(minutes * hourly_rate / 60, currency) as amount, currency
    from compared
    where not is_same
    union all
    select billed.charge_id || '.R', 'reversal', billed.time_entry_id, billed.version, billed.project_code,
           billed.worked_on, billed.role, -billed.minutes, billed.hourly_rate, -billed.amount, billed.currency
    from billed
    left join compared on compared.billed_id = billed.charge_id
    where (compared.billed_id is null
           -- a later month's charge is not taken back because an earlier month is billed
           and (billed.worked_on <= %(until)s
                or exists (select from billable where billable.time_entry_id = billed.time_entry_id)))
       or (not compared.is_same and compared.hourly_rate is not null)
),
voided as (  -- billed before, on invoices that were voided
    select regexp_replace(charge_id, '~\d+$', '') as first_id, count(*) as times
    from billing.void_charge
    group by 1
)
insert into billing_difference
select line.first_id || coalesce('~' || (voided.times + 1), ''), line.kind, line.time_entry_id, line.version,
       line.project_code, line.worked_on, line.role, line.minutes, line.hourly_rate, line.amount, line.currency
from line
left join voided using (first_id)
