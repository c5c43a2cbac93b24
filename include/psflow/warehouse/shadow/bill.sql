-- One bill as it is now; one that changed is taken whole.
insert into core.bill (system, instance, bill_id, made_by, number, state, currency, billed_on, balance, tax_pct, modified_at)
values (%(system)s, %(instance)s, %(bill_id)s, %(made_by)s, %(number)s, %(state)s, %(currency)s, %(billed_on)s, %(balance)s,
        %(tax_pct)s, %(modified_at)s)
on conflict (system, instance, bill_id) do update set
    number = excluded.number, state = excluded.state, currency = excluded.currency, billed_on = excluded.billed_on,
    balance = excluded.balance, tax_pct = excluded.tax_pct, modified_at = excluded.modified_at
