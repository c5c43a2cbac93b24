-- The posting of a draft that was cancelled will not be sent. One that may be on its way stays.
update ops.effect
set state = 'refused', last_error = 'the draft was cancelled in the ERP', lease_until = null, settled_at = clock_timestamp()
where effect_key = %(key)s and (state = 'pending' or state = 'intent' and lease_until < clock_timestamp())
