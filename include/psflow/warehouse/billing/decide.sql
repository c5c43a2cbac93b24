-- One person's decision; the table's triggers refuse changed content, the preparer's own approval and a third approver.
insert into ops.approval (batch_id, step, decision, person, airflow_user, run_id, content_hash, reason, seat)
select %(batch)s, %(step)s, %(decision)s, %(person)s, %(user)s, %(run)s, %(hash)s, %(reason)s, 1 + count(*)
from ops.approval where batch_id = %(batch)s and step = %(step)s and step = 'approve'
