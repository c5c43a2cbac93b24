-- A fee names no entry: it is the item of its project that comes to as much, each item once.
update shadow_billed billed set entry_key = item.entry_key, worked_on = item.worked_on
from (
    select entry_key, worked_on, project_code, currency, amount,
           row_number() over (partition by project_code, currency, amount order by worked_on, entry_key) as place
    from shadow_should where source = 'item'
) item,
(
    select system, bill_id, line_id, project_code, currency, amount,
           row_number() over (partition by project_code, currency, amount order by billed_on, bill_id, line_id) as place
    from shadow_billed where entry_key is null and minutes is null and line_id <> '-'
) fee
where (fee.project_code, fee.currency, fee.amount, fee.place) = (item.project_code, item.currency, item.amount, item.place)
  and (billed.system, billed.bill_id, billed.line_id) = (fee.system, fee.bill_id, fee.line_id)
