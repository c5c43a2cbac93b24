-- The taxes of each invoice, with the VAT id of its buyer as it is today.
insert into billing.invoice_tax (
    invoice_key, category, rate_pct, reason_code, reason, rounding, taxable, tax, buyer_vat_id)
select invoice_key, category, rate_pct, reason_code, reason, rounding, taxable, tax, vat_id
from billing.batch_tax
join billing.invoice using (batch_id, project_code)
join core.project using (project_code)
join core.customer on customer.customer_id = coalesce(invoice.payer_id, project.customer_id)
where batch_id = %(batch)s and invoice.payer_id is not distinct from batch_tax.payer_id
