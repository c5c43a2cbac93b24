-- Write down that a digest is told; nothing when it was told before. Its caller holds the lock of its name.
insert into ops.audit (actor, action, subject)
select 'psflow', 'digest.told', %(key)s
where not exists (select from ops.audit where action = 'digest.told' and subject = %(key)s)
