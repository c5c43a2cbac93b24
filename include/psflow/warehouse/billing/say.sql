-- What this batch does not bill, as far as it is not said yet.
insert into billing.left_out select * from billing_left on conflict (entry_key, reason) do nothing
