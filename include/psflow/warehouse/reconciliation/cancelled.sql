-- Invoices whose posted document was cancelled in the ERP; is_open: none of the months in which they count is closed.
select invoice.invoice_key, erp.erp_invoice_id, project.engagement_id,
       not exists (select from core.period
                   where period.legal_entity_id = invoice.legal_entity_id and closed_at is not null
                     and period = to_char(invoice.invoiced_on, 'YYYY-MM')) as is_open
from billing.live_invoice invoice
join core.project using (project_code)
join ops.crosswalk known on (known.kind, known.entity_id) = ('invoice', invoice.invoice_key)
join core.erp_invoice erp on (erp.erp_invoice_id, erp.reference) = (known.external_id, invoice.invoice_key)
join ops.effect posted on posted.batch_id = invoice.batch_id and posted.capability = 'post_invoice'
    and posted.payload ->> 'invoice_key' = invoice.invoice_key and posted.state = 'done'
where erp.state = 'cancelled'
order by invoice.invoice_key
