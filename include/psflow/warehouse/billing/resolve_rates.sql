-- An hour that has a rate now, was billed, or is no longer to be billed needs nobody any more.
update ops.exceptions exception set state = 'resolved', resolved_at = clock_timestamp()
where state = 'open' and rule = 'rate' and entity = 'time_entry'
  and not exists (
      select
      from core.time_entry_head head
      join core.time_entry entry on (entry.time_entry_id, entry.version) = (head.time_entry_id, head.passed_version)
      join core.project using (project_code)
      left join core.rate on rate.rate_card_id = project.rate_card_id and rate.role = entry.billed_role
          and entry.worked_on >= rate.valid_from and (rate.valid_to is null or entry.worked_on <= rate.valid_to)
      where head.time_entry_id = exception.record_id and entry.is_approved and entry.is_billable and entry.minutes <> 0
        and rate.rate_card_id is null)
