-- One control of a version, with the query that anybody can run again.
insert into ops.close_control (close_id, control, says, query, parameters, records, sums, content_hash, breaks)
values (%(close)s, %(control)s, %(says)s, %(query)s, %(parameters)s::jsonb, %(records)s, %(sums)s::jsonb, %(content_hash)s, %(breaks)s)
