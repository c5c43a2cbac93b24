-- The versions of a month's controls, the newest first, each with its hash and who decided.
select head.close_id, version, run_id, prepared_by, as_of, since, ops.close_hash(close_id) as content_hash,
       decision, person, signed_at, reason,
       (select count(*) from ops.close_control control where control.close_id = head.close_id and breaks > 0) as broken
from ops.close head
left join (select close_id, decision, person, signed_at, reason from ops.close_signature) signed using (close_id)
where (legal_entity_id, period) = (%(entity)s, %(period)s)
order by version desc
