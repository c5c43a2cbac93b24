-- The lines of the bills that other systems make for some contracts, and what such a bill asks for beyond its lines. A line
-- that names no entry we know is of the last day its bill has, or of the bill's own.
with line as (
    select bill.*, line.line_id, line.kind, line.minutes, line.hourly_rate, line.amount, line.says,
           case line.kind when 'time' then entry_id when 'expense' then 'expense:' || entry_id end as entry_key,
           coalesce(line.project_code, entry.project_code,
                    (select max(beside.project_code) from core.bill_line beside
                     where (beside.system, beside.instance, beside.bill_id) = (bill.system, bill.instance, bill.bill_id)))
               as project_code, entry.worked_on,
           max(entry.worked_on) over (partition by bill.system, bill.instance, bill.bill_id) as last_day
    from core.bill
    join core.bill_line line using (system, instance, bill_id)
    left join billing.passed_entry entry
        on entry.entry_key = case line.kind when 'time' then entry_id when 'expense' then 'expense:' || entry_id end
    where state <> 'cancelled'
      and not exists (select from billing.invoice ours where ours.invoice_key = bill.number)
),
theirs as (
    select line.*
    from line
    join core.project using (project_code)
    join core.contract using (engagement_id)
    where coalesce(line.worked_on, last_day, billed_on) between coalesce(%(since)s::date, '-infinity') and %(until)s
      and contract_id = any(%(contracts)s)
      and made_by = coalesce(nullif(billing.number_owner(legal_entity_id, contract_id), 'psflow'), made_by)
)
insert into shadow_billed (
    system, bill_id, line_id, entry_key, project_code, worked_on, billed_on, billed_at, is_final, minutes, billed_minutes,
    hourly_rate, amount, currency, says)
select system, bill_id, line_id, entry_key, project_code, worked_on, billed_on, modified_at, state = 'open', minutes,
       minutes, hourly_rate, amount, currency, says
from theirs
union all
select system, bill_id, '-', null, max(project_code), null, max(billed_on), max(modified_at), true, null, null, null,
       balance - billing.round_money(sum(amount) * (1 + coalesce(tax_pct, 0) / 100), currency), currency,
       'asked for beyond its lines'
from theirs
where state = 'open'
group by system, instance, bill_id, balance, tax_pct, currency
having bool_and(amount is not null)
   and count(*) = (select count(*) from core.bill_line every
                   where (every.system, every.instance, every.bill_id) = (theirs.system, theirs.instance, theirs.bill_id))
   and balance > billing.round_money(sum(amount) * (1 + coalesce(tax_pct, 0) / 100), currency)
