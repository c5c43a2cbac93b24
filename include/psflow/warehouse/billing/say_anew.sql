-- What was said of entries that this run looks at, or that are of its days, and is not so any more.
delete from billing.left_out said
where (legal_entity_id = %(entity)s and worked_on <= %(until)s and worked_on >= coalesce(%(since)s::date, '-infinity')
       or entry_key in (select entry_key from billing_work))
  and not exists (
      select from billing_left still
      where still.entry_key = said.entry_key and still.reason = said.reason
        and (still.source, still.legal_entity_id, still.project_code, still.worked_on, still.minutes, still.cost, still.amount,
             still.currency, still.cap_id, still.new_version)
            is not distinct from
            (said.source, said.legal_entity_id, said.project_code, said.worked_on, said.minutes, said.cost, said.amount,
             said.currency, said.cap_id, said.new_version))
