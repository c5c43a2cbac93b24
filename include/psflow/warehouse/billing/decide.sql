-- One person's decision; the table's trigger refuses changed content and the preparer's own approval.
insert into ops.approval (batch_id, step, decision, person, airflow_user, run_id, content_hash)
values (%(batch)s, %(step)s, %(decision)s, %(person)s, %(user)s, %(run)s, %(hash)s)
