-- The hours of a voided invoice were judged again: they are in the new batch, or an exception of their own says why not.
update ops.exceptions exception set state = 'resolved', resolved_at = clock_timestamp()
from billing.void_invoice void
join billing.invoice using (invoice_key)
where exception.state = 'open' and exception.rule = 'billing' and exception.entity = 'invoice'
  and exception.record_id = void.invoice_key and invoice.legal_entity_id = %(entity)s
  and not exists (select from billing.charge
                  where (charge.batch_id, charge.project_code) = (invoice.batch_id, invoice.project_code)
                    and charge.worked_on > %(until)s)
