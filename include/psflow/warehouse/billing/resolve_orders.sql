-- What of this legal entity waits for no purchase order any more needs nobody.
update ops.exceptions exception set state = 'resolved', resolved_at = clock_timestamp()
where state = 'open' and rule = 'billing' and entity = 'purchase_order'
  and record_id || ' ' || field <> all(%(waiting)s)
  and exists (select from core.contract left join billing.purchase_order using (contract_id)
              where legal_entity_id = %(entity)s and exception.record_id in (contract_id, order_id))
