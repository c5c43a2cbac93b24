-- Terms of a legal entity's contracts that can be read, and whose costs are known, need nobody.
update ops.exceptions exception set state = 'resolved', resolved_at = clock_timestamp()
where state = 'open' and rule = 'rate' and entity = 'contract_term' and record_id <> all(%(terms)s)
  and exists (select from core.contract
              where legal_entity_id = %(entity)s and starts_with(exception.record_id, contract_id || ':'))
