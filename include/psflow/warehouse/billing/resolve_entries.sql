-- An entry that has its price now, or was held once and is not to be billed any more, needs nobody.
update ops.exceptions exception set state = 'resolved', resolved_at = clock_timestamp()
where state = 'open' and rule in ('rate', 'billing') and entity in ('time_entry', 'expense_entry')
  and not exists (  -- one the batch gate held comes to it again
      select from billing_difference line
      where (line.source || '_entry', coalesce(line.time_entry_id, line.expense_entry_id)) = (entity, record_id)
        and case rule when 'rate' then line.kind = 'unrated' else line.kind <> 'reversal' end)
  and not exists (  -- of another legal entity or other days: not in this difference
      select from billing.passed_entry entry
      where (entry.source || '_entry', coalesce(entry.time_entry_id, entry.expense_entry_id)) = (entity, record_id)
        and entry.is_to_bill and (entry.legal_entity_id <> %(entity)s or entry.worked_on > %(until)s
                                 or entry.worked_on < %(since)s::date))
