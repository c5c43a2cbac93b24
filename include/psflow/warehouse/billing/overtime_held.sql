-- An hour with overtime is priced whole or waits whole.
update billing_work work set reason = held.reason, whole_amount = null
from billing_work held
where held.entry_key = work.entry_key and held.component <> work.component and held.reason is not null
  and work.reason is null and held.entry_key in (select entry_key from billing_part)
