-- Hours that wait, as far as it is not said yet.
insert into billing.transfer_waiting (time_entry_id, version, reason, lender, borrower, project_code, worked_on, minutes)
select time_entry_id, version, reason, lender, borrower, project_code, worked_on, minutes
from transfer_hour where reason is not null
on conflict do nothing
