-- An invoice whose draft was cancelled counts as never made, unless it is posted or may be.
insert into billing.void_invoice (invoice_key, erp_invoice_id)
select %(invoice)s, %(document)s
where not exists (select from ops.effect where effect_key = %(posting)s and state in ('intent', 'done'))
on conflict do nothing
