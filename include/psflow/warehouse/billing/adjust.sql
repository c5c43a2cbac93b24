-- One decision about one part of an entry; the table refuses one person on both sides.
insert into billing.adjustment (
    kind, entry_key, component, minutes, amount, currency, decided_on, reason, asked_by, approved_by, payer_id)
values (%(kind)s, %(entry)s, %(component)s, %(minutes)s, %(amount)s, %(currency)s, %(on)s, %(reason)s, %(asked_by)s,
        %(approved_by)s, %(payer)s)
returning adjustment_id
