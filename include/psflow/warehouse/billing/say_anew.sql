-- What was said of entries that this run looks at, or that are of its days, is said anew.
delete from billing.left_out
where legal_entity_id = %(entity)s
  and (worked_on <= %(until)s and worked_on >= coalesce(%(since)s::date, '-infinity')
       or entry_key in (select entry_key from billing_work))
