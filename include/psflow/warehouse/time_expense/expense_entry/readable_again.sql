-- An expense that came out of shape once and was read well now needs nobody any more.
update ops.exceptions set state = 'resolved', resolved_at = clock_timestamp()
where state = 'open' and rule = 'record' and entity = 'expense_entry' and message like %(system)s || ':%%'
  and exists (select from entry_staging where entry_staging.expense_entry_id = exceptions.record_id)
