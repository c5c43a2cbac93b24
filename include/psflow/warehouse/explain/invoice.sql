-- Invoices with whom they are for, their document in the ERP, and how their batch was decided.
select invoice.invoice_key, invoice.batch_id, invoice.invoiced_on, invoice.amount, invoice.currency::text,
       invoice.project_code, project.name as project, project.engagement_id, customer.name as customer,
       batch.period, batch.content_hash, batch.legal_entity_id, void.voided_at, document.system, document.external_id,
       erp.number, erp.state, erp.untaxed_amount, erp.total_amount, contract.tax_treatment, deal.tax_treatment as said_of_tax,
       plan.plan_hash
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
