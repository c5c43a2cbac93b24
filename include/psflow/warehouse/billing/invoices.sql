-- One invoice a project; the table's trigger asks for gate and approval of this very content.
insert into billing.invoice (invoice_key, batch_id, project_code, legal_entity_id, currency, invoiced_on, amount)
select batch_id || '.' || project_code, batch_id, project_code, batch.legal_entity_id, currency, batch.invoiced_on, sum(amount)
from billing.batch_content
join billing.batch using (batch_id)
where batch_id = %(batch)s
group by batch_id, project_code, batch.legal_entity_id, currency, batch.invoiced_on
