-- Whether a digest was told before. Its caller holds the lock of its name.
select exists (select from ops.audit where action = 'digest.told' and subject = %(key)s)
