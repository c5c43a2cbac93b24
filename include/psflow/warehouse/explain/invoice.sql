-- Invoices with whom they are for, their document in the ERP, and how their batch was decided.
select invoice.invoice_key, invoice.batch_id, invoice.invoiced_on, invoice.amount, invoice.currency::text,
       invoice.project_code, project.name as project, project.engagement_id, customer.name as customer,
       batch.period, batch.content_hash, batch.legal_entity_id, void.voided_at, document.system, document.external_id,
       erp.number, erp.state, erp.untaxed_amount, erp.total_amount, contract.tax_treatment, deal.tax_treatment as said_of_tax,
       plan.plan_hash, invoice.tax_amount, invoice.gross_amount, erp.tax_amount as erp_tax_amount, customer.country,
       (select string_agg(distinct billing.shares_text(split_id), '; ') from billing.invoice_line join billing.charge using (line_key)
        where invoice_line.invoice_key = invoice.invoice_key and split_id is not null) as shares,
       (select json_agg(json_build_object('category', category, 'rate_pct', trim_scale(rate_pct)::text, 'reason', reason,
                                          'reason_code', reason_code, 'taxable', taxable::text, 'tax', tax::text,
                                          'buyer_vat_id', buyer_vat_id) order by category, rate_pct, reason_code)
        from billing.invoice_tax taxed where taxed.invoice_key = invoice.invoice_key) as taxes
from billing.invoice
join billing.batch using (batch_id)
join core.project using (project_code)
join core.customer on customer.customer_id = coalesce(invoice.payer_id, project.customer_id)
left join core.contract using (engagement_id)
left join core.engagement using (engagement_id)
left join core.opportunity deal using (opportunity_id)
left join billing.void_invoice void using (invoice_key)
left join billing.plan using (batch_id)
left join ops.crosswalk document on (document.kind, document.entity_id) = ('invoice', invoice_key)
left join core.erp_invoice erp on erp.erp_invoice_id = document.external_id
where invoice_key = any(%(keys)s)
