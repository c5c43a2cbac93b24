-- Where what was posted is not what was planned: the ledger's invoices and lines, and the ERP's documents that were read.
with billed as (
    select distinct batch_id from billing.invoice
),
planned as (
    select batch_id, invoice_key, currency, amount, tax
    from billed join billing.plan using (batch_id)
    cross join json_to_recordset(plan -> 'invoices') as said (invoice_key text, currency text, amount numeric, tax numeric)
),
planned_line as (
    select batch_id, line_key, currency, amount
    from billed join billing.plan using (batch_id)
    cross join json_to_recordset(plan -> 'lines') as said (line_key text, currency text, amount numeric)
),
compared as (
    select coalesce(planned.batch_id, invoice.batch_id) as batch_id, 'invoice' as what, invoice_key as key,
           planned.amount as planned, planned.currency as planned_in, invoice.amount as found, invoice.currency::text as found_in
    from planned full join billing.invoice using (invoice_key)
    union all
    select coalesce(planned_line.batch_id, invoice.batch_id), 'invoice line', line_key, planned_line.amount,
           planned_line.currency, line.amount, invoice.currency::text
    from planned_line
    full join (billing.invoice_line line join billing.invoice using (invoice_key)) using (line_key)
    union all
    select batch_id, 'tax of an invoice', invoice_key, planned.tax, planned.currency, tax_amount, invoice.currency::text
    from planned join billing.invoice using (batch_id, invoice_key)
    union all
    select planned.batch_id, 'tax in the ERP', invoice_key, planned.tax, planned.currency, erp.tax_amount, erp.currency::text
    from planned
    join billing.live_invoice using (invoice_key)
    join ops.crosswalk document on (document.kind, document.entity_id) = ('invoice', invoice_key)
    join core.erp_invoice erp on erp.erp_invoice_id = document.external_id and erp.state in ('posted', 'paid')
    where planned.tax is not null
    union all
    select planned.batch_id, 'document in the ERP', invoice_key, planned.amount, planned.currency, erp.untaxed_amount,
           erp.currency::text
    from planned
    join billing.live_invoice using (invoice_key)
    join ops.crosswalk document on (document.kind, document.entity_id) = ('invoice', invoice_key)
    join core.erp_invoice erp on erp.erp_invoice_id = document.external_id and erp.state in ('posted', 'paid')
)
select batch_id, what, key, billing.money_text(planned, planned_in) as planned, billing.money_text(found, found_in) as found
from compared
where (planned, planned_in) is distinct from (found, found_in)
order by batch_id, what, key
