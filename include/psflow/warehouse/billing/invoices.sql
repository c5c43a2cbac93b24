-- One invoice a project and payer; the table's trigger asks for gate and approval of this very content.
insert into billing.invoice (
    invoice_key, batch_id, project_code, payer_id, legal_entity_id, currency, invoiced_on, amount, tax_amount)
select billing.invoice_key(batch_id, project_code, payer_id), batch_id, project_code, payer_id, batch.legal_entity_id, currency,
       batch.invoiced_on, sum(taxable), sum(tax)
from billing.batch_tax
join billing.batch using (batch_id)
where batch_id = %(batch)s
group by batch_id, project_code, payer_id, batch.legal_entity_id, currency, batch.invoiced_on
