-- One invoice a project; the table's trigger asks for gate and approval of this very content.
insert into billing.invoice (
    invoice_key, batch_id, project_code, legal_entity_id, currency, invoiced_on, amount, tax_amount)
select batch_id || '.' || project_code, batch_id, project_code, batch.legal_entity_id, currency, batch.invoiced_on, sum(taxable),
       sum(tax)
from billing.batch_tax
join billing.batch using (batch_id)
where batch_id = %(batch)s
group by batch_id, project_code, batch.legal_entity_id, currency, batch.invoiced_on
