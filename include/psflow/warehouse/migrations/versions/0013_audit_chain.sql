-- The audit as a keyed chain that any edit breaks.

alter table ops.audit
    alter column audit_id drop identity,
    alter column at drop default,
    alter column detail drop default,
    add column mac text;

-- rows from before the chain: numbered without a gap, and covered by a digest in the chain's first row
update ops.audit set audit_id = -audit_id;
update ops.audit set audit_id = numbered.position
from (select audit_id as was, row_number() over (order by audit_id desc) as position from ops.audit) numbered
where audit_id = numbered.was;

alter table ops.audit add check (mac ~ '^[0-9a-f]{64}$');
comment on table ops.audit is
    'Insert-only, written by store/audit.py alone: numbered without a gap, each row sealed with the MAC before it.';
comment on column ops.audit.mac is
    'HMAC-SHA-256 over the row and the MAC before it; the key is not in the database. Null: from before the chain.';

create function ops.guard_audit() returns trigger language plpgsql as $$
begin
    if new.mac is null then
        raise exception 'audit row "%" is not sealed: write it with psflow.store.audit', new.action
            using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger guard before insert on ops.audit for each row execute function ops.guard_audit();

create function ops.audit_head(out audit_id bigint, out mac text, out unsealed bigint, out at timestamptz,
                               out at_s text, out role text) language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtext('psflow.audit'));
    at := clock_timestamp();
    at_s := extract(epoch from at)::text;
    role := current_user;
    select audit.audit_id, audit.mac, case when audit.mac is null then audit.audit_id end
    into audit_id, mac, unsealed
    from ops.audit order by audit.audit_id desc limit 1;
end $$;
comment on function ops.audit_head is
    'The end of the audit, for the one transaction that may append to it until it is over.';
