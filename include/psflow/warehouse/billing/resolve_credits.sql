-- A project of this legal entity whose hours exceed its credits again.
update ops.exceptions exception set state = 'resolved', resolved_at = clock_timestamp()
where state = 'open' and rule = 'billing' and entity = 'project' and record_id <> all(%(credits)s)
  and %(since)s::date is null  -- a run that left out earlier days cannot tell
  and not exists (select from billing.live_charge later
                  where later.project_code = exception.record_id and later.worked_on > %(until)s)
  and exists (select from core.project join core.contract using (engagement_id)
              where project_code = exception.record_id and legal_entity_id = %(entity)s)
