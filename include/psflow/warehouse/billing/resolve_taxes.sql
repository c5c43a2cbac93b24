-- Projects of the batch's legal entity that no invoice of it waits for a tax of any more.
update ops.exceptions exception set state = 'resolved', resolved_at = clock_timestamp()
where state = 'open' and rule = 'tax' and entity = 'project' and record_id <> all(%(untaxed)s)
  and exists (select from core.project join core.contract using (engagement_id) join billing.batch using (legal_entity_id)
              where project_code = exception.record_id and batch_id = %(batch)s)
