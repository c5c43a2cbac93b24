-- What our own ledger bills of each entry, on invoices that count: charges less what was taken back.
insert into shadow_billed (
    system, bill_id, line_id, entry_key, project_code, worked_on, billed_on, billed_at, is_final, minutes, billed_minutes,
    hourly_rate, rate_id, fx_rate, amount, currency, says)
select 'psflow', (array_agg(invoice_key order by frozen_at desc))[1], entry_key, entry_key,
       (array_agg(project_code order by frozen_at desc, kind))[1], (array_agg(worked_on order by frozen_at desc, kind))[1],
       min(batch.invoiced_on), min(frozen_at), true, sum(minutes), sum(coalesce(billed_minutes, minutes)),
       (array_agg(hourly_rate order by frozen_at desc, kind, component desc))[1],
       (array_agg(rate_id order by frozen_at desc, kind, component desc))[1],
       (array_agg(fx_rate order by frozen_at desc, kind))[1], sum(charge.amount), charge.currency,
       coalesce((array_agg(category order by frozen_at desc, kind))[1], (array_agg(role order by frozen_at desc, kind))[1])
from billing.counted_charge charge
join billing.batch using (batch_id)
join billing.invoice using (batch_id, project_code)
join core.project using (project_code)
join core.contract using (engagement_id)
where contract_id = any(%(contracts)s) and worked_on between %(since)s and %(until)s
  and invoice.payer_id is not distinct from charge.payer_id
  and billing.number_owner(contract.legal_entity_id, contract_id) = 'psflow'
group by entry_key, charge.currency
having sum(charge.amount) <> 0
