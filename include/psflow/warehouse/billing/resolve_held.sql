-- An entry its batch gate held once and that is not to be billed any more needs nobody; one that is comes to the gate again.
update ops.exceptions exception set state = 'resolved', resolved_at = clock_timestamp()
where state = 'open' and rule = 'billing' and entity = 'time_entry'
  and not exists (select from billing_difference line
                  where line.time_entry_id = exception.record_id and line.kind <> 'reversal')
  and not exists (  -- of another legal entity or a later month: not in this difference
      select
      from core.time_entry_head head
      join core.time_entry entry on (entry.time_entry_id, entry.version) = (head.time_entry_id, head.passed_version)
      join core.project using (project_code)
      join core.contract using (engagement_id)
      where head.time_entry_id = exception.record_id and entry.is_approved and entry.is_billable and entry.minutes <> 0
        and (contract.legal_entity_id <> %(entity)s or entry.worked_on > %(until)s))
