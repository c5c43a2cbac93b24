-- What was said of hours that wait, and is not so any more.
delete from billing.transfer_waiting said
where not exists (
    select from transfer_hour hour
    where hour.time_entry_id = said.time_entry_id and hour.reason = said.reason
      and (hour.version, hour.lender, hour.borrower, hour.project_code, hour.worked_on, hour.minutes)
          is not distinct from (said.version, said.lender, said.borrower, said.project_code, said.worked_on, said.minutes))
