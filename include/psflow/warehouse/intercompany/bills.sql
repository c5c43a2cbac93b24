-- What hours are billed at, whole: with overtime and steps, before caps and credits, whoever pays.
insert into transfer_bill
select entry_key, project_code, worked_on, role, sum(part_minutes), sum(part_amount), currency
from (
    select distinct on (entry_key, component) entry_key, project_code, worked_on, role, currency,
           coalesce(entry_minutes, minutes) as part_minutes, coalesce(whole_amount, amount) as part_amount
    from billing.live_charge
    where source = 'time'
    order by entry_key, component, version desc, seq desc) part
group by entry_key, project_code, worked_on, role, currency
on conflict do nothing
