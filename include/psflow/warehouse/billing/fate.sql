-- Which charges do not stand any more: of what is not to be billed, or has other facts now. They wait while those have no price.
update billing_live live set fate = judged.fate, adjustment_id = coalesce(judged.credit_id, live.adjustment_id)
from (
    select charge_id, credit.credit_id,
           case when work.entry_key is null then
                     case when live.worked_on <= %(until)s and live.worked_on >= coalesce(%(since)s::date, '-infinity')
                          then 'reversed' else 'waits' end
                when (live.project_code, live.worked_on, live.role, live.category, live.cost, live.cost_currency,
                      coalesce(live.entry_minutes, live.minutes), coalesce(live.resource_id, work.resource_id),
                      case when live.entry_minutes is null then work.contract_line else live.contract_line end)
                     is not distinct from
                     (work.project_code, work.worked_on, work.role, work.category, work.cost, work.cost_currency,
                      work.minutes, work.resource_id, work.contract_line)
                     and (live.source <> 'item' or live.whole_amount = work.whole_amount)
                     and (seen.quantity, seen.recoverable_tax) is not distinct from (now.quantity, now.recoverable_tax)
                    then case when credit.credit_id is null then 'stays' else 'credited' end
                when work.reason is null then 'reversed' else 'waits' end as fate
    from billing_live live
    left join billing_work work using (entry_key, component)
    left join core.expense_entry seen on (seen.expense_entry_id, seen.version) = (live.expense_entry_id, live.version)
    left join core.expense_entry now on (now.expense_entry_id, now.version) = (work.expense_entry_id, work.version)
    left join (  -- the oldest that is not in the ledger yet, or of which one payer's document was cancelled
        select distinct on (entry_key, component) entry_key, component, adjustment_id as credit_id, payer_id, charges
        from (select *, null::text[] as charges from billing.adjustment
              where kind = 'credit' and not exists (select from billing.counted_charge done
                                                    where done.adjustment_id = adjustment.adjustment_id)
              union all
              select adjustment.*, void.charges
              from billing.adjustment
              join (select adjustment_id, array_agg(reverses) as charges from billing.void_charge void
                    where adjustment_id is not null and kind = 'reversal'
                      and not exists (select from billing.counted_charge done where done.reverses = void.reverses)
                    group by adjustment_id) void using (adjustment_id)) open
        order by entry_key, component, adjustment_id, charges nulls first) credit
        on (credit.entry_key, credit.component) = (live.entry_key, live.component)
        and coalesce(credit.payer_id = coalesce(live.payer_id, work.customer_id), credit.payer_id is null)
        and coalesce(live.charge_id = any(credit.charges), credit.charges is null)
) judged
where judged.charge_id = live.charge_id
